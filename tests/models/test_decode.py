"""Drawing a token: the nucleus, the CDF over it, and what sampling may be."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def logits_of(values: list[float]) -> Any:
    import torch

    return torch.tensor(values, dtype=torch.float32)


finite = st.floats(-30, 30, width=32)
units = st.floats(0, 1, exclude_max=True)


@given(st.lists(finite, min_size=1, max_size=700), st.floats(0.01, 1), units)
@settings(deadline=None, max_examples=150)
def test_a_drawn_token_lies_in_the_nucleus(values: list[float], top_p: float, unit: float) -> None:
    import torch

    from charter.models.decode import draw_token

    token = draw_token(logits_of(values), 1.0, top_p, unit)
    p = torch.softmax(logits_of(values).double(), 0)
    likelier = float(p[p > p[token]].sum())
    assert p[token] > 0
    assert likelier < top_p or math.isclose(likelier, top_p, rel_tol=1e-12)


@given(st.lists(finite, min_size=1, max_size=40), st.floats(0.1, 3), units)
@settings(deadline=None, max_examples=100)
def test_without_a_nucleus_the_cdf_covers_all(
    values: list[float], temperature: float, unit: float
) -> None:
    import torch

    from charter.models.decode import draw_token

    p = torch.softmax(logits_of(values).double() / temperature, 0)
    token = draw_token(logits_of(values), temperature, 1.0, unit)
    before = float(p[:token].sum())
    assert before - 1e-9 <= unit <= before + float(p[token]) + 1e-9
    middle = p.cumsum(0) - p / 2
    for place in range(len(values)):
        if p[place] > 1e-9:
            assert draw_token(logits_of(values), temperature, 1.0, float(middle[place])) == place


def test_the_draws_follow_the_probabilities() -> None:
    import torch

    from charter.models.decode import draw_token
    from charter.rows import draw_unit

    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    counts = [0, 0, 0, 0]
    for index in range(4000):
        counts[draw_token(p.log(), 1.0, 1.0, draw_unit(1, index))] += 1
    assert all(abs(n / 4000 - q) < 0.03 for n, q in zip(counts, p.tolist(), strict=True))


def test_the_nucleus_is_found_beyond_the_head() -> None:
    import torch

    from charter.models.decode import nucleus

    flat = torch.full((2000,), 1 / 2000, dtype=torch.float64)
    flat[:1000] *= 1.5
    flat[1000:] *= 0.5
    assert int((nucleus(flat, 0.7) > 0).sum()) == 1000
    assert int((nucleus(flat, 0.8) > 0).sum()) == 2000


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}])
def test_sampling_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    from charter.models.decode import Sampling

    with pytest.raises(ValueError, match="top_p"):
        Sampling(**({"temperature": 1.0} | wrong))
