"""Safety-recovery augmentation: refusals that come after the beginning of an unsafe answer.

Qi et al. 2024 (arXiv 2406.05946, section 3.1): alignment that changes only the first tokens of an
answer is undone by whoever writes these. So a model is also shown its own unrevised answer up to
token k and then the revision, with the loss on the revision alone. k is 0 half of the time, else
uniform from 1 on. The published rows stay what they are; this is made while training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import count, islice, takewhile
from typing import Any, Final

from charter.errors import Fault, InputError, nearest
from charter.models.chat import defused, marks_of
from charter.rows import draw_int, draw_unit

__all__ = [
    "COLUMNS",
    "Recovery",
    "Refuses",
    "augmented",
    "prefix_length",
    "read_recovery",
    "recoverable",
    "recovery_faults",
]

COLUMNS: Final = ("initial_response", "prompt_id")
"""The columns of `sft` that are needed beside prompt and completion."""

Refuses = Callable[[str, str], bool]
"""Whether an answer (second) to a request (first) declines; rooms above have the rules for it."""

_Parts = tuple[list[int], list[int], list[int]]  # prompt, beginning, completion
_HALF: Final = 0.5
_IGNORED: Final = -100  # torch's label of a token without loss


@dataclass(frozen=True, slots=True)
class Recovery:
    """How many rows are added and how long their beginnings are.

    Attributes:
        share: of recovery rows among all rows that are trained on, in (0, 1).
        max_tokens: most tokens of the unrevised answer.
    """

    share: float = 0.3
    max_tokens: int = 100

    def as_json(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)


def read_recovery(value: Mapping[str, Any] | None) -> Recovery | None:
    """What a recipe's block says, checked by `recovery_faults` before; None: no augmentation."""
    return None if value is None else Recovery(**value)


def recovery_faults(given: Mapping[str, Any]) -> Iterable[Fault]:
    """What is wrong with the block `recovery` among the values of a training."""
    value = given.get("recovery")
    if value is None:
        return
    known = [each.name for each in fields(Recovery)]
    for name in value:
        if name not in known:
            what = f'recovery has no field "{name}"'
            yield Fault("", f"recovery.{name}", what, nearest(str(name), known))
    share = value.get("share", Recovery().share)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        yield Fault("", "recovery.share", f"is {share}", "give a number between 0 and 1")
    most = value.get("max_tokens", Recovery().max_tokens)
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        yield Fault("", "recovery.max_tokens", f"is {most}", "give a whole number from 1 on")
    if given.get("completion_only_loss") is False or given.get("assistant_only_loss"):
        what = "puts the loss on the revision alone, and another field says otherwise"
        fix = "leave out completion_only_loss and assistant_only_loss, or recovery"
        yield Fault("", "recovery", what, fix)


def recoverable(rows: Any, refuses: Refuses) -> bool:
    """Whether any row can be a recovery row; see `augmented`.

    Args:
        rows: with the columns that `augmented` takes.
        refuses: what tells a refusal.
    """
    return any(_usable(row, refuses) for row in rows)


def prefix_length(seed: int, prompt_id: str, copy: int, most: int) -> int:
    """Tokens of the unrevised answer before the revision: 0 half of the time, else 1..most.

    Args:
        seed: of the training.
        prompt_id: the row's.
        copy: how many recovery rows of that prompt come before this one.
        most: what the settings allow, and the answer has; 0 leaves no choice.
    """
    if most < 1 or draw_unit(seed, "recovery", prompt_id, copy) < _HALF:
        return 0
    return 1 + draw_int(seed, "recovery length", prompt_id, copy) % most


