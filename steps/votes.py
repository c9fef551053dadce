"""What one answer of the judge says, in terms of the candidates."""

from __future__ import annotations

import math
from dataclasses import dataclass

from charter.models.call import FLOOR, Answer
from charter.rows import Order, Verdict
from charter.steps.frame import LABELS
from charter.steps.verdict import parse_verdict

__all__ = ["Vote", "clamped", "logprob_vote", "shown_logprobs", "text_vote"]

_CERTAIN = 700.0  # log-odds beyond this are cut: exp() of a float goes no further
_SWAPPED = {Verdict.A: Verdict.B, Verdict.B: Verdict.A, Verdict.TIE: Verdict.TIE}
_P_OF = {Verdict.A: 1.0, Verdict.B: 0.0, Verdict.TIE: 0.5}


@dataclass(frozen=True, slots=True)
class Vote:
    """What one answer of the judge says, in terms of the candidates.

    Attributes:
        verdict: of the vote.
        p_a: probability that A is the better one; None when the verdict is UNPARSED.
        log_odds: of A against B, where the answer has log-probabilities. Kept beside `p_a`,
            which is 1 for all odds above e^37.
    """

    verdict: Verdict
    p_a: float | None = None
    log_odds: float | None = None


_UNPARSED = Vote(Verdict.UNPARSED)


def logprob_vote(answer: Answer, order: Order) -> Vote:
    """The vote of one pass: p is normalised over the two labels.

    A label that a server did not list among the likeliest tokens gets the most that it can have
    (`charter.models.ask.gather_labels`), which draws p towards 0.5. UNPARSED when neither is
    listed, or nothing is known of the other one: one label alone says nothing about the odds.
    """
    found = [answer.label_logprobs.get(label) for label in LABELS]
    if not answer.ok or found == [None, None]:
        return _UNPARSED
    floor = answer.label_logprobs.get(FLOOR)
    shown = [floor if each is None else each for each in found]
    if shown[0] is None or shown[1] is None:
        return _UNPARSED
    odds = shown[0] - shown[1]
    if math.isnan(odds):
        return _UNPARSED
    odds = max(-_CERTAIN, min(_CERTAIN, odds if order is Order.AB else -odds))
    verdict = Verdict.A if odds > 0 else Verdict.B if odds < 0 else Verdict.TIE
    # From the likelier side, so that p of A and p of B are complements to the last bit.
    p = 1 / (1 + math.exp(-abs(odds)))
    return Vote(verdict, p if odds >= 0 else 1 - p, odds)


def text_vote(answer: Answer, order: Order) -> Vote:
    """The vote of a text; UNPARSED when nobody can read it as one."""
    cut = answer.finish_reason == "length"
    shown = parse_verdict(answer.text, cut=cut) if answer.ok else Verdict.UNPARSED
    if shown is Verdict.UNPARSED:
        return _UNPARSED
    verdict = shown if order is Order.AB else _SWAPPED[shown]
    return Vote(verdict, _P_OF[verdict])


def clamped(vote: Vote, low: float, high: float) -> Vote:
    """The vote with its p held to [low, high].

    A judge that has argued itself into a conclusion is nearly certain of it, right or wrong; Bai
    et al. 2022 (section 4.3) clamp such labels to 40-60 %.
    """
    if vote.p_a is None:
        return vote
    return Vote(vote.verdict, min(max(vote.p_a, low), high))


def shown_logprobs(answer: Answer) -> str:
    """The log-probabilities as they came, as text, in terms of the places shown."""
    return " ".join(
        f"{'other<' if label == FLOOR else f'{label}='}{value:.6f}"
        for label, value in answer.label_logprobs.items()
    )
