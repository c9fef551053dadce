"""Label log-probabilities of prompts that begin alike: trees, their cuts, and the figures."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_causal import tiny_causal, tokens_read

SHARINGS = ("none", "prefix", "branches", "tree")

# Few different tokens, so that prompts begin alike, repeat and continue one another.
prompts_of_few_tokens = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=12
)


def figures(model: Any, prompts: Sequence[Sequence[int]], share: Any) -> list[dict[str, float]]:
    from charter.models.labels import next_logprobs

    return next_logprobs(model, prompts, [{"A": [7, 8], "B": [9]}] * len(prompts), share=share)


def comparisons(prompts: int, seed: int = 1) -> list[list[int]]:
    """Twelve ordered pairs of four candidates a prompt, each pair with a question of its own."""
    rng = random.Random(seed)

    def text(least: int, most: int) -> list[int]:
        return rng.choices(range(10, 160), k=rng.randint(least, most))

    found = []
    frame = text(5, 5)
    for _ in range(prompts):
        conversation, candidates = text(4, 12), [text(1, 15) for _ in range(4)]
        for one, two in itertools.combinations(candidates, 2):
            question = text(3, 6)
            for first, second in ((one, two), (two, one)):
                found.append([*frame, *conversation, *first, 5, *second, 6, *question])
    return found


@settings(deadline=None)  # torch is imported meanwhile
@given(prompts_of_few_tokens)
def test_a_trees_branches_spell_its_prompts_and_hold_nothing_twice(prompts: list[Any]) -> None:
    from charter.models.tree import grow

    prompts = sorted(prompts)
    tree = grow(prompts)
    spelt = []
    for end in tree.ends:
        branch = next(b for b in tree.branches if b.start <= end < b.stop)
        places = [*branch.above, (branch.start, end + 1)]
        spelt.append([token for start, stop in places for token in tree.ids[start:stop]])
        assert branch.before == sum(stop - start for start, stop in branch.above)
        assert tree.positions[end] == len(spelt[-1]) - 1
    assert spelt == prompts
    prefixes = {tuple(prompt[:n]) for prompt in prompts for n in range(1, len(prompt) + 1)}
    assert len(tree.ids) == len(tree.positions) == len(prefixes)


@settings(deadline=None)
@given(prompts_of_few_tokens, st.integers(1, 20), st.integers(1, 5))
def test_cuts_keep_every_prompt_and_the_bounds(prompts: list[Any], tokens: int, rows: int) -> None:
    from charter.models.tree import cut_trees, grow

    prompts = sorted(prompts)
    parts = cut_trees(prompts, tokens, rows)
    covered = [row for first, end in parts for row in range(first, end)]
    assert covered == list(range(len(prompts)))
    for first, end in parts:
        assert 1 <= end - first <= rows
        assert end - first == 1 or len(grow(prompts[first:end]).ids) <= tokens


def test_a_cut_falls_between_conversations() -> None:
    from charter.models.tree import cut_trees, grow

    prompts = sorted(comparisons(5))
    most = 2 * max(len(grow(prompts[n : n + 12]).ids) for n in range(0, 60, 12))
    ends = [end for _, end in cut_trees(prompts, most, 512)]
    assert len(ends) >= 2
    assert all(end % 12 == 0 for end in ends)


def test_a_part_is_as_large_as_its_tree_may_be() -> None:
    from charter.models.tree import cut_trees

    alike = [[1] * 50 + [n] for n in range(10)]
    assert cut_trees(alike, 60, 512) == [(0, 10)]
    assert cut_trees([[1], *([2, n] for n in range(12))], 1000, 8)[0] == (0, 8)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_all_ways_give_the_plain_figures_in_any_order(seed: int) -> None:
    model = tiny_causal()
    prompts = [*comparisons(2, seed), [11], [11, 12]]
    plain = figures(model, prompts, "none")
    order = random.Random(seed).sample(range(len(prompts)), len(prompts))
    for share in SHARINGS[1:]:
        found = figures(model, prompts, share)
        for one, two in zip(plain, found, strict=True):
            assert one == pytest.approx(two, abs=1e-4)
        mixed = figures(model, [prompts[row] for row in order], share)
        assert mixed == [found[row] for row in order]


def test_a_tree_is_one_pass_of_its_tokens_and_leaves_the_model_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from charter.models.tree import can_read_trees, grow

    model = tiny_causal()
    assert can_read_trees(model)
    before = model.config._attn_implementation
    read = tokens_read(model, monkeypatch)
    prompts = comparisons(2)
    figures(model, prompts, "tree")
    assert read == [len(grow(sorted(prompts)).ids)]
    assert model.config._attn_implementation == before


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Mistral", {"sliding_window": 4}),
        ("Mistral", {"sliding_window": 40}),
        ("Mistral", {"sliding_window": 60}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 40, "max_window_layers": 1}),
        ("Gemma2", {"attn_logit_softcapping": 5.0, "head_dim": 8, "sliding_window": 16}),
        ("Lfm2", {"layer_types": ["conv", "full_attention"]}),
        ("Mpt", {}),  # knows no positions, but counts what lies between, padding as well
    ],
)
def test_a_model_of_another_attention_reads_each_prompt_as_if_it_were_alone(
    kind: str, more: Any
) -> None:
    from charter.models.tree import can_read_trees

    model = tiny_causal(kind, **more)
    assert not can_read_trees(model)
    prompts = comparisons(2)
    usual = model.config._attn_implementation
    alone = [figures(model, [prompt], "none")[0] for prompt in prompts]
    for share in SHARINGS:
        for one, two in zip(alone, figures(model, prompts, share), strict=True):
            assert one == pytest.approx(two, abs=1e-4)
    assert model.config._attn_implementation == usual


def test_a_scale_of_the_models_own_is_heeded_in_a_tree() -> None:
    from charter.models.tree import can_read_trees

    assert can_read_trees(tiny_causal("Granite", attention_multiplier=0.7))


@pytest.mark.parametrize("share", SHARINGS)
def test_a_prompt_that_others_continue_is_read_like_any_other(share: str) -> None:
    model = tiny_causal()
    start = random.Random(2).choices(range(10, 160), k=60)
    prompts = [start, start[:40], *([*start, 11, n] for n in range(20, 32))]
    alone = [figures(model, [prompt], "none")[0] for prompt in prompts]
    for one, two in zip(alone, figures(model, prompts, share), strict=True):
        assert one == pytest.approx(two, abs=1e-4)


def test_a_layer_that_mixes_neighbours_is_found_out() -> None:
    from charter.models.tree import can_read_trees

    model = tiny_causal()
    mlp = model.model.layers[0].mlp
    plain = mlp.forward
    mlp.forward = lambda states: plain(states) + states.cumsum(1)
    assert not can_read_trees(model)
