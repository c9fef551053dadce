"""A reward model on the pairs of a version: how often it agrees with the labels and with people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from charter.errors import Fault, InputError
from charter.stats import Estimate, wilson
from charter.trainers.score import Scorer, with_answer

if TYPE_CHECKING:
    from charter.constitutions import Constitution
    from charter.hub import Version

__all__ = ["PairScores", "accuracy", "check_split", "score_version"]

Split = Literal["train", "test", "all"]


@dataclass(frozen=True, slots=True)
class PairScores:
    """The scores of pairs, and what they come to.

    Attributes:
        rows: `id`, `prompt_id`, `split`, `score_chosen`, `score_rejected`, `margin`, `p_chosen`;
            scores are None where a conversation is longer than the model's window.
        accuracy: split -> the share of its pairs whose chosen answer scores higher.
        reviews: split -> the share of reviewed pairs on which model and people prefer the same
            answer; None where the version has no answers of people.
    """

    rows: list[dict[str, Any]]
    accuracy: dict[str, Estimate]
    reviews: dict[str, Estimate] | None


def score_version(
    version: Version,
    scorer: Scorer,
    split: Split = "test",
    progress: Callable[[int, int], None] | None = None,
) -> PairScores:
    """Score the pairs of a split, and those of any split that people have looked at.

    Raises:
        InputError: the version has no `preference` rows in that split.
    """
    check_split(version, split)
    wanted, there = _splits(split), version.splits("preference")
    people = _majorities(version)
    pairs = [
        {**row, "split": each}
        for each in there
        for row in version.rows("preference", each).to_dicts()
        if each in wanted or row["id"] in (people or {})
    ]
    sides = ("chosen", "rejected")
    both = [with_answer(row["prompt"], row[side]) for row in pairs for side in sides]
    scores = scorer.scores(both, progress)
    rows = [
        _scored(row, chosen, rejected)
        for row, chosen, rejected in zip(pairs, scores[::2], scores[1::2], strict=True)
    ]
    shown = {each: accuracy(_of(rows, each)) for each in wanted if each in there}
    reviews = None if people is None else _agreement(rows, people)
    return PairScores([row for row in rows if row["split"] in wanted], shown, reviews)


def check_split(version: Version, split: Split) -> None:
    """See that there are pairs, before a model is loaded for them.

    Raises:
        InputError: the version has no `preference` rows in that split.
    """
    there = version.splits("preference")
    if not set(_splits(split)) & set(there):
        what = f"has no `{split}` rows, only {', '.join(there) or 'none'}"
        fix = "give --split train" if there else "judge candidates into it with `charter run`"
        raise InputError(Fault(f"{version.repo}@{version.tag}", "preference", what, fix))


def _splits(split: Split) -> tuple[str, ...]:
    return ("train", "test") if split == "all" else (split,)


def accuracy(rows: Iterable[Mapping[str, Any]]) -> Estimate:
    """The share of pairs whose chosen answer scores higher, with its Wilson interval.

    Equal scores count as wrong; a pair without both scores does not count.
    """
    margins = [row["margin"] for row in rows if row["margin"] is not None]
    return wilson(sum(margin > 0 for margin in margins), len(margins))


def _of(rows: Iterable[dict[str, Any]], split: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["split"] == split]


def _scored(row: Mapping[str, Any], chosen: float | None, rejected: float | None) -> dict[str, Any]:
    margin = None if chosen is None or rejected is None else chosen - rejected
    return {
        "id": row["id"],
        "prompt_id": row["prompt_id"],
        "split": row["split"],
        "score_chosen": chosen,
        "score_rejected": rejected,
        "margin": margin,
        "p_chosen": row.get("p_chosen"),
    }


def _majorities(version: Version) -> dict[str, bool] | None:
    """Row -> whether people prefer the answer that is `chosen` now; split ones are not there."""
    if "reviews" not in version.configs():
        return None
    said = _blind(version)
    if not said:
        return {}
    import polars as pl

    from charter.constitutions import load_constitution

    constitution = load_constitution(version.path / "constitution.yaml")
    found = {}
    for split in version.splits("preference"):
        rows = version.rows("preference", split).filter(pl.col("id").is_in(list(said)))
        for row in rows.iter_rows(named=True):
            votes = _votes(row, said[row["id"]], constitution)
            if votes["CHOSEN"] != votes["REJECTED"]:
                found[row["id"]] = votes["CHOSEN"] > votes["REJECTED"]
    return found


def _blind(version: Version) -> dict[str, list[dict[str, Any]]]:
    """Row -> the answers on it that were given without the AI's label in sight, oldest first.

    Answers to planted rows, whose answer was known, are about the reviewer and not the row; who
    failed them is left out, as in the version's own figures.
    """
    figures: Mapping[str, Any] = version.manifest.reviews or {}
    failed = frozenset(figures.get("left_out") or ())
    answers = [
        review
        for split in version.splits("reviews")
        for review in version.rows("reviews", split).to_dicts()
        if review["kind"] == "preference" and review["gold"] is None and not review["saw_ai"]
        if review["reviewer"] not in failed
    ]
    said: dict[str, list[dict[str, Any]]] = {}
    for each in sorted(answers, key=lambda each: (each["submitted"], each["id"])):
        said.setdefault(each["row_id"], []).append(each)
    return said


def _votes(
    row: Mapping[str, Any], answers: Iterable[Mapping[str, Any]], constitution: Constitution
) -> Counter[str]:
    """How many people say what of a row as it stands; each one's last answer on its texts counts.

    Where people have overruled a label, what their answers call rejected is `chosen` now.
    """
    from charter.hub.shown import verdict_now

    last: dict[str, str] = {}
    for each in answers:
        verdict = verdict_now("preference", row, each, constitution)
        if verdict is not None:
            last[each["reviewer"]] = verdict
    return Counter(last.values())


def _agreement(
    rows: Sequence[Mapping[str, Any]], people: Mapping[str, bool]
) -> dict[str, Estimate]:
    found = {}
    for split in ("test", "train"):
        judged = [
            (row["margin"] > 0) == people[row["id"]] and row["margin"] != 0
            for row in rows
            if row["split"] == split and row["id"] in people and row["margin"] is not None
        ]
        found[split] = wilson(sum(judged), len(judged))
    return found
