"""An index over a database that the tests write as Argilla would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from written_argilla import Indexed, indexed


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[Indexed]:
    """A dataset with two text fields, a chat, and a question of each kind that is filtered by."""
    with indexed(tmp_path) as made:
        yield made
