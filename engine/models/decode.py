"""Decoding a batch: one loop over a key-value cache, one seeded draw a row and step.

`generate` of transformers has no generator a row. Here the draw of a row depends on that row's
seed and step alone, so a sample is the same alone, in a batch and in another order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from charter.models.prefill import (
    PASS_TOKENS,
    Ids,
    Read,
    can_select_rows,
    check_logits,
    common_prefix,
    most_shared,
    read_batch,
    read_prefix,
)
from charter.rows import draw_unit

__all__ = ["Sampling", "Written", "decode_batch", "draw_token", "nucleus"]

# The largest probabilities among which the nucleus is looked for before all are sorted.
_HEAD = 512


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: 0 takes the likeliest token; else logits are divided by it.
        top_p: the nucleus (Holtzman et al. 2020, arXiv 1904.09751); 1 is every token.
        max_tokens: most tokens to generate, the end token counted.
        stop: texts at which a row ends, themselves left out.
    """

    temperature: float
    top_p: float = 1.0
    max_tokens: int = 128
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.max_tokens < 1:
            raise ValueError(f"want temperature >= 0, 0 < top_p <= 1, max_tokens >= 1: {self}")


@dataclass(slots=True)
class Written:
    """What one row has generated.

    Attributes:
        ids: the generated tokens, the end token among them.
        finish_reason: `stop` (an end token or a stop text), `length`, or "" while it goes on.
    """

    ids: list[int] = field(default_factory=list)
    finish_reason: str = ""


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The probabilities inside the nucleus, and 0 outside of it.

    The nucleus is the smallest set of likeliest tokens whose sum reaches `top_p`; tokens as
    likely as its last are in it too, so that no order among equals decides.

    Args:
        probabilities: float64, (vocabulary,), summing to 1.
        top_p: in (0, 1].
    """
    if top_p >= 1:
        return probabilities
    head = torch.topk(probabilities, min(_HEAD, len(probabilities))).values
    sums = head.cumsum(0)
    if sums[-1] < top_p:
        head = torch.sort(probabilities, descending=True).values
        sums = head.cumsum(0)
    last = min(int((sums < top_p).sum()), len(head) - 1)
    return torch.where(probabilities >= head[last], probabilities, 0.0)


def draw_token(logits: torch.Tensor, temperature: float, top_p: float, unit: float) -> int:
    """One token by inverse CDF, in float64, over the nucleus in order of token ids.

    In that order a rounding difference in the logits moves the borders by as much and no more,
    while the order of probabilities could swap neighbours.

    Args:
        logits: (vocabulary,), on the CPU.
        temperature: above 0.
        top_p: in (0, 1].
        unit: uniform in [0, 1).
    """
    kept = nucleus(torch.softmax(logits.double() / temperature, 0), top_p)
    sums = kept.cumsum(0)
    # In float64 a number below 1 times a sum is below that sum, so that there always is a token.
    return int(torch.searchsorted(sums, unit * float(sums[-1]), right=True))


@torch.inference_mode()
def decode_batch(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Ids],
    seeds: Sequence[int],
    sampling: Sampling,
    ends: Collection[int],
) -> list[Written]:
    """Continues prompts as one batch, in their order.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer, asked for text only where there are stop texts.
        prompts: token ids; none may be empty or leave no room for `max_tokens`.
        seeds: one a prompt; without meaning at temperature 0.
        sampling: how tokens are chosen.
        ends: the ids that end a row.

    Raises:
        Failure: the model's weights are spoilt.
    """
    written = [Written() for _ in prompts]
    rows = list(range(len(prompts)))
    selects = can_select_rows(model)
    more = sampling.max_tokens
    state = _read_unique(model, prompts, more) if selects else read_batch(model, prompts)
    for step in range(sampling.max_tokens):
        check_logits(model, state.logits)
        tokens = _choose(state.logits, [seeds[row] for row in rows], step, sampling)
        for row, token in zip(rows, tokens, strict=True):
            _append(written[row], token, tokenizer, sampling, ends)
        going = [place for place, row in enumerate(rows) if not written[row].finish_reason]
        if not going:
            break
        # Selecting rows copies the cache, so a few finished rows are carried along.
        if selects and len(going) <= 0.75 * len(rows):
            index = torch.tensor(going, device=state.mask.device)
            state.cache.batch_select_indices(index)
            state.mask = state.mask[index]
            tokens = [tokens[place] for place in going]
            rows = [rows[place] for place in going]
        _advance(model, state, tokens)
    return written


def _read_unique(model: Any, prompts: Sequence[Ids], more: int) -> Read:
    """Reads each different prompt once, and once what all begin with; then one row a prompt.

    `more` is how many tokens will be added to each.
    """
    places: dict[tuple[int, ...], int] = {}
    index = [places.setdefault(tuple(prompt), len(places)) for prompt in prompts]
    unique = list(places)
    # Every row keeps a token of its own to read: the logits come from there.
    limit = min(len(prompt) for prompt in unique) - 1
    shared = min([limit, *(common_prefix(unique[0], prompt) for prompt in unique[1:])])
    fits = max(map(len, unique)) + more <= most_shared(model)
    if fits and (len(unique) - 1) * shared > PASS_TOKENS:
        prefix = read_prefix(model, unique[0][:shared])
        state = read_batch(model, [prompt[shared:] for prompt in unique], prefix)
    else:
        state = read_batch(model, unique)
    if len(unique) < len(prompts):
        rows = torch.tensor(index, device=state.mask.device)
        state.cache.batch_select_indices(rows)
        state.logits, state.mask = state.logits[rows], state.mask[rows]
    return state


def _choose(logits: torch.Tensor, seeds: Sequence[int], step: int, how: Sampling) -> list[int]:
    """The next token of each row."""
    if how.temperature == 0:
        chosen: list[int] = logits.argmax(-1).tolist()
        return chosen
    logits = logits.cpu()
    return [
        draw_token(row, how.temperature, how.top_p, draw_unit(seed, "token", step))
        for row, seed in zip(logits, seeds, strict=True)
    ]


def _append(
    row: Written, token: int, tokenizer: Any, sampling: Sampling, ends: Collection[int]
) -> None:
    """Takes the token into the row and says whether that ends it; nothing once it has ended."""
    if row.finish_reason:
        return
    row.ids.append(token)
    if token in ends or (sampling.stop and _stopped(tokenizer, row.ids, sampling.stop)):
        row.finish_reason = "stop"
    elif len(row.ids) >= sampling.max_tokens:
        row.finish_reason = "length"


def _stopped(tokenizer: Any, ids: Sequence[int], stop: Sequence[str]) -> bool:
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return any(mark in text for mark in stop)


def _advance(model: Any, state: Read, tokens: Sequence[int]) -> None:
    """One more token a row through the model."""
    ones = state.mask.new_ones(len(tokens), 1)
    state.mask = torch.cat([state.mask, ones], 1)
    output = model(
        input_ids=torch.tensor(tokens, device=state.mask.device)[:, None],
        attention_mask=state.mask,
        position_ids=state.mask.sum(1, keepdim=True) - 1,
        past_key_values=state.cache,
        use_cache=True,
        logits_to_keep=1,
    )
    state.logits = output.logits[:, -1].float()
