"""Where Charter keeps what it can make again: converted models and paid-for calls."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from charter.documents import expanded

__all__ = ["CACHE_VARIABLE", "cache_root"]

CACHE_VARIABLE = "CHARTER_CACHE"


def cache_root() -> Path:
    """The cache folder: `CHARTER_CACHE` where it is set, else the user's own cache.

    Asked anew at each call, so that a test or a command can move it. Not created here.
    """
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return expanded(override)
    return Path(platformdirs.user_cache_dir("charter"))
