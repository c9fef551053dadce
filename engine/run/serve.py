"""Model servers that a recipe asks for: started with the run, ended with it."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from charter.errors import Failure, Fault, InputError
from charter.recipes import Loaded
from charter.recipes.schema import ModelSettings, ServeSettings
from charter.run.progress import Progress

__all__ = ["served_models", "vllm_command"]

_ASKED_EVERY, _GRACE = 0.5, 30.0
# A proxy of the environment is for the world outside; calls do not go by it either.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def vllm_command(settings: ModelSettings, serve: ServeSettings) -> list[str]:
    """The command that serves a model."""
    command = ["vllm", "serve", str(settings.model), "--host", serve.host]
    command += ["--port", str(serve.port)]
    if settings.revision:
        command += ["--revision", settings.revision]
    if serve.tensor_parallel > 1:
        command += ["--tensor-parallel-size", str(serve.tensor_parallel)]
    if serve.replicas > 1:
        command += ["--data-parallel-size", str(serve.replicas)]
    return [*command, *serve.arguments]


@contextlib.contextmanager
def served_models(loaded: Loaded, folder: Path, progress: Progress) -> Iterator[None]:
    """Start the servers of a recipe's models and wait until all answer; end them in any case.

    What they print goes to `FOLDER/vllm-PORT.log`; the folder is made where it is not there.

    Raises:
        InputError: vLLM is not installed, or two models are given one port.
        Failure: a server ended, did not answer in time, or its port is taken.
        KeyboardInterrupt: Ctrl-C, or SIGTERM, of which these servers would otherwise not end.
    """
    wanted = _wanted(loaded)
    if not wanted:
        yield
        return
    if shutil.which("vllm") is None:
        fault = Fault("", "models", "vllm is not installed here", "pip install vllm, or base_url")
        raise InputError(fault)
    with _sigterm_heard(), contextlib.ExitStack() as servers:
        started = [
            (settings, serve, servers.enter_context(_server(settings, serve, folder)))
            for settings, serve in wanted
        ]
        for settings, serve, process in started:
            progress.say(f"waiting for vLLM to serve {settings.model} on {settings.address}")
            _wait(settings, serve, process, folder)
        yield


def _wanted(loaded: Loaded) -> list[tuple[ModelSettings, ServeSettings]]:
    """The models that are to be served, each once."""
    wanted: dict[int, tuple[ModelSettings, ServeSettings]] = {}
    for role in sorted(loaded.recipe.roles):
        settings = loaded.recipe.role(role)
        serve = settings.serve
        if serve is None:
            continue
        first = wanted.setdefault(serve.port, (settings, serve))
        if vllm_command(*first) != vllm_command(settings, serve):
            what = f"two servers cannot listen on port {serve.port}"
            fault = Fault(str(loaded.path), f"models.{role}.serve.port", what, "give it another")
            raise InputError(fault)
    return list(wanted.values())


@contextlib.contextmanager
def _sigterm_heard() -> Iterator[None]:
    """Inside, SIGTERM is what Ctrl-C is."""
    by_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not by_default or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _server(
    settings: ModelSettings, serve: ServeSettings, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    _check_free(serve)
    with _opened(_log(folder, serve)) as log:
        process = subprocess.Popen(  # noqa: S603 - the user's own recipe names it
            vllm_command(settings, serve),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours: calls in flight still need the server
        )
    try:
        yield process
    finally:
        _end(process)


def _check_free(serve: ServeSettings) -> None:
    """Whoever listens there already would be taken for the server that is started."""
    try:
        socket.create_server((serve.host, serve.port)).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return  # vLLM's own words about it are in its log
        fix = "end what listens there, give another port, or name its address as base_url"
        place = f"{serve.host}:{serve.port}"
        raise Failure(Fault(place, "models", "the port is taken", fix)) from None


def _opened(log: Path) -> IO[bytes]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        fix = "name another folder with --out"
        raise Failure(Fault(str(log), "", what, fix)) from None


def _log(folder: Path, serve: ServeSettings) -> Path:
    return folder / f"vllm-{serve.port}.log"


def _wait(
    settings: ModelSettings,
    serve: ServeSettings,
    process: subprocess.Popen[bytes],
    folder: Path,
) -> None:
    until = time.monotonic() + serve.within
    address = f"http://{serve.host}:{serve.port}/health"
    while time.monotonic() < until:
        if process.poll() is not None:
            what = f"vLLM ended with {process.returncode} before it answered"
            raise Failure(Fault(str(settings.model), "models", what, _see(folder, serve)))
        if _answers(address):
            return
        time.sleep(_ASKED_EVERY)
    what = f"vLLM did not answer within {serve.within:g} s"
    raise Failure(Fault(str(settings.model), "models", what, _see(folder, serve)))


def _answers(address: str) -> bool:
    try:
        with _DIRECT.open(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def _see(folder: Path, serve: ServeSettings) -> str:
    return f"see {_log(folder, serve)}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it started, by its own process group."""
    try:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    finally:
        # Also when a second Ctrl-C ends the wait, and when the server has ended and left behind
        # what holds its GPUs.
        _signal(process, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
