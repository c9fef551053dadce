"""What a guard sends back: the upstream's answer, or another in its place, whole or in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from charter.evals.guard import Checked
from charter.evals.guard_chat import Choice

__all__ = ["HEADER", "Action", "Ruled", "reply_body", "reply_chunks"]

HEADER: Final = "x-charter-guard"
# What an answer says of itself, none of it the model's words.
_ABOUT: Final = ("id", "created", "model", "usage", "system_fingerprint", "service_tier")


class Action(StrEnum):
    """What was done with a choice, the mildest first."""

    PASSED = "passed"
    FLAGGED = "flagged"
    REVISED = "revised"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Ruled:
    """A choice with what was found and done.

    Attributes:
        choice: as the upstream gave it.
        action: what was done.
        checked: what was found of the upstream's text; None where it says nothing.
        text: instead of the upstream's; None keeps the choice as it came.
        revised: what was found of the last revision.
    """

    choice: Choice
    action: Action
    checked: Checked | None
    text: str | None = None
    revised: Checked | None = None

    def as_json(self) -> dict[str, Any]:
        """For `charter_guard`, which never repeats what the upstream said."""
        found: dict[str, Any] = {"index": self.choice.index, "action": self.action.value}
        checked = self.checked or Checked(())
        found |= checked.as_json()
        if self.revised is not None:
            found["revised"] = self.revised.as_json()
        if self.choice.unchecked:
            found["unchecked"] = list(self.choice.unchecked)
        return found


def _guard(ruled: Sequence[Ruled], unchecked: Sequence[str]) -> dict[str, Any]:
    order = list(Action)
    worst = max((each.action for each in ruled), key=order.index)
    found: dict[str, Any] = {"action": worst.value, "choices": [each.as_json() for each in ruled]}
    return found | ({"unchecked": list(unchecked)} if unchecked else {})


def reply_body(
    body: Mapping[str, Any], ruled: Sequence[Ruled], unchecked: Sequence[str] = ()
) -> dict[str, Any]:
    """The whole answer.

    Where a choice is replaced, nothing of it is kept but its number: log-probabilities, token
    ids and an upstream's own fields would say the held-back words again.

    Args:
        body: the upstream's.
        ruled: its choices.
        unchecked: what of the request could not be read.
    """
    replaced = any(each.text is not None for each in ruled)
    kept = {key: body[key] for key in _ABOUT if key in body} if replaced else dict(body)
    kept.pop("charter_guard", None)
    choices = [_choice(each) for each in ruled]
    guard = _guard(ruled, unchecked)
    return {**kept, "object": "chat.completion", "choices": choices, "charter_guard": guard}


def _choice(ruled: Ruled) -> dict[str, Any]:
    if ruled.text is None:
        return ruled.choice.raw
    end = "content_filter" if ruled.action is Action.REFUSED else "stop"
    message = {"role": "assistant", "content": ruled.text, "refusal": None}
    return {
        "index": ruled.choice.index,
        "message": message,
        "finish_reason": end,
        "logprobs": None,
    }


def reply_chunks(whole: Mapping[str, Any], with_usage: bool) -> Iterator[bytes]:
    """The whole answer as server-sent events, ended by `[DONE]`.

    Args:
        whole: of `reply_body`.
        with_usage: whether the client asked for the usage, which then is the last chunk.
    """
    about = {key: whole[key] for key in _ABOUT if key in whole and key != "usage"}
    base = {**about, "object": "chat.completion.chunk"}
    guard = {"charter_guard": whole["charter_guard"]}
    choices = whole["choices"]
    for at, choice in enumerate(choices):
        message = choice["message"]
        text = {k: v for k, v in message.items() if k not in ("role", "tool_calls") and v}
        calls = message.get("tool_calls") or []
        deltas: list[dict[str, Any]] = [{"role": message.get("role", "assistant"), "content": ""}]
        if text:
            deltas.append(text)
        if calls:
            deltas.append({"tool_calls": [{"index": i, **call} for i, call in enumerate(calls)]})
        logprobs = choice.get("logprobs")
        for number, delta in enumerate(deltas):
            shown = {"index": choice["index"], "delta": delta, "finish_reason": None}
            if logprobs and number == 1:
                shown["logprobs"] = logprobs
            yield _event({**base, "choices": [shown]})
        end = {"index": choice["index"], "delta": {}, "finish_reason": choice.get("finish_reason")}
        more = guard if at == len(choices) - 1 else {}
        yield _event({**base, "choices": [end], **more})
    if with_usage:
        yield _event({**base, "choices": [], "usage": whole.get("usage")})
    yield b"data: [DONE]\n\n"


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
