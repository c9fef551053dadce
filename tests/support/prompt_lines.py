"""What the tests of prompts write into their records: messages, and a line that is right."""

from __future__ import annotations

__all__ = ["GOOD", "bot", "system", "user"]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


GOOD = b'{"id": "good", "prompt": "Hello?"}\n'
