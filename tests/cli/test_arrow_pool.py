"""Where Arrow takes its memory from under `charter`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

SAY = """
from charter.cli import main
try:
    main(["--version"])
except SystemExit:
    import pyarrow
    print(pyarrow.default_memory_pool().backend_name)
"""


def pool(**environment: str) -> str:
    own = {name: value for name, value in os.environ.items() if "ARROW" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SAY], capture_output=True, text=True, env={**own, **environment}
    )
    # Arrow says it there where it does not know what it is told to take.
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()[-1]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="Arrow may lack jemalloc elsewhere")
def test_it_is_jemalloc_where_that_is() -> None:
    assert pool() == "jemalloc"


def test_what_the_user_says_holds() -> None:
    assert pool(ARROW_DEFAULT_MEMORY_POOL="system") == "system"
