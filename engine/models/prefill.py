"""Reading prompts: left-padded batches, and a prefix that several prompts share read once."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from charter.errors import Failure, Fault

__all__ = [
    "Ids",
    "Read",
    "can_select_rows",
    "check_logits",
    "common_prefix",
    "fork",
    "most_shared",
    "read_batch",
    "read_prefix",
    "split_batches",
]

Ids = Sequence[int]

# Rows times (longest prompt + tokens to come) of one batch: it bounds the key-value cache, which
# takes 46 KB a token for the embedded model, so 1.5 GB.
MAX_BATCH_TOKENS = 32_768

# What a pass through the model costs beside its tokens, in tokens: a pass of few tokens takes
# as long as one of about so many, since the weights must be read either way.
PASS_TOKENS = 24


@dataclass(slots=True)
class Read:
    """A batch of prompts after reading.

    Attributes:
        logits: of the token that follows each prompt, float32, (rows, vocabulary).
        cache: keys and values of all that was read.
        mask: 1 where the cache holds a token and 0 where it holds padding, (rows, length).
    """

    logits: torch.Tensor
    cache: DynamicCache
    mask: torch.Tensor


def split_batches(
    order: Iterable[int],
    lengths: Mapping[int, int],
    max_rows: int,
    more: int = 0,
    *,
    most_tokens: int = MAX_BATCH_TOKENS,
) -> list[list[int]]:
    """The fixed rule by which many prompts become batches: in the order given, until one is full.

    Args:
        order: keys of `lengths`, in an order that the prompts' content decides.
        lengths: tokens of each prompt, by position.
        max_rows: most rows of a batch.
        more: tokens that will be added to each row.
        most_tokens: rows times the longest of them, at most.

    Returns:
        Positions, a list a batch. A prompt above the token budget gets a batch alone.
    """
    batches: list[list[int]] = []
    longest = 0
    for position in order:
        longest = max(longest, lengths[position] + more)
        rows = len(batches[-1]) + 1 if batches else max_rows + 1
        if rows > max_rows or rows * longest > most_tokens:
            batches.append([])
            longest = lengths[position] + more
        batches[-1].append(position)
    return batches


def common_prefix(one: Ids, other: Ids) -> int:
    """How many tokens two prompts have in common at their start."""
    for position, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return position
    return min(len(one), len(other))


def fork(cache: DynamicCache | None, rows: int) -> DynamicCache | None:
    """A cache of one row as the start of `rows` rows; the original stays as it is.

    Layers grow by making new tensors, never in place, so a shallow copy is enough.
    """
    if cache is None:
        return None
    forked: DynamicCache = copy.copy(cache)
    forked.layers = [copy.copy(layer) for layer in cache.layers]
    if rows > 1:
        forked.batch_repeat_interleave(rows)
    return forked


def most_shared(model: Any) -> float:
    """How long prompts may be, with what is written to them, for a prefix to be read but once.

    Rows that go on from one prefix by different lengths have padding between it and their rest.
    Full attention looks past that. A sliding window counts it as tokens and so would see less of
    the prefix than of a prompt read alone, unless the window holds all; layers that carry a state
    run through it, and change that state in place. A model that is told no positions counts it.

    Returns:
        Tokens: without end for full attention, 0 where no prefix can be shared.
    """
    if "position_ids" not in signature(type(model).forward).parameters:
        return 0
    layers = DynamicCache(config=model.config).layers
    windows = {
        layer.sliding_window if type(layer) is DynamicSlidingWindowLayer else 0
        for layer in layers
        if type(layer) is not DynamicLayer
    }
    return min(windows, default=math.inf)


def can_select_rows(model: Any) -> bool:
    """Whether rows of its cache can be taken out and doubled: not those of layers with a state."""
    layers = DynamicCache(config=model.config).layers
    return all(hasattr(layer, "batch_select_indices") for layer in layers)


def read_prefix(model: Any, ids: Ids, cache: DynamicCache | None = None) -> DynamicCache:
    """Reads `ids` as one row after what `cache` (one row, or None) holds; gives a new cache."""
    return read_batch(model, [ids], cache).cache


def read_batch(model: Any, prompts: Sequence[Ids], cache: DynamicCache | None = None) -> Read:
    """Reads prompts as one left-padded batch, each after the one row that `cache` holds.

    Args:
        model: a causal language model of transformers.
        prompts: token ids, none of them empty; what follows the cached prefix.
        cache: the prefix that all of them share, unpadded, or None.
    """
    before = int(cache.get_seq_length()) if cache is not None else 0
    started = fork(cache, len(prompts)) or DynamicCache(config=model.config)
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), before + width, dtype=torch.long)
    mask[:, :before] = 1
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, before + width - len(prompt) :] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, before:]
    mask = mask.to(model.device)
    output = model(
        input_ids=ids.to(model.device),
        attention_mask=mask,
        position_ids=positions.to(model.device),
        past_key_values=started,
        use_cache=True,
        # Logits of every position would be gigabytes: 49,152 words a token.
        logits_to_keep=1,
    )
    return Read(output.logits[:, -1].float(), started, mask)


def check_logits(model: Any, logits: torch.Tensor) -> None:
    """See that logits are numbers: the likeliest of NaN is a token like any other.

    Raises:
        Failure: one is NaN or without end, as of a training that diverged.
    """
    if not (logits < math.inf).all():  # minus infinity is how a model rules a token out
        what = "gives logits that are no numbers: its weights are spoilt"
        fix = "train it again with a lower learning_rate"
        raise Failure(Fault(str(model.name_or_path), "", what, fix))