def augmented(
    rows: Any,
    tokenizer: Any,
    recovery: Recovery,
    refuses: Refuses,
    *,
    seed: int,
    window: int | None,
) -> tuple[Any, dict[str, float]]:
    """Rows as tokens, and recovery rows after them.

    A row can be one where the revision declines and the unrevised answer, which is not empty,
    does not. Each such row is used as often as any other, or once more.

    Args:
        rows: `prompt`, `completion` (messages), `initial_response`, `prompt_id`.
        tokenizer: with its chat template.
        recovery: how many, how long.
        refuses: what tells a refusal.
        seed: of the draws.
        window: most tokens of a row; a beginning is shortened before anything else is lost.

    Returns:
        A dataset of `input_ids` and `labels` (-100 on the prompt and on the beginning), and the
        counts `recovery_rows`, `recovery_prefixed` (with a beginning), `recovery_prompts`.

    Raises:
        InputError: no row can be one.
    """
    from datasets import Dataset

    whole = [_tokens(tokenizer, row["prompt"], row["completion"]) for row in rows]
    usable = [place for place, row in enumerate(rows) if _usable(row, refuses)]
    if not usable:
        what = "no row has a revision that declines and an unrevised answer that does not"
        raise InputError(Fault("", "train.sft.recovery", what, "leave recovery out"))
    wanted = max(1, round(recovery.share / (1 - recovery.share) * len(whole)))
    names = [str(name) for name in rows["prompt_id"]]
    made: list[_Parts] = [(prompt, [], completion) for prompt, completion in whole]
    for place, copy in islice(_turns(usable, names, seed), wanted):
        prompt, completion = whole[place]
        begun = _plain_tokens(tokenizer, str(rows[place]["initial_response"]))
        room = len(begun) if window is None else window - len(prompt) - len(completion)
        most = max(0, min(recovery.max_tokens, len(begun), room))
        made.append((prompt, begun[: prefix_length(seed, names[place], copy, most)], completion))
    return Dataset.from_list([_labelled(*parts) for parts in made]), {
        "recovery_rows": wanted,
        "recovery_prefixed": sum(bool(begun) for _, begun, _ in made),
        "recovery_prompts": min(wanted, len(usable)),
    }


def _labelled(prompt: list[int], begun: list[int], completion: list[int]) -> dict[str, list[int]]:
    """A row of tokens, with the loss on the completion alone."""
    before = [*prompt, *begun]
    return {
        "input_ids": [*before, *completion],
        "labels": [*[_IGNORED] * len(before), *completion],
    }


def _usable(row: Mapping[str, Any], refuses: Refuses) -> bool:
    unrevised, revised = row["initial_response"], _last(row["completion"])
    if not isinstance(unrevised, str) or not unrevised.strip():
        return False
    asked = _last(row["prompt"])
    return refuses(asked, revised) and not refuses(asked, unrevised)


def _last(messages: Sequence[Mapping[str, Any]]) -> str:
    return str(messages[-1]["content"])


def _turns(usable: Sequence[int], names: Sequence[str], seed: int) -> Iterator[tuple[int, int]]:
    """Places of rows and how often each was before: all once in a drawn order, then all again."""
    for copy in count():
        order = sorted(
            usable, key=lambda at: (draw_unit(seed, "recovery order", names[at], copy), at)
        )
        yield from ((place, copy) for place in order)


def _tokens(tokenizer: Any, prompt: Any, completion: Any) -> tuple[list[int], list[int]]:
    """Prompt and completion as TRL 1.16 tokenises them: parted where the two texts part."""
    asked, both = (
        tokenizer.apply_chat_template(
            messages, add_generation_prompt=opened, tokenize=True, return_dict=False
        )
        for messages, opened in ((prompt, True), ([*prompt, *completion], False))
    )
    same = takewhile(lambda pair: pair[0] == pair[1], zip(asked, both, strict=False))
    at = sum(1 for _ in same)
    return list(both[:at]), list(both[at:])


def _plain_tokens(tokenizer: Any, text: str) -> list[int]:
    """Tokens of an answer's text; a special token spelt in it is text here."""
    said = defused(text, marks_of(tokenizer))
    ids: list[int] = tokenizer(said, add_special_tokens=False, verbose=False)["input_ids"]
    return ids
