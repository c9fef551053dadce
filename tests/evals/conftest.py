"""Where real answers with human labels are, if they are there."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    default = Path(__file__).parents[3] / "shared/data"
    folder = Path(os.environ.get("CHARTER_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set CHARTER_SHARED_DATA to their folder")
    return folder
