"""Where the embedded Argilla keeps its data and its environment."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

__all__ = ["ARGILLA", "data_folder", "environment_folder"]

ARGILLA = "2.8.0"
"""The version of argilla-server. Its search engine's interface is internal: it is pinned."""


def data_folder(given: Path | None = None) -> Path:
    """The folder with database, index and credentials.

    Args:
        given: the person's own choice; else `CHARTER_REVIEW`, else the user's data folder.
    """
    if given is not None:
        return given
    named = os.environ.get("CHARTER_REVIEW")
    return Path(named) if named else user_data_path("charter") / "review"


def environment_folder() -> Path:
    """The server's virtual environment: `CHARTER_ARGILLA_ENV`, else in the user's cache folder."""
    named = os.environ.get("CHARTER_ARGILLA_ENV")
    return Path(named) if named else user_cache_path("charter") / f"argilla-{ARGILLA}"
