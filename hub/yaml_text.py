"""YAML that strangers wrote: a card's metadata, the recipe of a version."""

from __future__ import annotations

from typing import Any, Final

import yaml

__all__ = ["read_yaml"]

# What PyYAML's own constructors raise for a value that does not fit its tag or form, such as
# `!!bool maybe` or `2020-13-45`.
_ODD: Final = (ValueError, LookupError, AttributeError, RecursionError, OverflowError)


def read_yaml(text: str) -> Any:
    """What a YAML text holds, in Python's own types.

    Raises:
        yaml.YAMLError: it is not YAML; nothing else, whatever the text.
    """
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except _ODD as error:
        raise yaml.YAMLError(str(error)) from None
