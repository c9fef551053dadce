from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from charter.review.embedded.inside.distance import within

WORD = st.text("abc", max_size=6)


def exact(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    return min(
        exact(one[1:], other) + 1,
        exact(one, other[1:]) + 1,
        exact(one[1:], other[1:]) + (one[0] != other[0]),
    )


@given(WORD, WORD, st.integers(0, 3))
def test_it_is_levenshteins_distance_up_to_the_most(one: str, other: str, most: int) -> None:
    assert within(one, other, most) == min(exact(one, other), most + 1)
