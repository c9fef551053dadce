"""A local model behind the call cache: loaded only when the cache lacks an answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from charter.models.cache import CallCache, Entry
from charter.models.call import Answer, Call
from charter.models.checkpoint import identify
from charter.models.keys import Keys

__all__ = ["CachedLocal"]


class CachedLocal:
    """Answers as `charter.models.local.LocalModel.generate` does, and keeps them.

    Args:
        path: folder of the model; None is the embedded one.
        cache: where answers are kept. Those of one call of `generate` are kept together.
    """

    def __init__(self, path: Path | None, cache: CallCache) -> None:
        self._path = path
        self._cache = cache
        self.name, self.revision = identify(path)

    def generate(
        self, calls: Sequence[Call], *, temperature: float, top_p: float, max_tokens: int
    ) -> list[Answer]:
        """The answers, in the order of the calls; the missing ones are written as one batch."""
        identity = {
            "llm": "local",
            "model": self.name,
            "revision": self.revision,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
        }
        make = Keys(identity)
        keys = [make.key(call) for call in calls]
        known = self._cache.get(keys)
        missing = [place for place, key in enumerate(keys) if key not in known]
        if missing:
            from charter.models.local import load_local

            written = load_local(self._path).generate(
                [calls[place] for place in missing],
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
            )
            fresh = {keys[place]: a for place, a in zip(missing, written, strict=True)}
            before = self._cache.put(Entry(key, make.model, a) for key, a in fresh.items())
            known |= fresh | before
        return [known[key] for key in keys]
