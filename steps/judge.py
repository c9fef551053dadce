"""Judge: pairs of candidates under their principles, in both orders; perhaps with reasons first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from charter.constitutions import Constitution, Principle
from charter.models.call import Answer, Call
from charter.rows import Message, Order, Row, draw_int
from charter.steps.asking import as_messages, prepared
from charter.steps.frame import LABELS, Want, frame_nonce, judge_messages, label_messages
from charter.steps.label import KeepRule, Mode, Orders
from charter.steps.pairs import Pair, Pairing, pairs_of
from charter.steps.principles import Compared, comparison_principles, principle_weights
from charter.steps.rank import round_pairs
from charter.steps.rounds import pairs_of_round
from charter.steps.votes import Vote, clamped, logprob_vote, shown_logprobs, text_vote

__all__ = ["Ask", "JudgeAsk", "Judging", "ReasonAsk"]


class Ask(NamedTuple):
    """One question to the judge: a pair under a principle in an order, for the k-th time."""

    pair: Pair
    principle: Principle
    order: Order
    sample: int

    @property
    def texts(self) -> tuple[str, str]:
        """The response shown first, and the one shown second."""
        a, b = self.pair.a["text"], self.pair.b["text"]
        return (a, b) if self.order is Order.AB else (b, a)


@dataclass(frozen=True, slots=True)
class Judging:
    """What the two steps of judging have in common: which questions a row puts to the judge.

    Attributes:
        constitution: where the comparison texts come from.
        mode: see `charter.recipes.PreferenceSettings`.
        pairs: which pairs are formed.
        principles: how many principles a pair is judged under, or which.
        candidates: candidates a row has when nothing fails; for plans.
        seed: the recipe's seed.
        votes: answers to each question, in the mode `vote`.
        orders: both orders, or one that is drawn.
        near_equal: share of common words from which two candidates are not judged.
        clamp: what p is held to, in the mode `cot`.
        logprobs: whether the judge gives log-probabilities, in the mode `cot`.
        round: of adaptive pairs, from 1; 0 where all pairs are asked at once.
    """

    constitution: Constitution
    mode: Mode = "verdict"
    pairs: Pairing = "all"
    principles: Compared = 1
    candidates: int = 2
    seed: int = 0
    votes: int = 5
    orders: Orders = "both"
    near_equal: float = 0.98
    clamp: tuple[float, float] = (0.4, 0.6)
    logprobs: bool = True
    round: int = 0

    @property
    def role(self) -> str:
        """The judge."""
        return "judge"

    @property
    def independent(self) -> bool:
        """No: it needs candidates."""
        return False

    @property
    def step(self) -> str:
        """What the step is called but for its round."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """`judge` or `reason`, with the round of adaptive pairs behind it."""
        return f"{self.step}-{self.round}" if self.round else self.step

    @property
    def follows(self) -> bool:
        """Whether its calls hang on what the judge said before."""
        return self.round > 1

    @property
    def samples(self) -> int:
        """Answers to each question."""
        return self.votes if self.mode == "vote" else 1

    def calls_a_pair(self) -> int:
        """Principles x orders x samples."""
        wanted = self.principles
        count = wanted if isinstance(wanted, int) else len(self.weights)
        return count * (2 if self.orders == "both" else 1) * self.samples

    def most_calls(self) -> int:
        """Pairs x principles x orders x samples."""
        return self.most_pairs(self.candidates) * self.calls_a_pair()

    def most_pairs(self, candidates: int) -> int:
        """The most pairs that the step asks about, of so many candidates."""
        if self.pairs == "revised-vs-initial":
            return 1
        return round_pairs(candidates, self.round) if self.round else math.comb(candidates, 2)

    def asks(self, row: Row) -> Iterator[Ask]:
        """The questions about a prepared row, in order."""
        pairs = pairs_of(row, self.pairs)
        if self.round:
            rule = KeepRule(mode=self.mode, orders=self.orders, near_equal=self.near_equal)
            pairs = pairs_of_round(row, pairs, rule, self.weights)
        for pair in pairs:
            if pair.alike(self.near_equal):
                continue
            for principle in self.drawn(pair.key):
                for order in self._orders(pair, principle):
                    for sample in range(self.samples):
                        yield Ask(pair, principle, order, sample)

    @property
    def weights(self) -> dict[str, float]:
        """How much each principle counts in a label."""
        return principle_weights(self.constitution, self.principles)

    def drawn(self, key: str) -> list[Principle]:
        """The principles that the pair of this key is judged under."""
        return comparison_principles(self.constitution, self.principles, self.seed, key)

    def _orders(self, pair: Pair, principle: Principle) -> tuple[Order, ...]:
        if self.orders == "both":
            return tuple(Order)
        # Which text comes first is drawn, not which candidate: the call is then the same
        # whichever of the two is called A.
        low = min(pair.a["text"], pair.b["text"])
        first = draw_int(self.seed, pair.key, "order", principle.id) & 1
        return (Order.AB if (pair.a["text"] == low) == bool(first) else Order.BA,)

    def _messages(self, row: Row, asks: Sequence[Ask], want: Want) -> list[tuple[Message, ...]]:
        prompt = as_messages(row["prompt"])
        texts = [m["content"] for m in prompt] + [c["text"] for c in row["candidates"]]
        nonce = frame_nonce(self.seed, row["prompt_id"], texts)
        return [
            judge_messages(prompt, *ask.texts, ask.principle, nonce=nonce, want=want)
            for ask in asks
        ]

    def _seeds(self, row: Row, asks: Sequence[Ask]) -> list[int]:
        """A seed each, from the texts in the order shown: the same whichever is called A."""
        marks = {c["text"]: _mark(c["text"]) for c in row["candidates"]}
        return [
            draw_int(
                self.seed,
                row["prompt_id"],
                self.step,
                ask.principle.id,
                *(marks[text] for text in ask.texts),
                ask.sample,
            )
            for ask in asks
        ]


def _mark(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ReasonAsk(Judging):
    """Ask the judge to think about each question before it decides (mode `cot`)."""

    @property
    def step(self) -> str:
        """`reason`."""
        return "reason"

    @property
    def one_token(self) -> bool:
        """No: it asks for a text."""
        return False

    def calls(self, row: Row) -> list[Call]:
        """One call a question."""
        row = prepared(row)
        asks = list(self.asks(row))
        messages = self._messages(row, asks, "reason") if asks else []
        return [
            Call(self.name, row["prompt_id"], ask.sample, seed, asked)
            for ask, seed, asked in zip(asks, self._seeds(row, asks), messages, strict=True)
        ]

    def fold(self, row: Row, answers: Sequence[Answer]) -> Row:
        """Keeps the answers in `reasons`, for the label that follows."""
        row = prepared(row)
        reasons = [
            {"text": a.text.strip(), "error": a.error, "overflow": a.overflow} for a in answers
        ]
        return {**row, "reasons": reasons}


@dataclass(frozen=True, slots=True)
class JudgeAsk(Judging):
    """Ask the judge for its vote on each question."""

    @property
    def step(self) -> str:
        """`judge`."""
        return "judge"

    @property
    def one_token(self) -> bool:
        """Where log-probabilities are read."""
        return self.mode == "logprob" or (self.mode == "cot" and self.logprobs)

    @property
    def follows(self) -> bool:
        """Whether its calls hang on what the judge said before."""
        return self.round > 1 or self.mode == "cot"

    def calls(self, row: Row) -> list[Call]:
        """One call a vote; none for a question whose reasons are missing."""
        row = prepared(row)
        asks = list(self.asks(row))
        if not asks:
            return []
        want: Literal["letter", "word"] = "letter" if self.one_token else "word"
        messages = self._messages(row, asks, "reason" if self.mode == "cot" else want)
        labels = LABELS if self.one_token else ()
        calls = []
        reasons = self._reasons(row, asks)
        seeds = self._seeds(row, asks)
        for ask, seed, asked, why in zip(asks, seeds, messages, reasons, strict=True):
            if why is not None:
                if not why["text"]:
                    continue
                asked = label_messages(asked, why["text"], want)  # noqa: PLW2901
            calls.append(Call(self.name, row["prompt_id"], ask.sample, seed, asked, labels))
        return calls

    def fold(self, row: Row, answers: Sequence[Answer]) -> Row:
        """Adds `votes`, one for each question; a vote that cannot be read is UNPARSED."""
        row = prepared(row)
        asks = list(self.asks(row))
        given = iter(answers)
        votes = []
        for ask, why in zip(asks, self._reasons(row, asks), strict=True):
            if why is not None and not why["text"]:
                answer = Answer(error=why["error"], overflow=why["overflow"])
            else:
                answer = next(given)
            votes.append(self._vote(ask, answer, why))
        assert next(given, None) is None, "an answer without a question"
        return {**row, "votes": [*row["votes"], *votes], "reasons": []}

    def _reasons(self, row: Row, asks: Sequence[Ask]) -> Sequence[dict[str, Any] | None]:
        if self.mode != "cot":
            return [None] * len(asks)
        reasons: Sequence[dict[str, Any]] = row["reasons"]
        return reasons

    def _vote(self, ask: Ask, answer: Answer, why: dict[str, Any] | None) -> Row:
        vote = logprob_vote(answer, ask.order) if self.one_token else text_vote(answer, ask.order)
        if self.mode == "cot":
            vote = clamped(vote, *self.clamp)
        return {
            "comparison_id": ask.pair.id,
            "candidate_a": ask.pair.a["slot"],
            "candidate_b": ask.pair.b["slot"],
            "principle_id": ask.principle.id,
            "order": ask.order.value,
            "sample": ask.sample,
            **_of_vote(vote),
            "rationale": why["text"] if why is not None else None,
            "raw": shown_logprobs(answer) if self.one_token else answer.text,
            "error": answer.error,
            "overflow": answer.overflow,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
        }


def _of_vote(vote: Vote) -> Row:
    return {"verdict": vote.verdict.value, "p_a": vote.p_a, "log_odds": vote.log_odds}
