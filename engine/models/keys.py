"""The keys of the call cache: SHA-256 of all that makes an answer what it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from charter.models.call import Call
from charter.rows import canonical

__all__ = ["SCHEME", "Keys"]

SCHEME = 2


class Keys:
    """Makes the keys of one model's calls (scheme 2).

    In a key: the scheme, the model's identity (`charter.models.build.identity`: kind, name,
    revision, sampling parameters), the messages, the labels or the schema that the answer
    must follow, the call's seed and its index among the samples. Not in it: the step's name and
    the prompt's id, which change no answer, and nothing secret.

    Args:
        identity: what tells the model's answers from another's; JSON values.
    """

    def __init__(self, identity: Mapping[str, Any]) -> None:
        # The identity is hashed once; each call goes on from a copy of that state.
        self._base = hashlib.sha256(canonical(["call", SCHEME, identity]).encode())
        self.model = str(identity.get("model") or identity.get("llm") or "")

    def key(self, call: Call) -> bytes:
        """The key of a call, 32 bytes."""
        messages = [[m["role"], m["content"]] for m in call.messages]
        parts = [messages, call.labels, call.seed, call.index, call.schema]
        found = self._base.copy()
        try:
            found.update(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))
        except TypeError:  # half a surrogate pair, which UTF-8 cannot hold: escaped, it can
            found.update(b"escaped")
            found.update(ascii(parts).encode())
        return found.digest()
