"""Rounds of adaptive pairs: which pairs of a row are asked about next, by the votes so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from charter.rows import Row
from charter.steps.label import KeepRule, label_votes
from charter.steps.pairs import Pair
from charter.steps.rank import next_pairs, strengths

__all__ = ["pairs_of_round", "scores_of"]


def pairs_of_round(
    row: Row, pairs: Sequence[Pair], rule: KeepRule, weights: Mapping[str, float]
) -> list[Pair]:
    """The pairs of the next round, none when the ranking stands (`charter.steps.rank`).

    Args:
        row: prepared, with the votes of the rounds before.
        pairs: all pairs of its candidates.
        rule: for reading votes; candidates that are alike count as equally good, unasked.
        weights: of the principles.
    """
    places = {c["slot"]: place for place, c in enumerate(row["candidates"])}
    by_pair = votes_by_pair(row)
    results: dict[tuple[int, int], float] = {}
    asked = []
    at = {(places[pair.a["slot"]], places[pair.b["slot"]]): pair for pair in pairs}
    for key, pair in at.items():
        if pair.alike(rule.near_equal):
            results[key] = 0.5
        elif pair.id in by_pair:
            p_a = label_votes(by_pair[pair.id], rule, weights).p_a
            if p_a is None:
                asked.append(key)
            else:
                results[key] = p_a
    return [at[key] for key in next_pairs(len(places), results, asked)]


def votes_by_pair(row: Row) -> dict[str, list[Row]]:
    """A row's votes by the pair that they are about."""
    found: dict[str, list[Row]] = {}
    for vote in row["votes"]:
        found.setdefault(vote["comparison_id"], []).append(vote)
    return found


def scores_of(row: Row, p_of: Mapping[str, float | None]) -> dict[str, float | None]:
    """Bradley-Terry log-strengths of a row's candidates, by slot (`charter.steps.rank`).

    Args:
        row: prepared.
        p_of: p(A) by pair id; None where a pair has none.
    """
    slots = [c["slot"] for c in row["candidates"]]
    results = {}
    for i, a in enumerate(slots):
        for j in range(i + 1, len(slots)):
            p_a = p_of.get(f"{row['prompt_id']}#{a}~{slots[j]}")
            if p_a is not None:
                results[i, j] = p_a
    return dict(zip(slots, strengths(len(slots), results), strict=True))
