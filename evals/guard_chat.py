"""OpenAI's chat format: what of a request and of its answer a guard can read, and what not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from charter.rows import Message

__all__ = ["ChatError", "Choice", "Conversation", "error_body", "read_choices", "read_request"]

_ROLES: Final[Mapping[str, Literal["system", "user", "assistant"]]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_TEXT_PARTS: Final = {"text": "text", "refusal": "refusal", "output_text": "text"}
# Texts of a message, all of them read; a model's thoughts are shown to whoever asks, too.
_TEXTS: Final = ("reasoning_content", "reasoning", "content", "refusal")
_MESSAGE_KEYS: Final = ("role", "name", *_TEXTS)
_MOST_MESSAGES: Final = 4096


class ChatError(Exception):
    """A refusal to go on, as OpenAI's API words one.

    Attributes:
        status: the HTTP status.
        message: one sentence.
        code: for programs.
        kind: OpenAI's `type`.
        headers: further headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.kind = status, message, code, kind
        self.headers = dict(headers or {})


def error_body(error: ChatError) -> dict[str, Any]:
    """The error as the body of a reply."""
    said = {"message": error.message, "type": error.kind, "param": None, "code": error.code}
    return {"error": said}


@dataclass(frozen=True, slots=True)
class Conversation:
    """What of a request is read.

    Attributes:
        messages: the texts, with `developer` as system.
        unchecked: what is not text, each by its place.
    """

    messages: tuple[Message, ...]
    unchecked: tuple[str, ...]


@dataclass(slots=True)
class Choice:
    """One answer of the upstream model.

    Attributes:
        raw: as it came.
        text: what it says, thoughts and refusal included; "" where it says nothing.
        unchecked: what is not text, each by its name.
    """

    raw: dict[str, Any]
    text: str
    unchecked: tuple[str, ...] = field(default=())

    @property
    def index(self) -> int:
        """Its number among the choices."""
        return int(self.raw["index"])


def read_request(body: Any) -> Conversation:
    """The conversation of a request.

    Raises:
        ChatError: it is none.
    """
    if not isinstance(body, dict):
        raise ChatError(400, "the body is no JSON object", "bad_body")
    given = body.get("messages")
    if not isinstance(given, list) or not given or len(given) > _MOST_MESSAGES:
        what = f"messages is no list of 1 to {_MOST_MESSAGES} messages"
        raise ChatError(400, what, "bad_messages")
    if not isinstance(body.get("stream"), bool | None):
        raise ChatError(400, "stream is neither true nor false", "bad_stream")
    messages: list[Message] = []
    unchecked: list[str] = []
    for at, message in enumerate(given):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise ChatError(400, f"messages[{at}] has no role", "bad_messages")
        text, found = _texts(message)
        role = _ROLES.get(message["role"])
        if role is None:
            # A tool's result: its text is shown, under a speaker that the judge knows.
            found.insert(0, f"role {message['role'][:32]}")
            role, text = "user", f"(from {message['role'][:32]}) {text}"
        unchecked += [f"messages[{at}]: {what}" for what in found]
        messages.append({"role": role, "content": text})
    return Conversation(tuple(messages), tuple(unchecked))


def read_choices(body: Any) -> list[Choice]:
    """The choices of the upstream's answer.

    Raises:
        ChatError: it has none that can be read.
    """
    unread = ChatError(502, "the upstream's answer cannot be read", "upstream_unread", "api_error")
    raw = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(raw, list) or not raw:
        raise unread
    choices = []
    for at, choice in enumerate(raw):
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise unread
        index = choice.setdefault("index", at)
        if type(index) is not int or not isinstance(choice.get("finish_reason"), str | None):
            raise unread
        text, unchecked = _texts(choice["message"])
        choices.append(Choice(choice, text, tuple(unchecked)))
    return choices


def _texts(message: Mapping[str, Any]) -> tuple[str, list[str]]:
    """A message's text, and the names of what else it holds."""
    unchecked: list[str] = []
    texts: list[str] = []
    for key in _TEXTS:
        value = message.get(key)
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            for part in value:
                said, other = _part(part)
                texts.append(said)
                unchecked += other
        elif value is not None:
            unchecked.append(key)
    unchecked += [str(k)[:64] for k, v in message.items() if k not in _MESSAGE_KEYS and v]
    # Once each: some servers send the thoughts under both names.
    return "\n".join(dict.fromkeys(text for text in texts if text)), unchecked


def _part(part: Any) -> tuple[str, list[str]]:
    kind = part.get("type") if isinstance(part, dict) else None
    key = _TEXT_PARTS.get(kind) if isinstance(kind, str) else None
    if key is not None and isinstance(part.get(key), str):
        return part[key], []
    return "", [f"part {str(kind)[:32]}"]
