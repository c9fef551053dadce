"""Keys among the fields of a training: they would stand in its card, its lineage and its page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from charter.errors import Fault

__all__ = ["secret_faults"]

# Names of keys, as `model_init_kwargs` of transformers and the trackers have them; the tokens of a
# text (`pad_token`) are none.
_SECRET: Final = re.compile(r"(?:.*_)?(?:token|password|secret|api_?key)", re.IGNORECASE)
_OF_A_TEXT: Final = re.compile(r"(?:pad|eos|bos|unk|sep|cls|mask|image|stop)_token", re.IGNORECASE)


def secret_faults(given: Mapping[str, Any]) -> Iterable[Fault]:
    """The values inside fields whose name says that they are secret."""
    for path in _named(given, ""):
        what = "looks like a key, and fields stand in the card and the lineage"
        yield Fault("", path, what, "leave it out and log in by HF_TOKEN or `hf auth login`")


def _named(value: Any, path: str) -> Iterable[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            here = f"{path}.{name}" if path else str(name)
            said = str(name).replace("-", "_")
            secret = _SECRET.fullmatch(said) and not _OF_A_TEXT.fullmatch(said)
            # The fields themselves are known; `hub_token` is Charter's to refuse.
            if path and secret and isinstance(inner, str) and inner:
                yield here
            else:
                yield from _named(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner, path)
