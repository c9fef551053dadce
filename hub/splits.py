"""Which prompt is for training and which for testing, so that near-duplicates never part.

Prompts that say nearly the same form a cluster, and a cluster has one split: otherwise a test
row could be answered from its twin in the training rows. The draw is a hash of the id of the
cluster's first prompt and of nothing else. In particular the recipe's seed has no part in it: a
run with another seed, another judge or more prompts leaves every prompt where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from charter.errors import Fault, InputError
from charter.hub.clusters import clusters
from charter.hub.schema import TRAINED
from charter.rows import draw_unit

__all__ = ["Split", "Splits", "assign_splits", "ensure_train"]

Split = Literal["train", "test"]

_SEED: Final = 1
"""Of the draw; never changed, or every published split would move."""


class Splits(dict[str, Split]):
    """Prompt id -> split, with the clusters that it was drawn for.

    Attributes:
        cluster_of: prompt id -> id of the first prompt of its cluster, in input order.
    """

    def __init__(self, splits: Mapping[str, Split], cluster_of: Mapping[str, str]) -> None:
        super().__init__(splits)
        self.cluster_of = dict(cluster_of)


def assign_splits(
    prompts: Sequence[tuple[str, str]],
    *,
    test_fraction: float,
    kept: Mapping[str, str] | None = None,
) -> Splits:
    """Draw a split for every prompt.

    A prompt in `kept` keeps its split, whatever its cluster does. The other prompts of its
    cluster follow the first kept one, in input order. Only prompts that are given here can
    attract others: of one that is in `kept` alone, the text is not known.

    Args:
        prompts: (prompt id, text), in input order; ids are unique.
        test_fraction: the share of clusters meant for `test`, 0 to 1.
        kept: prompt id -> split in earlier versions (`charter.hub.published_splits`).

    Returns:
        A split for each of `prompts`, in their order.

    Raises:
        InputError: `test_fraction` is out of range.
        ValueError: an id is given twice, or a kept split is unknown.
    """
    kept = kept or {}
    if not 0 <= test_fraction <= 1:
        raise InputError(
            Fault("", "prompts.test_fraction", f"{test_fraction} is no share", "write 0 to 1")
        )
    ids = [prompt_id for prompt_id, _ in prompts]
    if len(set(ids)) != len(ids):
        raise ValueError("a prompt id is given twice")
    firsts = clusters([text for _, text in prompts])
    cluster_of = {ids[at]: ids[first] for at, first in enumerate(firsts)}
    anchor: dict[str, Split] = {}
    for prompt_id in ids:
        if prompt_id in kept:
            anchor.setdefault(cluster_of[prompt_id], _split(kept[prompt_id]))
    splits: dict[str, Split] = {}
    for prompt_id in ids:
        first = cluster_of[prompt_id]
        if prompt_id in kept:
            splits[prompt_id] = _split(kept[prompt_id])
        elif first in anchor:
            splits[prompt_id] = anchor[first]
        else:
            splits[prompt_id] = "test" if _draw(first) < test_fraction else "train"
    return Splits(splits, cluster_of)


def ensure_train(
    splits: Splits,
    used: Mapping[str, Iterable[str]],
    kept: Mapping[str, str] | None = None,
) -> Splits:
    """Give every config that has rows at least one row to train on.

    Where all prompts of a config were drawn for `test`, the cluster with the highest draw (the
    one that came closest to `train`) moves there as a whole. A cluster with a kept prompt never
    moves. `judgments` and `rejects` get a training row where that can be had, and stay as they
    are where not: they are accounts, and nobody trains on them.

    Args:
        splits: as `assign_splits` gave them.
        used: config -> ids of the prompts that have rows in it.
        kept: as given to `assign_splits`.

    Raises:
        InputError: `sft` or `preference` has rows, but all of prompts published in `test`.
    """
    kept = kept or {}
    result = Splits(splits, splits.cluster_of)
    fixed = {splits.cluster_of[prompt_id] for prompt_id in kept if prompt_id in splits}
    faults: list[Fault] = []
    for config, prompt_ids in used.items():
        mine = [prompt_id for prompt_id in prompt_ids if prompt_id in result]
        if not mine or any(result[prompt_id] == "train" for prompt_id in mine):
            continue
        free = {splits.cluster_of[prompt_id] for prompt_id in mine} - fixed
        if free:
            moved = max(free, key=lambda first: (_draw(first), first))
            result.update({p: "train" for p in result if splits.cluster_of[p] == moved})
        elif config in TRAINED:
            faults.append(_no_train(config, len(set(mine))))
    if faults:
        raise InputError(faults)
    return result


def _no_train(config: str, prompts: int) -> Fault:
    return Fault(
        "",
        "prompts",
        f"config {config} has rows of {prompts} prompts, and each of them was published in test",
        "add prompts that are not near-duplicates of these, or publish to another repo",
    )


def _split(text: str) -> Split:
    if text == "train":
        return "train"
    if text == "test":
        return "test"
    raise ValueError(f'"{text}" is no split')


def _draw(first: str) -> float:
    return draw_unit(_SEED, "split", first)
