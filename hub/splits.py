"""Which prompt is for training and which for testing, so that near-duplicates never part.

Prompts that say nearly the same form a cluster, and a cluster has one split: otherwise a test
row could be answered from its twin in the training rows. The draw is a hash of the id of the
cluster's first prompt and of nothing else. In particular the recipe's seed has no part in it: a
run with another seed, another judge or more prompts leaves every prompt where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np

from charter.errors import Fault, InputError
from charter.hub.clusters import clusters
from charter.hub.names import Ints
from charter.hub.schema import TRAINED
from charter.hub.split_index import Split, Splits, known, split_of
from charter.rows import draw_unit

__all__ = ["Split", "Splits", "assign_splits", "ensure_train"]

_SEED: Final = 1
"""Of the draw; never changed, or every published split would move."""
_BATCH: Final = 1 << 10


def assign_splits(
    prompts: Sequence[tuple[str, str]],
    *,
    test_fraction: float,
    kept: Mapping[str, str] | None = None,
) -> Splits:
    """Draw a split for every prompt.

    A prompt in `kept` keeps its split, whatever its cluster does. The other prompts of its
    cluster follow the first kept one, in input order; so of two that were published apart and are
    joined by a new one, the other has a near-duplicate in the other split. Only prompts that are
    given here can attract others: of one that is in `kept` alone, the text is not known.

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
    tests = np.zeros(len(ids), np.bool_)
    for first in np.unique(firsts).tolist():
        tests[first] = _draw(ids[first]) < test_fraction
    held = {
        at: _split(split) == "test"
        for at, (there, split) in enumerate(zip(known(kept, ids), split_of(kept, ids), strict=True))
        if there
    }
    anchored: set[int] = set()
    for at, test in held.items():
        first = int(firsts[at])
        if first not in anchored:
            anchored.add(first)
            tests[first] = test
    tests = tests[firsts]
    for at, test in held.items():
        tests[at] = test
    return Splits(ids, tests, firsts)


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
        used: config -> ids of the prompts that have rows in it; read once, and no further than to
            the first that is trained on.
        kept: as given to `assign_splits`.

    Raises:
        InputError: `sft` or `preference` has rows, but all of prompts published in `test`.
    """
    kept = kept or {}
    tests, firsts = splits.tests, splits.firsts
    fixed = {int(firsts[at]) for places in _places(splits, kept) for at in places.tolist()}
    faults: list[Fault] = []
    for config, prompt_ids in used.items():
        mine: set[int] = set()
        for places in _places(splits, prompt_ids):
            mine.update(places.tolist())
            if not tests[places].all():
                break
        else:
            # What is tested alone, or nothing.
            free = {int(firsts[at]) for at in mine} - fixed
            moved = _nearest(splits, free)
            if moved is not None:
                tests[firsts == moved] = False
            elif mine and config in TRAINED:
                faults.append(_no_train(config, len(mine)))
    if faults:
        raise InputError(faults)
    return splits.in_train(np.flatnonzero(~tests))


def _nearest(splits: Splits, firsts: Iterable[int]) -> int | None:
    """Of clusters, by their first prompts, the one that came closest to `train`."""
    names = {splits.name(first): first for first in firsts}
    return names[max(names, key=lambda name: (_draw(name), name))] if names else None


def _places(splits: Splits, names: Iterable[str]) -> Iterator[Ints]:
    """Where those ids that are among the splits stand, some at a time."""
    remaining = iter(names)
    while some := list(islice(remaining, _BATCH)):
        places = splits.places(some)
        yield places[places >= 0]


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
