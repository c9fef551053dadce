"""Programs that use an embedded Hub, each in a process of its own with a cache of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["hub_environment", "run_python"]


def hub_environment(address: str, token: str, home: Path) -> dict[str, str]:
    """What the clients' processes are told; nothing of the machine's own Hub settings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return {
        **own,
        "HF_ENDPOINT": address,
        "HF_TOKEN": token,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def run_python(
    environment: dict[str, str], folder: Path, code: str, *given: object, rc: int = 0
) -> str:
    """What a program printed; of one that is to fail, what it said of it. Never the token."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, given)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=folder,
        timeout=300,
    )
    assert done.returncode == rc, done.stderr
    token = environment.get("HF_TOKEN")
    assert not token or token not in done.stdout + done.stderr
    return done.stderr if rc else done.stdout
