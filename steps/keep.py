"""Keep: which pairs of a row become rows, with their labels, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from charter.constitutions import Constitution
from charter.rows import Reason, Row, Verdict
from charter.steps.asking import prepared
from charter.steps.injection import find_injection
from charter.steps.label import KeepRule, Label, label_votes
from charter.steps.pairs import Pair, pairs_of
from charter.steps.principles import principle_weights
from charter.steps.rank import best_and_worst
from charter.steps.rounds import scores_of, votes_by_pair

__all__ = ["KeepRule", "Label", "kept", "label_votes"]


def kept(
    row: Row,
    rule: KeepRule,
    constitution: Constitution,
    weights: Mapping[str, float] | None = None,
) -> Row:
    """The row with `labels`, one for each pair formed, in order, and with `scores` by slot.

    Args:
        row: with candidates and votes.
        rule: what a label needs.
        constitution: for the weights of the principles.
        weights: those of the recipe instead.
    """
    row = prepared(row)
    weights = principle_weights(constitution, "all") if weights is None else weights
    by_pair = votes_by_pair(row)
    pairs = pairs_of(row, rule.pairs)
    labels = [_labelled(pair, by_pair.get(pair.id, ()), rule, weights) for pair in pairs]
    p_of = {label["pair_id"]: _p_of(label) for label in labels}
    scores = scores_of(row, p_of)
    if rule.pairs == "adaptive":
        asked = {pair.id for pair in pairs if pair.id in by_pair}
        labels = [
            label
            for label in labels
            if label["pair_id"] in asked or label["reason"] == Reason.IDENTICAL
        ]
    if rule.pairs == "best-worst":
        labels = _best_worst(row, labels, scores)
    return {**row, "labels": labels, "scores": scores}


def _p_of(label: Row) -> float | None:
    if label["reason"] == Reason.IDENTICAL:
        return 0.5
    p_a: float | None = label["p_a"]
    return p_a


def _best_worst(row: Row, labels: list[Row], scores: Mapping[str, float | None]) -> list[Row]:
    """The label of the best against the worst candidate; where none are ranked, the first one."""
    found = best_and_worst([scores[c["slot"]] for c in row["candidates"]])
    if found is None:
        return labels[:1]
    slots = {row["candidates"][place]["slot"] for place in found}
    return [label for label in labels if {label["a"], label["b"]} == slots]


def _labelled(
    pair: Pair, votes: Sequence[Row], rule: KeepRule, weights: Mapping[str, float]
) -> dict[str, Any]:
    same = pair.alike(rule.near_equal)
    if same:
        votes = ()
        label = Label(reason=Reason.IDENTICAL.value, detail=same)
    else:
        label = label_votes(votes, rule, weights)
        if label.winner and rule.injections == "reject":
            label = _earned(pair, label)
    read = [v for v in votes if v["verdict"] != Verdict.UNPARSED]
    return {
        "pair_id": pair.id,
        "a": pair.a["slot"],
        "b": pair.b["slot"],
        "principle_ids": list(dict.fromkeys(v["principle_id"] for v in read)),
        **asdict(label),
    }


def _earned(pair: Pair, label: Label) -> Label:
    """The label, or none where the winner speaks to the judge: it may have won by that.

    A candidate that does so and loses all the same has lost by its merits, and the label stands.
    """
    winner = pair.a if label.winner == "A" else pair.b
    found = find_injection(winner["text"])
    if found is None:
        return label
    detail = f"the winner speaks to the judge ({found.kind}): {found.found}"
    return replace(label, winner="", reason=Reason.INJECTION.value, detail=detail)
