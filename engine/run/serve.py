"""Model servers that a recipe asks for: started with the run, ended with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from charter.errors import Failure, Fault, InputError
from charter.recipes import Loaded
from charter.recipes.schema import ModelSettings, ServeSettings
from charter.run.progress import Progress

__all__ = ["served_models", "vllm_command"]

_ASKED_EVERY, _GRACE = 0.5, 30.0


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

    What they print goes to `FOLDER/vllm-PORT.log`.

    Raises:
        InputError: vLLM is not installed.
        Failure: a server ended, or did not answer in time.
    """
    wanted: dict[int, ModelSettings] = {}
    for role in loaded.recipe.roles:
        settings = loaded.recipe.role(role)
        if settings.serve is not None:
            wanted.setdefault(settings.serve.port, settings)
    if wanted and shutil.which("vllm") is None:
        fault = Fault("", "models", "vllm is not installed here", "pip install vllm, or base_url")
        raise InputError(fault)
    with contextlib.ExitStack() as servers:
        started = [
            (settings, servers.enter_context(_server(settings, folder)))
            for settings in wanted.values()
        ]
        for settings, process in started:
            assert settings.serve is not None
            progress.say(f"waiting for vLLM to serve {settings.model} on {settings.address}")
            _wait(settings, settings.serve, process, folder)
        yield


@contextlib.contextmanager
def _server(settings: ModelSettings, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    assert settings.serve is not None
    with _log(folder, settings.serve).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - the user's own recipe names it
            vllm_command(settings, settings.serve),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours: calls in flight still need the server
        )
    try:
        yield process
    finally:
        _end(process)


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
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - it is http
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _see(folder: Path, serve: ServeSettings) -> str:
    return f"see {_log(folder, serve)}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it started, by its own process group."""
    for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
