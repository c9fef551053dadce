"""How far people agree with the AI's labels: over rows, weighted to stand for the version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from charter.agreement import kappa_estimate
from charter.ppi import ppi_mean
from charter.review.answers import SCORES, CheckedRow
from charter.review.estimates import Weighted, weighted_mean
from charter.review.spot_check import Human, Kind
from charter.stats import Estimate, EstimateJson

__all__ = ["NONE", "agreement", "row_figures"]

NONE: Final = "(none)"
"""The group of rows without a principle or category, or with several."""

_BINS: Final = 5
_EITHER: Final = 10
_SAID: Final[dict[Kind, tuple[Human, ...]]] = {
    "preference": (Human.CHOSEN, Human.REJECTED, Human.TIE, Human.BOTH_BAD),
    "sft": (Human.BETTER, Human.WORSE, Human.SAME),
}
_QUESTIONS: Final = ("critique_right", "still_harmful", "over_refusing")


def row_figures(
    kind: Kind, rows: Sequence[CheckedRow], population: Sequence[float], seed: int
) -> dict[str, Any]:
    """The figures of one config's rows; see `charter.review.figures` for what they are.

    Args:
        kind: the config.
        rows: what people said of each.
        population: the confidence of all the version's labels, seen or not; empty for `sft`.
        seed: of the bootstrap.
    """
    found = agreement(rows)
    return {
        "kind": kind,
        "n": len(rows),
        "answers": sum(len(row.answers) for row in rows),
        "reviewers": len({who for row in rows for who, _ in row.said}),
        "divided": sum(row.divided for row in rows),
        "effective_n": round(found.effective_n, 1),
        "agreement": found.estimate.as_json(),
        "agreement_lower": found.estimate.low,
        "agreement_decided": _decided(rows),
        "verdicts": {verdict.value: _share(rows, verdict) for verdict in _SAID[kind]},
        "prediction_powered": _powered(rows, population).as_json(),
        "kappa": _kappa(rows, seed),
        "confusion": _confusion(kind, rows),
        "by_principle": _by(rows, lambda row: row.principle_id or NONE),
        "by_category": _by(rows, lambda row: row.category or NONE),
        "by_confidence": _by(_judged(rows), _bin),
        "confidence": {key: _sure(group) for key, group in _groups(_judged(rows), _bin)},
        **{question: _asked(rows, question) for question in _QUESTIONS},
    }


def agreement(rows: Sequence[CheckedRow]) -> Weighted:
    """The share of labels that people agree with (`SCORES`), weighted by the design."""
    return _mean(rows, [row.score for row in rows])


def _mean(rows: Sequence[CheckedRow], scores: Sequence[float]) -> Weighted:
    """Rows of one prompt are a cluster: they share what is easy or hard about it."""
    return weighted_mean(scores, _weights(rows), [row.prompt_id for row in rows])


def _weights(rows: Iterable[CheckedRow]) -> list[float]:
    return [1 / row.inclusion for row in rows]


def _decided(rows: Iterable[CheckedRow]) -> EstimateJson:
    """The share of answers for the AI's choice, of a row's answers that name a winner."""
    used, scores = [], []
    for row in rows:
        named = [score for each in row.answers if (score := SCORES[each.verdict]) != 0.5]
        if named:
            used.append(row)
            scores.append(sum(named) / len(named))
    return _mean(used, scores).estimate.as_json()


def _share(rows: Sequence[CheckedRow], verdict: Human) -> EstimateJson:
    """How often a verdict is given; by answers, so that people who differ are no tie here."""
    shares = [
        sum(each.verdict is verdict for each in row.answers) / len(row.answers) for row in rows
    ]
    return _mean(rows, shares).estimate.as_json()


def _asked(rows: Sequence[CheckedRow], question: str) -> EstimateJson:
    """The share of yes; a row's own is that of its reviewers who answered."""
    used, scores = [], []
    for row in rows:
        said = [value for each in row.answers if (value := getattr(each, question)) is not None]
        if said:
            used.append(row)
            scores.append(sum(said) / len(said))
    return _mean(used, scores).estimate.as_json()


