"""Start the real argilla-server in this process, and end it well."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import logging.handlers
import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from charter.review.embedded.inside import database, jobs
from charter.review.embedded.inside.hub_child import HUB_CHILD, serve_child
from charter.review.embedded.inside.lean import (
    keep_validators,
    leave_out_clients,
    skip_unheard_events,
)
from charter.review.embedded.inside.people import make_people
from charter.review.embedded.inside.pidfile import PID_FILE, write_pid
from charter.review.embedded.inside.protect import Protected, content_policy
from charter.review.embedded.inside.settings import (
    LOG,
    Options,
    clear_temporary,
    parse_options,
    set_environment,
)

__all__ = ["launch", "set_up"]

_GRACE = 5  # seconds for calls under way, and for jobs, at the end
_LOG_BYTES = 5_000_000
_STARTING = logging.getLogger("charter.start")


def launch(arguments: Sequence[str]) -> int:
    """Serve a data folder until SIGTERM (exit 0) or SIGINT (exit 130).

    Args:
        arguments: as `charter.review.embedded.server` writes them; `--hub-job` alone: be the
            child that makes one call to the Hub.
    """
    if list(arguments) == [HUB_CHILD]:
        serve_child()
    options = parse_options(arguments)
    os.umask(0o077)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_early)
    write_pid(options.data, options.url)
    try:
        return _serve(options)
    except Exception as error:  # noqa: BLE001 - whatever it is: the log has all, the terminal a line
        _STARTING.exception("the server ended badly")
        _say(f"{options.data}: Argilla did not start: {error}; see {options.data / LOG}")
        return 1
    finally:
        (options.data / PID_FILE).unlink(missing_ok=True)


def _end_early(number: int, frame: FrameType | None) -> None:
    """A signal before the server's loop runs, which has handlers of its own."""
    raise SystemExit(130 if number == signal.SIGINT else 0)


def _serve(options: Options) -> int:
    data = options.data.resolve()
    clear_temporary(data)
    set_up(data, lean=True)
    if database.migrate(data):
        _STARTING.warning("the database was brought to the schema %s", database.HEAD)
    changed = database.finish_statuses(data)
    if changed:
        _STARTING.warning("the status of %d records was put right", changed)
    app = _application()
    gc.freeze()
    gc.enable()
    return asyncio.run(_run(app, options, data))


def set_up(data: Path, *, lean: bool) -> None:
    """Make argilla_server's modules ready to be imported, with the engine and the jobs from here.

    Args:
        data: the data folder.
        lean: leave out what only the Hub's jobs need.
    """
    set_environment(data)
    _log_to(data)
    if lean:
        leave_out_clients()
    jobs.install()
    from argilla_server.search_engine.base import SearchEngine

    from charter.review.embedded.inside.engine import CharterSearchEngine

    if "charter" not in SearchEngine.registered_classes:
        SearchEngine.register("charter")(CharterSearchEngine)
    database.open_fast()


def _log_to(data: Path) -> None:
    """Everything that is logged goes to one file that does not grow for ever."""
    handler = logging.handlers.RotatingFileHandler(
        data / LOG, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    (data / LOG).chmod(0o600)


def _application() -> Any:
    from argilla_server._app import app

    jobs.answer_for_jobs()
    skip_unheard_events()
    keep_validators()
    pages = [
        Path(str(route.app.directory))
        for route in app.routes
        if getattr(route, "name", "") == "static"
    ]
    return Protected(
        app, content_policy([page for folder in pages for page in folder.glob("*.html")])
    )


async def _run(app: Any, options: Options, data: Path) -> int:
    import uvicorn

    from charter.review.embedded.inside.engine import CharterSearchEngine

    mended = await CharterSearchEngine.rebuild_if_stale()
    if mended:
        _STARTING.warning("the index was brought up to date: %s", mended)
    made = await make_people(data, options.people, options.workspace)
    for person, password in made:
        _say(f"{person.role} {person.name}  password {password}  (shown once)")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=75,
    )
    server = uvicorn.Server(config)
    ended_by: list[int] = []
    # uvicorn's own handlers pass the signal on when it has ended, which would end us badly.
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        server.force_exit = bool(ended_by)  # the second time: at once
        ended_by.append(number)
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    listening = socket.socket(fileno=options.listening)
    task = loop.create_task(server.serve(sockets=[listening]))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    if server.started:
        _ready(options, data)
    await task
    undone = await jobs.drain(_GRACE)
    if undone:
        logging.getLogger("charter.jobs").warning("%d jobs were not done", undone)
    if not ended_by:
        _say(f"Argilla ended by itself; see {data / LOG}")
        return 1
    return 130 if ended_by[0] == signal.SIGINT else 0


def _no_signals() -> Any:
    import contextlib

    return contextlib.nullcontext()


def _ready(options: Options, data: Path) -> None:
    import argilla_server._version

    version = argilla_server._version.__version__
    write_pid(data, options.url, version, datetime.now(UTC).isoformat(timespec="seconds"))
    line = json.dumps({"ready": options.url}) if options.as_json else f"ready {options.url}"
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    if options.detach:
        log = os.open(data / LOG, os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
