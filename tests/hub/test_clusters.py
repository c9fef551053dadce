from __future__ import annotations

import random
import tracemalloc
from typing import Any

import numpy as np
import pytest

from charter.hub import clusters
from charter.rows import digest


def _templated(n: int) -> list[str]:
    return [f"Question number {i % 317} about topic {i * 7919 % 100_003}?" for i in range(n)]


def _counted(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], int, int]:
    """The clusters, the pairs that were estimated, and those compared exactly."""
    counts = {"estimated": 0, "compared": 0}
    hopeful, similar = clusters._hopeful, clusters.similar

    def estimate(one: Any, *more: Any) -> Any:
        counts["estimated"] += len(one)
        return hopeful(one, *more)

    def compare(one: Any, other: Any) -> bool:
        counts["compared"] += 1
        return similar(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(clusters, "_hopeful", estimate)
        patch.setattr(clusters, "similar", compare)
        found = clusters.clusters(texts).tolist()
    return found, counts["estimated"], counts["compared"]


def test_the_work_for_one_template_grows_with_the_number_of_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "_CROWDED", 8)  # so that few texts are a crowd
    _, few, few_compared = _counted(_templated(2000), monkeypatch)
    found, many, many_compared = _counted(_templated(8000), monkeypatch)
    assert many < 8 * few  # all pairs would be sixteen times as many
    assert many < 8000 * clusters.BANDS * (2 * clusters._NEIGHBOURS + 1)
    assert many_compared < 8000 * 4
    assert few_compared < 2000 * 4
    assert len(set(found)) > 4000


def test_texts_that_are_all_alike_are_compared_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "Please explain to a colleague in simple words why rule {} of our list matters to us all"
    found, estimated, compared = _counted([long.format(i) for i in range(2000)], monkeypatch)
    assert set(found) == {0}
    assert compared < 2 * 2000
    assert estimated < 2000 * clusters.BANDS * 3 * clusters._NEIGHBOURS


def test_texts_that_share_nothing_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [digest(i) for i in range(3000)]
    found, estimated, compared = _counted(texts, monkeypatch)
    assert found == list(range(3000))
    assert (estimated < 10, compared) == (True, 0)


def test_a_twin_is_found_in_the_crowd_of_its_template() -> None:
    texts = _templated(4000)
    twins = [text.replace("Question", "question ").replace("?", "!") for text in texts[::10]]
    found = clusters.clusters([*texts, *twins]).tolist()
    apart = [i for i in range(len(twins)) if found[4000 + i] != found[10 * i]]
    assert not apart


def test_clusters_depend_on_the_set_of_texts_alone() -> None:
    texts = _templated(3000)
    mixed = random.Random(5).sample(texts, len(texts))

    def sets(given: list[str]) -> set[frozenset[str]]:
        groups: dict[int, set[str]] = {}
        for text, first in zip(given, clusters.clusters(given).tolist(), strict=True):
            groups.setdefault(first, set()).add(text)
            assert given.index(text) >= first
        return {frozenset(group) for group in groups.values()}

    assert sets(texts) == sets(mixed)


def test_in_buckets_that_are_not_crowded_every_pair_is_a_candidate() -> None:
    keys = np.array([7] * 5 + [3] * 70 + [9], np.uint64)
    bands = np.column_stack([keys, *[np.arange(76, dtype=np.uint64)] * (clusters.BANDS - 1)])
    pairs = [
        (min(pair), max(pair))
        for one, other in clusters._candidates(bands, 0)
        for pair in zip(one.tolist(), other.tolist(), strict=True)
    ]
    small = {pair for pair in pairs if pair[1] < 5}
    assert small == {(i, j) for j in range(5) for i in range(j)}
    crowd = {pair for pair in pairs if pair not in small}
    assert all(5 <= i <= j < 75 for i, j in crowd)
    assert {(5, j) for j in range(6, 75)} <= crowd
    assert {(i, i + by) for by in range(1, 5) for i in range(5, 75 - by)} <= crowd
    assert len(pairs) <= 10 + 70 * (2 * clusters._NEIGHBOURS + 1)


def test_a_prompt_takes_its_sketch_and_for_a_while_its_text() -> None:
    count, size = 12_000, 500
    draw = random.Random(7)
    texts = ["".join(draw.choices("abcdefghijklmnop ", k=size)) for _ in range(count)]
    clusters.clusters(texts[:100])  # imports
    tracemalloc.start()
    try:
        clusters.clusters(texts)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A sketch is 488 bytes; with the texts beside it that was 1,500 and more.
    assert peak < 1000 * count
