"""Drawing a token, and batches: each row as if it were alone and read anew for each token."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_causal import tiny_causal, tokens_read


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


@pytest.mark.parametrize(
    ("probabilities", "top_p", "kept"),
    [
        ([0.25, 0.5, 0.25], 0.5, [1]),
        ([0.125, 0.5, 0.25, 0.125], 0.75, [1, 2]),
        ([0.125, 0.5, 0.25, 0.125], 0.76, [0, 1, 2, 3]),
        # Rounding: all of them together do not reach it.
        ([0.25, 0.25, 0.5 - 2**-50], 1 - 2**-53, [0, 1, 2]),
    ],
)
def test_the_nucleus_is_the_smallest_that_reaches_top_p(
    probabilities: list[float], top_p: float, kept: list[int]
) -> None:
    import torch

    from charter.models.decode import draw_token, nucleus

    p = torch.tensor(probabilities, dtype=torch.float64)
    assert torch.nonzero(nucleus(p, top_p)).flatten().tolist() == kept
    # The least and the greatest unit draw its first and its last token, and none outside of it.
    assert draw_token(p.log(), 1.0, top_p, 0.0) == kept[0]
    assert draw_token(p.log(), 1.0, top_p, 1 - 2**-53) == kept[-1]


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"max_tokens": 0}]
)
def test_sampling_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    from charter.models.decode import Sampling

    with pytest.raises(ValueError, match="top_p"):
        Sampling(**({"temperature": 1.0} | wrong))


# Batches

ENDS = range(12)


def conversations() -> list[list[int]]:
    """Prompts that begin alike and go on by different lengths; two of them stand there twice."""
    rng = random.Random(5)
    trunk = rng.choices(range(20, 160), k=40)
    found = [[*trunk, *rng.choices(range(20, 160), k=length)] for length in (0, 2, 3, 9, 14, 30)]
    return [*found, found[1], found[4]]


def written_plainly(model: Any, prompt: list[int], seed: int, how: Any) -> tuple[list[int], str]:
    """No cache, no batch: all that there is is read again for each token."""
    import torch

    from charter.models.decode import draw_token
    from charter.rows import draw_unit

    ids: list[int] = []
    while len(ids) < how.max_tokens:
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *ids]])).logits[0, -1].float()
        if how.temperature:
            unit = draw_unit(seed, "token", len(ids))
            ids.append(draw_token(logits, how.temperature, how.top_p, unit))
        else:
            ids.append(int(logits.argmax()))
        if ids[-1] in ENDS:
            return ids, "stop"
    return ids, "length"


@pytest.mark.parametrize("temperature", [0.0, 4.0])
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Llama", {}),
        ("GPTBigCode", {}),  # looks positions up, also those of padding
        ("Mistral", {"sliding_window": 50}),
        ("GptOss", {"sliding_window": 16}),
        ("Lfm2", {"layer_types": ["conv", "full_attention"]}),
        ("Mpt", {}),  # counts padding, and is told no positions
    ],
)
def test_a_row_is_written_the_same_alone_in_a_batch_and_in_another_order(
    kind: str, more: Any, temperature: float
) -> None:
    from charter.models.decode import Sampling, decode_batch

    model = tiny_causal(kind, **more)
    prompts = [*conversations(), [25, 30, 21]]
    seeds = [n // 2 for n in range(len(prompts))]
    how = Sampling(temperature, 0.95, max_tokens=10)
    plain = [written_plainly(model, *row, how) for row in zip(prompts, seeds, strict=True)]
    if temperature:
        assert {reason for _, reason in plain} == {"stop", "length"}
        assert len({len(ids) for ids, _ in plain}) > 2

    alike = list(range(len(prompts) - 1))
    order = random.Random(1).sample(alike, len(alike))
    # All that begin alike, two of which are the same; then some with one that begins otherwise.
    for rows in [alike, order, [1, 0, 6], [1, 8, 0], *([row] for row in order)]:
        found = decode_batch(
            model, None, [prompts[r] for r in rows], [seeds[r] for r in rows], how, ENDS
        )
        assert [(row.ids, row.finish_reason) for row in found] == [plain[r] for r in rows]


@pytest.mark.parametrize(
    ("kind", "more", "passes"),
    [
        ("Llama", {}, [39, 6 * 31]),
        # Seventy tokens and one to write: what the window cannot hold is not shared.
        ("Mistral", {"sliding_window": 71}, [39, 6 * 31]),
        ("Mistral", {"sliding_window": 70}, [6 * 70]),
    ],
)
def test_what_all_begin_with_and_what_is_asked_twice_is_read_once(
    kind: str, more: Any, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from charter.models.decode import Sampling, decode_batch

    model = tiny_causal(kind, **more)
    read = tokens_read(model, monkeypatch)
    decode_batch(model, None, conversations(), [0] * 8, Sampling(0.0, max_tokens=1), ())
    assert read == passes
