"""Before the model reads: which prompts make a batch, and what prompts have in common."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

few_tokens = st.lists(st.integers(0, 2), max_size=6)


@pytest.mark.parametrize(
    ("lengths", "more", "batches"),
    [
        ([4, 4, 4], 1, [[0, 1], [2]]),  # two rows of five are just the ten that a batch may hold
        ([1, 4], 2, [[0], [1]]),
        ([1, 3], 2, [[0, 1]]),
        ([9, 1, 1, 1], 0, [[0], [1, 2, 3]]),
        ([11, 1], 0, [[0], [1]]),
        ([1] * 7, 0, [[0, 1, 2, 3, 4], [5, 6]]),
    ],
)
def test_a_batch_holds_its_rows_as_long_as_the_longest_of_them(
    lengths: list[int], more: int, batches: list[list[int]]
) -> None:
    from charter.models.prefill import split_batches

    places = range(len(lengths))
    found = split_batches(places, dict(enumerate(lengths)), 5, more, most_tokens=10)
    assert found == batches


@settings(deadline=None)  # torch is imported meanwhile
@given(few_tokens, few_tokens)
def test_what_two_prompts_have_in_common_is_their_start(one: list[int], other: list[int]) -> None:
    from charter.models.prefill import common_prefix

    alike = [n for n in range(min(len(one), len(other)) + 1) if one[:n] == other[:n]]
    assert common_prefix(one, other) == max(alike)
