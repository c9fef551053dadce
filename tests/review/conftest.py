"""One embedded Argilla for all tests of the review that need a server.

It takes seconds to start and 250 MB, so tests that use it bear
`pytestmark = pytest.mark.xdist_group("argilla")`: they then run in one worker, on one server.
Make workspaces and datasets with names of your own; others' are on the same server.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_argilla import RunningArgilla, skip_without_environment, start_argilla


@pytest.fixture(scope="session")
def argilla(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningArgilla]:
    """A server with an owner and a workspace `charter`; shared, so leave other datasets alone."""
    skip_without_environment()
    running = start_argilla(tmp_path_factory.mktemp("argilla"))
    yield running
    assert running.stop() == 0