def _kappa(rows: Sequence[CheckedRow], seed: int) -> EstimateJson:
    """Cohen's kappa of the AI and a person; the answers on a row share its weight.

    Of revisions the AI says one thing, and chance explains all of that or nothing.
    """
    said = [(row, label) for row in rows for _, label in row.said]
    if len({row.ai for row in rows}) < 2:
        return Estimate(None, None, None, len(said)).as_json()
    return kappa_estimate(
        [(row.ai, label) for row, label in said],
        weights=[1 / row.inclusion / len(row.said) for row, _ in said],
        clusters=[row.prompt_id for row, _ in said],
        seed=seed,
    ).as_json()


def _powered(rows: Sequence[CheckedRow], population: Sequence[float]) -> Estimate:
    """The share of right labels in the whole version, with `p_chosen` as the prediction.

    A prompt's rows are put together, weights and all, so that the interval is one over prompts.
    Its interval is symmetric, which takes ten answers on either side of the middle to be right
    (the usual n p >= 10); where weights leave fewer, predictions are not used.
    """
    judged = _judged(rows)
    plain = agreement(judged)
    p = plain.estimate.value
    if p is None or plain.effective_n * min(p, 1 - p) < _EITHER:
        return plain.estimate
    sums: dict[str, list[float]] = {}
    for row, weight in zip(judged, _weights(judged), strict=True):
        assert row.p_chosen is not None
        at = sums.setdefault(row.prompt_id, [0.0, 0.0, 0.0])
        for place, value in enumerate((weight, weight * row.score, weight * row.p_chosen)):
            at[place] += value
    found = ppi_mean(
        [min(truth / weight, 1.0) for weight, truth, _ in sums.values()],
        [guess / weight for weight, _, guess in sums.values()],
        population,
        [weight for weight, _, _ in sums.values()],
    )
    return Estimate(found.value, found.low, found.high, len(judged))


def _confusion(kind: Kind, rows: Sequence[CheckedRow]) -> dict[str, dict[str, int]]:
    """Rows by the AI's label and then people's, both as places on the screen."""
    counts = Counter((row.ai, row.label) for row in rows)
    ours = ("A", "B") if kind == "preference" else (Human.BETTER.value,)
    theirs = {
        "preference": ("A", "B", Human.TIE.value, Human.BOTH_BAD.value),
        "sft": tuple(verdict.value for verdict in _SAID["sft"]),
    }[kind]
    return {one: {other: counts[one, other] for other in theirs} for one in ours}


def _groups(
    rows: Iterable[CheckedRow], key: Callable[[CheckedRow], str]
) -> list[tuple[str, list[CheckedRow]]]:
    found: dict[str, list[CheckedRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return sorted(found.items())


def _by(rows: Iterable[CheckedRow], key: Callable[[CheckedRow], str]) -> dict[str, EstimateJson]:
    return {name: agreement(group).estimate.as_json() for name, group in _groups(rows, key)}


def _judged(rows: Iterable[CheckedRow]) -> list[CheckedRow]:
    return [row for row in rows if row.p_chosen is not None]


def _bin(row: CheckedRow) -> str:
    """The range of confidence, a tenth wide; the lower edge belongs to it."""
    assert row.p_chosen is not None
    # A hair below the edge, so that 0.6 as 1 - 0.4 falls into the bin of 0.6.
    place = min(max(int((row.p_chosen - 0.5) * 2 * _BINS + 1e-9), 0), _BINS - 1)
    return f"{0.5 + place / (2 * _BINS):.1f} to {0.5 + (place + 1) / (2 * _BINS):.1f}"


def _sure(rows: Sequence[CheckedRow]) -> float:
    """The mean confidence of a group, weighted as its agreement is."""
    weights = _weights(rows)
    judged = zip(rows, weights, strict=True)
    return sum((row.p_chosen or 0.0) * weight for row, weight in judged) / sum(weights)
