"""How far people agree with each other, with the AI one by one, and with what is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

from charter.agreement import clustered, kappa_estimate, krippendorff_estimate
from charter.review.answers import SCORES, CheckedRow
from charter.review.estimates import exact_share, fleiss, weighted_mean
from charter.review.spot_check import SpotCheck
from charter.stats import Estimate, EstimateJson

__all__ = ["failed_on_gold", "gold_figures", "people_figures"]

_PAIRS: Final = 100
"""Pairs of reviewers that are listed: those with the most rows in common."""


def people_figures(rows: Sequence[CheckedRow], seed: int) -> dict[str, Any]:
    """Agreement among people, and of each with the AI; see `charter.review.figures`.

    Figures of people say something of these people on these rows, so nothing is weighted.

    Args:
        rows: what people said of each row.
        seed: of the bootstraps.
    """
    several = [row for row in rows if len(row.said) > 1]
    prompts = [row.prompt_id for row in several]
    units = [[label for _, label in row.said] for row in several]
    with_ai = [[row.ai, *(label for _, label in row.said)] for row in rows]
    raw = weighted_mean([_agreeing(unit) for unit in units], [1.0] * len(several), prompts)
    pairs, more = _pairs(several, seed)
    return {
        "people_agreement": raw.estimate.as_json(),
        "fleiss": fleiss(units, prompts, seed).as_json(),
        "krippendorff": _alpha(units, prompts, seed),
        "krippendorff_with_ai": _alpha(with_ai, [row.prompt_id for row in rows], seed),
        "reviewer_pairs": pairs,
        "reviewer_pairs_left_out": more,
        "by_reviewer": _by_reviewer(rows, seed),
        "first_position_rate": _first_position(rows),
    }


def _alpha(units: Sequence[Sequence[str]], prompts: Sequence[str], seed: int) -> EstimateJson:
    return krippendorff_estimate(units, clusters=prompts, seed=seed).as_json()


def _agreeing(unit: Sequence[str]) -> float:
    """The share of pairs of answers that say the same."""
    n = len(unit)
    return sum(c * (c - 1) for c in Counter(unit).values()) / (n * (n - 1))


def _pairs(rows: Sequence[CheckedRow], seed: int) -> tuple[list[dict[str, Any]], int]:
    both: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for row in rows:
        for (one, x), (other, y) in combinations(row.said, 2):
            both.setdefault((one, other), []).append((x, y, row.prompt_id))
    most = sorted(both, key=lambda pair: (-len(both[pair]), pair))
    found = []
    for pair in most[:_PAIRS]:
        labels = [(x, y) for x, y, _ in both[pair]]
        prompts = [prompt for _, _, prompt in both[pair]]
        same = sum(x == y for x, y in labels)
        kappa = kappa_estimate(labels, clusters=prompts, seed=seed)
        found.append(
            {
                "reviewers": list(pair),
                "agreement": exact_share(same, len(labels)).as_json(),
                "kappa": kappa.as_json(),
            }
        )
    return found, len(most) - len(found)


def _by_reviewer(rows: Sequence[CheckedRow], seed: int) -> dict[str, dict[str, Any]]:
    """Of each reviewer: answers, agreement with the AI where they name a winner, and kappa."""
    mine: dict[str, list[tuple[CheckedRow, str, SpotCheck]]] = {}
    for row in rows:
        for (who, label), answer in zip(row.said, row.answers, strict=True):
            mine.setdefault(who, []).append((row, label, answer))
    found = {}
    for who, given in sorted(mine.items()):
        named = [score for *_, each in given if (score := SCORES[each.verdict]) != 0.5]
        kappa = Estimate(None, None, None, len(given))
        if len({row.ai for row, *_ in given}) > 1:
            kappa = kappa_estimate(
                [(row.ai, label) for row, label, _ in given],
                clusters=[row.prompt_id for row, *_ in given],
                seed=seed,
            )
        found[who] = {
            "answers": len(given),
            "agreement": exact_share(int(sum(named)), len(named)).as_json(),
            "kappa": kappa.as_json(),
        }
    return found


def _first_position(rows: Sequence[CheckedRow]) -> EstimateJson:
    """Of the answers that name a winner, the share that names the response shown first.

    Half of it where the orders are drawn by a fair coin and people do not look at the place.
    """
    counts = []
    for row in rows:
        named = [
            each.verdict.value.lower() == each.first
            for each in row.answers
            if each.first is not None and SCORES[each.verdict] != 0.5
        ]
        counts.append((sum(named), len(named)))
    return clustered(counts).as_json()


def gold_figures(gold: Sequence[SpotCheck], min_gold: float | None) -> dict[str, Any]:
    """How right people are on rows with known answers.

    Args:
        gold: the answers on them.
        min_gold: share of right answers below which a reviewer is flagged; None flags nobody.
    """
    right: dict[str, list[bool]] = {}
    by_row: dict[tuple[str, str], list[bool]] = {}
    for each in gold:
        hit = each.verdict is each.gold
        right.setdefault(each.reviewer, []).append(hit)
        by_row.setdefault((each.kind, each.row_id), []).append(hit)
    failed = failed_on_gold(gold, min_gold)
    return {
        "gold_answers": len(gold),
        # All reviewers see the same few rows, so rows are the clusters.
        "gold_accuracy": clustered([(sum(hits), len(hits)) for hits in by_row.values()]).as_json(),
        "min_gold": min_gold,
        "gold": {
            who: {**exact_share(sum(hits), len(hits)).as_json(), "failed": who in failed}
            for who, hits in sorted(right.items())
        },
    }


def failed_on_gold(gold: Sequence[SpotCheck], min_gold: float | None) -> frozenset[str]:
    """The reviewers whose share of right answers on gold rows is below `min_gold`."""
    if min_gold is None:
        return frozenset()
    right: dict[str, list[bool]] = {}
    for each in gold:
        right.setdefault(each.reviewer, []).append(each.verdict is each.gold)
    return frozenset(who for who, hits in right.items() if sum(hits) / len(hits) < min_gold)
