"""Ctrl-C comes through while `charter` waits for something, with polars imported."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PRESSED = """
import sys, threading
from charter.cli import main, schema
assert "polars" not in sys.modules

def work(**_):
    import polars
    print("waiting", flush=True)
    WAIT

schema.command.callback = work
main(["schema", "recipe"])
"""


@pytest.mark.parametrize(
    "wait",
    [
        "threading.Event().wait()",
        "import subprocess; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
    ],
)
def test_it_wakes_what_waits(wait: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PRESSED.replace("WAIT", wait)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stdout and child.stdout.readline() == "waiting\n"
            time.sleep(1)  # it is to wait by then; what comes before is heard anyhow
            child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=30)
        finally:
            child.kill()
    assert child.returncode == 130
    assert "interrupted" in said and "Traceback" not in said
