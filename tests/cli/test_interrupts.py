"""Ctrl-C comes through: while `charter` waits for something, and where a library drops it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import time

import pytest

PRESSED = """
import os, signal, sys, threading
from charter.cli import main, schema
from charter.cli.output import Output
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


DROPPED = """
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # Python looks for signals between two steps
            pass

Dying()
"""
TURNED = """
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
except BaseException:
    raise ModuleNotFoundError("Could not import module") from None
"""
STEPS = """
with Output(as_json=False).progress() as progress:
    progress.say("what is said at the end may be said")
    progress.begin("steps", 3, "steps")
    print("was never told")
"""


@pytest.mark.parametrize("lost", [DROPPED + STEPS, TURNED])
def test_it_ends_the_command_where_it_was_dropped(lost: str) -> None:
    script = PRESSED.replace("    WAIT\n", textwrap.indent(lost, "    "))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 130, done.stderr
    assert "never told" not in done.stdout
    assert done.stderr.endswith("charter: interrupted; run the same command again\n")


def test_of_one_command_the_next_knows_nothing() -> None:
    from charter.cli import interrupts

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts.hear_interrupts():
            signal.raise_signal(signal.SIGINT)
        assert interrupts.interrupted()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with interrupts.hear_interrupts():
            interrupts.check_interrupt()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup
        with interrupts.hear_interrupts():
            signal.raise_signal(signal.SIGINT)
            assert not interrupts.interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_tasks_are_cancelled_as_asyncio_does() -> None:
    from charter.cli import interrupts

    seen: list[str] = []

    async def waiting() -> None:
        asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    default = signal.default_int_handler
    before = signal.signal(signal.SIGINT, default)
    try:
        with interrupts.hear_interrupts():
            with pytest.raises(KeyboardInterrupt):
                asyncio.run(waiting())
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert interrupts.interrupted()
        assert seen == ["cancelled"] and signal.default_int_handler is default
    finally:
        signal.signal(signal.SIGINT, before)
