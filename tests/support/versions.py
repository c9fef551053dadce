"""Published versions with rows that a test changes first."""

from __future__ import annotations

import copy
from pathlib import Path

from drafts import draft

from charter.hub import Version, open_version
from charter.hub.publish import publish_local


def version_of(folder: Path, n: int = 8, change=None, **fields) -> Version:
    """The version of `drafts.draft(n)` in a store in `folder`, once `change(rows)` is done."""
    made = draft(n, **fields)
    if change is not None:
        rows = copy.deepcopy(made.rows)
        change(rows)
        made = draft(n, **(fields | {"rows": rows}))
    store = folder / "store"
    published = publish_local(made, store)
    return open_version(published.path)
