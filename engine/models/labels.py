"""Log-probabilities of labels as the first token of an answer: one pass, shared prefixes once.

Comparisons of one prompt begin alike: instruction, conversation, often the first candidate.
Sorted by their tokens they form a tree, and each branch of it that is worth a pass is read once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from charter.models.prefill import PASS_TOKENS, Ids, common_prefix, read_batch, read_prefix

__all__ = ["label_spellings", "next_logprobs"]


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
    share: bool = True,
) -> list[dict[str, float]]:
    """Natural-log probability of each label as the token after its prompt, prompt by prompt.

    Args:
        model: a causal language model of transformers.
        prompts: token ids, none of them empty.
        spellings: for each prompt its labels and their tokens (see `label_spellings`).
        share: read common prefixes once; False is the plain way, for comparison.
    """
    order = sorted(range(len(prompts)), key=lambda i: tuple(prompts[i]))
    ordered = [prompts[i] for i in order]
    rows = tuple(range(len(ordered)))
    plan = _plan(ordered, rows, 0) if share else _Pass(rows, 0, (), 0)
    found: list[dict[str, float]] = [{} for _ in prompts]
    for read, logits in _walk(model, ordered, plan, None):
        logprobs = torch.log_softmax(logits.double(), -1).cpu()
        for place, row in enumerate(read):
            found[order[row]] = {
                label: float(torch.logsumexp(logprobs[place, list(tokens)], 0))
                for label, tokens in spellings[order[row]].items()
            }
    return found


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


def _walk(
    model: Any, prompts: Sequence[Ids], part: _Pass, cache: DynamicCache | None
) -> list[tuple[tuple[int, ...], torch.Tensor]]:
    """Carries a plan out; rows and their next-token logits, (rows, vocabulary) each."""
    read = int(cache.get_seq_length()) if cache is not None else 0
    if part.shared > read:
        cache = read_prefix(model, prompts[part.rows[0]][read : part.shared], cache)
    if part.parts:
        return [found for sub in part.parts for found in _walk(model, prompts, sub, cache)]
    rest = [prompts[row][part.shared :] for row in part.rows]
    return [(part.rows, read_batch(model, rest, cache).logits)]
