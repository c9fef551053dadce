"""One pass over a tree of prompts: what several of them begin with is read once, by exact count.

The branches of the tree are laid out one after another as a single row. A branch attends to itself
and to those it continues, and its positions go on from theirs, so each prompt reads as if it were
alone. That needs neither padding nor copies of a cache, and passes large enough for a CPU to be
quick at (tree attention as in Miao et al. 2023, SpecInfer, arXiv 2305.09781, there for drafts).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from charter.models.prefill import Ids, common_prefix, read_batch

__all__ = ["Tree", "can_read_trees", "cut_trees", "grow", "read_tree"]

_NAME = "charter_tree"
# What attention may be given that changes what it does; with any of these a tree is not read.
_CHANGES = ("sliding_window", "softcap", "s_aux", "position_bias", "cache")
# Logits of one model by two ways of reading differ by up to 1e-4 in float32, and by more than 1
# where a trained model reads what it must not see.
_SAME = 1e-3
# The first ids are often marks of a template, which upset a model where they make no sense.
_WORDS = 100

_able: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Branch:
    """Tokens that the same prompts go through.

    Attributes:
        start: place of its first token in the row.
        stop: place after its last.
        above: (start, stop) of what it continues, the root first.
        before: tokens in all of these.
    """

    start: int
    stop: int
    above: tuple[tuple[int, int], ...]
    before: int


@dataclass(slots=True)
class Tree:
    """Prompts as one row.

    Attributes:
        ids: tokens.
        positions: where each token stands in its prompts.
        branches: in the order of the row.
        ends: the place of each prompt's last token, by the prompt's number.
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def cut_trees(prompts: Sequence[Ids], most_tokens: int, most_rows: int) -> list[tuple[int, int]]:
    """Where to cut sorted prompts into trees that fit a pass, so that little is read twice.

    A part takes as many prompts as it can, and ends in its second half where neighbours have
    least in common: between two conversations rather than inside of one.

    Args:
        prompts: sorted.
        most_tokens: of a tree; a prompt above it gets a tree alone.
        most_rows: prompts of a tree.

    Returns:
        (first, one after the last) prompt of each part.
    """
    parts: list[tuple[int, int]] = []
    first = 0
    while first < len(prompts):
        sizes = [len(prompts[first])]
        near: list[int] = []
        for one, two in itertools.pairwise(prompts[first : first + most_rows + 1]):
            shared = common_prefix(one, two)
            near.append(shared)
            if len(sizes) == most_rows or sizes[-1] + len(two) - shared > most_tokens:
                break
            sizes.append(sizes[-1] + len(two) - shared)
        count = len(sizes)
        if first + count < len(prompts):
            late = [n for n in range(count) if 2 * sizes[n] >= sizes[-1]]
            count = 1 + min(late, key=lambda n: (near[n], -n))
        parts.append((first, first + count))
        first += count
    return parts


def grow(prompts: Sequence[Ids]) -> Tree:
    """The tree of sorted prompts, none of them empty."""
    near = [common_prefix(one, two) for one, two in itertools.pairwise(prompts)]
    tree = Tree(ends=[0] * len(prompts))
    above: tuple[tuple[int, int], ...] = ()
    todo = [(0, len(prompts), 0, above)]
    while todo:
        first, end, read, above = todo.pop()
        shared = min(near[first : end - 1], default=len(prompts[first]))
        if shared > read:
            start = len(tree.ids)
            tree.ids += prompts[first][read:shared]
            tree.positions += range(read, shared)
            tree.branches.append(Branch(start, len(tree.ids), above, read))
            above += ((start, len(tree.ids)),)
        while first < end and len(prompts[first]) == shared:
            tree.ends[first] = above[-1][1] - 1
            first += 1
        splits = [row + 1 for row in range(first, end - 1) if near[row] == shared]
        parts = itertools.pairwise([first, *splits, end] if first < end else [])
        todo += [(one, two, shared, above) for one, two in reversed(list(parts))]
    return tree


def can_read_trees(model: Any) -> bool:
    """Whether the model's attention can be replaced by the tree's; tried once a model.

    Only in float32 on a CPU: elsewhere it has not been measured.
    """
    if model not in _able:
        _able[model] = _full_attention(model) and _reads_alike(model)
    return _able[model]


def _full_attention(model: Any) -> bool:
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    on_cpu = model.device.type == "cpu" and model.dtype == torch.float32
    backend = getattr(model, "_supports_attention_backend", False)
    return bool(on_cpu and backend and kinds == {"full_attention"})


@torch.inference_mode()
def _reads_alike(model: Any) -> bool:
    """Reads a small tree both ways: a layer that mixes neighbours in some way of its own shows."""
    small = [(1, 2, 3), (1, 2, 3, 4, 5, 6), (1, 2, 3, 7), (1, 8, 9, 3, 2)]
    prompts = [tuple(_WORDS + token for token in prompt) for prompt in small]
    try:
        found = read_tree(model, grow(prompts))
    except (NotImplementedError, TypeError, ValueError, LookupError, RuntimeError):
        return False
    alone = torch.cat([read_batch(model, [prompt]).logits for prompt in prompts])
    return bool((found - alone).abs().max() < _SAME)


def read_tree(model: Any, tree: Tree) -> torch.Tensor:
    """Logits of the token that follows each prompt, float32, (prompts, vocabulary).

    The model must not be used by another thread meanwhile: its attention is exchanged.
    """
    usual = model.config._attn_implementation
    masks: dict[tuple[int, int], torch.Tensor] = {}
    model.set_attn_implementation(_NAME)
    try:
        output = model(
            input_ids=torch.tensor([tree.ids]),
            position_ids=torch.tensor([tree.positions]),
            use_cache=False,
            logits_to_keep=torch.tensor(tree.ends),
            charter_tree=[(branch, _mask(branch, masks)) for branch in tree.branches],
        )
    finally:
        model.set_attn_implementation(usual)
    logits: torch.Tensor = output.logits[0].float()
    return logits


def _mask(branch: Branch, made: dict[tuple[int, int], torch.Tensor]) -> torch.Tensor | None:
    """To add to the scores: all of what is above, and of itself what came before; None: causal."""
    size = branch.stop - branch.start
    if not branch.before or size == 1:
        return None
    if (size, branch.before) not in made:
        own = torch.full((size, size), float("-inf")).triu(1)
        made[size, branch.before] = torch.cat([torch.zeros(size, branch.before), own], 1)
    return made[size, branch.before]


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    charter_tree: Sequence[tuple[Branch, torch.Tensor | None]],
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of transformers' interface, branch by branch; (1, heads, tokens, size) each."""
    changes = [name for name in _CHANGES if more.get(name) is not None]
    if changes or attention_mask is not None:
        raise NotImplementedError(f"tree attention with {changes or 'a mask'}")
    heads, tokens = query.shape[1:3]
    found = query.new_empty(1, tokens, heads, value.shape[-1])
    for branch, mask in charter_tree:
        places = [*branch.above, (branch.start, branch.stop)]
        attended = scaled_dot_product_attention(
            query[:, :, branch.start : branch.stop],
            torch.cat([key[:, :, start:stop] for start, stop in places], 2),
            torch.cat([value[:, :, start:stop] for start, stop in places], 2),
            attn_mask=mask,
            is_causal=not branch.before,
            scale=scaling,
            enable_gqa=True,
        )
        found[:, branch.start : branch.stop] = attended.transpose(1, 2)
    return found, None


AttentionInterface.register(_NAME, _attend)
