"""Log-probabilities of labels as the first token of an answer: one pass, shared prefixes once.

Comparisons of one prompt begin alike: instruction, conversation, often the first candidate.
Sorted by their tokens they form a tree. Where the model allows it, whole trees are read in one
pass (`charter.models.tree`); elsewhere each branch that is worth a pass of its own is read once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import DynamicCache

from charter.models.prefill import (
    PASS_TOKENS,
    Ids,
    check_logits,
    common_prefix,
    most_shared,
    read_batch,
    read_prefix,
    split_batches,
)
from charter.models.tree import can_read_trees, cut_trees, grow, read_tree

__all__ = ["MOST_ROWS", "Sharing", "label_spellings", "next_logprobs"]

Sharing = Literal["tree", "branches", "prefix", "none"]

# Prompts of a pass in the ways that read a padded batch.
MOST_ROWS = 32
# Tokens of a pass: more gain nothing on a CPU, and the larger tensors of a batch would be
# fetched from the system anew for every layer.
MOST_TOKENS = 4096
# Prompts of a tree: each leaves a row of logits over the whole vocabulary.
MOST_LEAVES = 512


@dataclass(frozen=True, slots=True)
class _Pass:
    """A part of the tree: the rows, how far their prefix is read, and how they go on.

    Attributes:
        rows: positions in the sorted prompts.
        shared: tokens of the prefix to have read before these rows are read on.
        parts: what each subset of the rows does next; none: they are read to their ends.
        cost: in tokens.
    """

    rows: tuple[int, ...]
    shared: int
    parts: tuple[_Pass, ...]
    cost: int


def label_spellings(tokenizer: Any, labels: Sequence[str]) -> dict[str, list[int]]:
    """The single tokens that spell each label, plain and after a space; empty where none does."""
    spellings: dict[str, list[int]] = {}
    for label in labels:
        encoded = [
            tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            for text in (label, f" {label}")
        ]
        spellings[label] = sorted({ids[0] for ids in encoded if len(ids) == 1})
    return spellings


@torch.inference_mode()
def next_logprobs(
    model: Any,
    prompts: Sequence[Ids],
    spellings: Sequence[Mapping[str, Sequence[int]]],
    *,
    share: Sharing = "tree",
) -> list[dict[str, float]]:
    """Natural-log probability of each label as the token after its prompt, prompt by prompt.

    The prompts are sorted and cut into passes by their content, so their order changes nothing.

    Args:
        model: a causal language model of transformers.
        prompts: token ids, none of them empty.
        spellings: for each prompt its labels and their tokens (see `label_spellings`).
        share: what is read once: the tree of all that begins alike, in one pass where the model
            allows it; the same `branches` pass by pass; the `prefix` of all prompts of a pass and
            nothing beyond it; or nothing. Prompts longer than a model can share
            (see `prefill.most_shared`) share nothing.
    """
    order = sorted(range(len(prompts)), key=lambda i: tuple(prompts[i]))
    most = most_shared(model)
    within = [i for i in order if len(prompts[i]) <= most]
    beyond = [i for i in order if len(prompts[i]) > most]
    found: list[dict[str, float]] = [{} for _ in prompts]
    ways: list[tuple[Sharing, list[int]]] = [(share, within), ("none", beyond)]
    for way, rows in ways:
        for read, logits in _read(model, [prompts[i] for i in rows], way):
            check_logits(model, logits)
            logprobs = torch.log_softmax(logits.double(), -1).cpu()
            for place, row in enumerate(read):
                found[rows[row]] = {
                    label: float(torch.logsumexp(logprobs[place, list(tokens)], 0))
                    for label, tokens in spellings[rows[row]].items()
                }
    return found


_Found = Iterator[tuple[tuple[int, ...], torch.Tensor]]


def _read(model: Any, prompts: Sequence[Ids], share: Sharing) -> _Found:
    """Sorted prompts in passes; rows and their next-token logits, (rows, vocabulary) each."""
    if share == "none":
        lengths = {row: len(prompt) for row, prompt in enumerate(prompts)}
        by_length = sorted(lengths, key=lambda row: (lengths[row], row))
        for batch in split_batches(by_length, lengths, MOST_ROWS, most_tokens=MOST_TOKENS):
            yield tuple(batch), read_batch(model, [prompts[row] for row in batch]).logits
        return
    whole = share == "tree" and can_read_trees(model)
    for first, end in cut_trees(prompts, MOST_TOKENS, MOST_LEAVES if whole else MOST_ROWS):
        rows = tuple(range(first, end))
        if whole:
            yield rows, read_tree(model, grow(prompts[first:end]))
        elif share == "prefix":
            yield from _walk(model, prompts, _together(prompts, rows), None)
        else:
            yield from _walk(model, prompts, _plan(prompts, rows, 0), None)


def _together(prompts: Sequence[Ids], rows: tuple[int, ...]) -> _Pass:
    """What all rows begin with, and then each to its end."""
    first, last = prompts[rows[0]], prompts[rows[-1]]
    shared = min(common_prefix(first, last), *(len(prompts[row]) - 1 for row in rows))
    return _Pass(rows, shared, (), 0)


def _plan(prompts: Sequence[Ids], rows: tuple[int, ...], read: int) -> _Pass:
    """The cheapest way to read sorted rows whose first `read` tokens are read already."""
    longest = max(len(prompts[row]) for row in rows)
    together = _Pass(rows, read, (), PASS_TOKENS + len(rows) * (longest - read))
    if len(rows) == 1:
        return together
    near = [common_prefix(prompts[one], prompts[two]) for one, two in itertools.pairwise(rows)]
    # Every row keeps a token of its own to read: the logits come from there.
    shared = min([*near, *(len(prompts[row]) - 1 for row in rows)])
    step = PASS_TOKENS + shared - read if shared > read else 0
    after = _Pass(rows, shared, (), step + PASS_TOKENS + len(rows) * (longest - shared))
    best = min(together, after, key=lambda option: option.cost)
    groups = _branches(rows, near, shared)
    if len(groups) > 1:
        parts = tuple(_plan(prompts, group, shared) for group in groups)
        split = _Pass(rows, shared, parts, step + sum(part.cost for part in parts))
        best = min(best, split, key=lambda option: option.cost)
    return best


def _branches(rows: tuple[int, ...], near: Sequence[int], shared: int) -> list[tuple[int, ...]]:
    """Rows by what follows the shared prefix; those that are alone there go together."""
    groups: list[tuple[int, ...]] = [rows[:1]]
    for row, common in zip(rows[1:], near, strict=True):
        if common > shared:
            groups[-1] += (row,)
        else:
            groups.append((row,))
    alone = tuple(row for group in groups if len(group) == 1 for row in group)
    return [group for group in groups if len(group) > 1] + ([alone] if alone else [])


def _walk(model: Any, prompts: Sequence[Ids], part: _Pass, cache: DynamicCache | None) -> _Found:
    """Carries a plan out."""
    read = int(cache.get_seq_length()) if cache is not None else 0
    if part.shared > read:
        cache = read_prefix(model, prompts[part.rows[0]][read : part.shared], cache)
    if not part.parts:
        rest = [prompts[row][part.shared :] for row in part.rows]
        yield part.rows, read_batch(model, rest, cache).logits
    for sub in part.parts:
        yield from _walk(model, prompts, sub, cache)
