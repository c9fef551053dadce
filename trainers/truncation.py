"""How many rows are too long for the model's window: counted, so that nothing is cut unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

__all__ = ["Truncation", "count_truncated"]

_BATCH = 256  # rows tokenised at once; fast tokenizers work on them in parallel


@dataclass(frozen=True, slots=True)
class Truncation:
    """Rows that TRL won't train on as they are.

    Attributes:
        cut: rows whose answer loses its end.
        dropped_at: places of the rows that are left out.
    """

    cut: int = 0
    dropped_at: tuple[int, ...] = ()

    @property
    def dropped(self) -> int:
        """How many rows are left out."""
        return len(self.dropped_at)


def count_truncated(
    rows: Iterable[Mapping[str, Any]],
    tokenizer: Any,
    completions: Sequence[str],
    max_length: int | None,
    *,
    overflow: str = "cut",
    wraps: bool = False,
) -> Truncation:
    """Count the rows that TRL cuts or drops at `max_length` tokens.

    Tokenises as TRL 1.16 does: the prompt with the generation prompt, the prompt with each
    completion without it.

    Args:
        rows: with `prompt` and the completions as messages.
        tokenizer: with a chat template.
        completions: the columns that follow the prompt.
        max_length: in tokens; None cuts nothing.
        overflow: `cut`: a longer row loses its end, and is left out where the prompt alone fills
            the window; `drop`: a longer row is left out; `front`: it loses its start.
        wraps: whether the tokens that begin and end a text are put where they are missing.
    """
    bos = tokenizer.bos_token_id if wraps else None
    eos = tokenizer.eos_token_id if wraps else None
    cut, dropped = 0, []
    iterator = iter(rows)
    place = 0
    while max_length is not None and (batch := list(islice(iterator, _BATCH))):
        asked = [row["prompt"] for row in batch]
        prompts = _lengths(tokenizer, asked, prompt=True, begins=bos)
        whole = [0] * len(batch)
        for column in completions:
            texts = [[*row["prompt"], *row[column]] for row in batch]
            lengths = _lengths(tokenizer, texts, prompt=False, begins=bos, ends=eos)
            whole = [max(pair) for pair in zip(whole, lengths, strict=True)]
        for prompt, longest in zip(prompts, whole, strict=True):
            full = {"cut": prompt >= max_length, "drop": longest > max_length}
            if full.get(overflow, False):
                dropped.append(place)
            else:
                cut += longest > max_length
            place += 1
    return Truncation(cut, tuple(dropped))


def _lengths(
    tokenizer: Any,
    conversations: list[Any],
    *,
    prompt: bool,
    begins: int | None = None,
    ends: int | None = None,
) -> list[int]:
    """Tokens of each, and one more for each of `begins` and `ends` that is not there yet."""
    ids = tokenizer.apply_chat_template(
        conversations, add_generation_prompt=prompt, tokenize=True, return_dict=False
    )
    return [
        len(tokens)
        + (begins is not None and tokens[:1] != [begins])
        + (ends is not None and tokens[-1:] != [ends])
        for tokens in ids
    ]
