"""Imports from and exports to the Hub, in a child process that ends with the server.

`datasets` works in blocking calls: in the server's loop nobody could answer a record meanwhile.
What the job needs goes through a pipe, since a token is among it and a command line is public.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["HUB_CHILD", "run_in_child", "serve_child"]

HUB_CHILD = "--hub-job"
_LOG = logging.getLogger("charter.jobs")


async def run_in_child(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Make one call of `argilla_server.jobs.hub_jobs` in a process of its own.

    Raises:
        RuntimeError: it failed; the child has said why in the log.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(Path(__file__).with_name("boot.py")),
        HUB_CHILD,
        stdin=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    try:
        order = pickle.dumps((name, arguments, keywords))
        child.stdin.write(len(order).to_bytes(8, "big") + order)
        await child.stdin.drain()
        code = await child.wait()  # its input stays open: its end is the child's end
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if code:
        raise RuntimeError(f"{name} ended with {code}")


def serve_child() -> NoReturn:
    """What the child does: read the call, make it, and wait for the jobs that it queued."""
    from charter.review.embedded.inside import jobs
    from charter.review.embedded.inside.launch import set_up

    order = sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "big"))
    name, arguments, keywords = pickle.loads(order)  # noqa: S301 - from the server, by a pipe
    threading.Thread(target=_end_with_server, daemon=True).start()
    set_up(Path.cwd(), lean=False)
    from argilla_server.jobs import hub_jobs

    async def work() -> None:
        await getattr(hub_jobs, name)(*arguments, **keywords)
        await jobs.drain()

    code = 0
    try:
        asyncio.run(work())
    except Exception:  # noqa: BLE001 - whatever it was, the server is told by the exit code
        _LOG.exception("job %s failed", name)
        code = 1
    logging.shutdown()
    os._exit(code)  # threads of `datasets` may abort an orderly end after the work is done


def _end_with_server() -> None:
    # Not by `sys.stdin`: Python aborts at its end while a thread holds the lock of that.
    while os.read(0, 4096):
        pass
    os._exit(1)
