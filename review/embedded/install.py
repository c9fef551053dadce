"""The server's own virtual environment, made once from exact pins.

argilla-server pins an older pydantic than the rest of charter needs, so it can't be installed
beside it. What is installed stands in `requirements.txt`, every package of the environment, and is
installed without resolving: the same everywhere, and in a third of the time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from charter.errors import Failure, Fault, InputError
from charter.review.embedded.place import ARGILLA, environment_folder

__all__ = ["ensure_environment", "interpreter"]

Say = Callable[[str], None]

_MARK = "charter-ready"
_MAKING = "charter-making"
_NEWEST = (3, 13)  # a pin of argilla-server has no wheels beyond it
_REQUIREMENTS = "requirements.txt"


def ensure_environment(say: Say = lambda line: None) -> Path:
    """The environment, made where it is missing, half made, or of other pins.

    Args:
        say: told what is being done, a line at a time.

    Returns:
        Its Python.

    Raises:
        Failure: it can't be made: no suitable Python, no network, no room.
        InputError: `CHARTER_ARGILLA_ENV` names a folder that holds something else.
    """
    folder = environment_folder().absolute()
    if _ready(folder):
        return _python(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder, say):
        if not _ready(folder):  # another process may have made it meanwhile
            _make(folder, say)
    return _python(folder)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _pins() -> str:
    return (files("charter.review.embedded") / _REQUIREMENTS).read_text("utf-8")


def _digest() -> str:
    return hashlib.sha256(_pins().encode()).hexdigest()


def _ready(folder: Path) -> bool:
    if not _python(folder).exists():  # also where the Python it was made with has gone
        return False
    mark = folder / _MARK
    if mark.exists():
        return mark.read_text("utf-8").strip() == _digest()
    # One that somebody else made is taken as it is; one that we began is not.
    found = folder.glob(f"lib/python3*/site-packages/argilla_server-{ARGILLA}.dist-info/RECORD")
    return not (folder / _MAKING).exists() and any(found)


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Hold the lock of the environment; the kernel drops it when its holder dies."""
    lock = folder.with_name(f"{folder.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is making Argilla's environment; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(folder: Path, say: Say) -> None:
    python = interpreter()
    _clear(folder)
    folder.mkdir()
    (folder / _MAKING).touch()
    say(f"making an environment for argilla-server {ARGILLA} in {folder}, once")
    _bare(python, folder)
    _install(folder, say)
    (folder / _MARK).write_text(f"{_digest()}\n", "utf-8")
    (folder / _MAKING).unlink()
    say("the environment is made")


def _clear(folder: Path) -> None:
    """Remove what we began or made before; nothing else."""
    if not folder.exists():
        return
    ours = (folder / _MAKING).exists() or (folder / _MARK).exists()
    if not ours and any(folder.iterdir()):
        what = f"it holds something else than argilla-server {ARGILLA}"
        fix = "point CHARTER_ARGILLA_ENV to a new folder"
        raise InputError(Fault(str(folder), "", what, fix))
    shutil.rmtree(folder)


def interpreter() -> str:
    """A Python that argilla-server's pins have wheels for: this one, else one on the path.

    Raises:
        Failure: there is none.
    """
    if sys.version_info[:2] <= _NEWEST:
        return sys.executable
    for minor in (13, 12, 11):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    what = f"argilla-server {ARGILLA} needs Python 3.11 to 3.13, and this is {sys.version[:4]}"
    raise Failure(Fault("charter review serve", "", what, "install python3.13"))


def _bare(python: str, folder: Path) -> None:
    """A virtual environment with pip, also where Debian's Python has no ensurepip."""
    try:
        _run([python, "-m", "venv", str(folder)], "the environment")
    except Failure:
        _run([python, "-m", "venv", "--without-pip", str(folder)], "the environment")
        own = [python, "-m", "pip", "--python", str(_python(folder)), "install", "pip"]
        _run([*own, "--quiet", "--disable-pip-version-check"], "pip")


def _install(folder: Path, say: Say) -> None:
    """Install the pins; pip's own cache and settings (index, proxy) hold as usual."""
    pins = folder / _REQUIREMENTS
    pins.write_text(_pins(), "utf-8")
    total = sum(1 for line in _pins().splitlines() if line and not line.startswith("#"))
    command = [str(_python(folder)), "-m", "pip", "install", "--no-deps", "-r", str(pins)]
    seen, step = 0, max(1, total // 5)

    def count(line: str) -> None:
        nonlocal seen
        if line.startswith("Collecting "):
            seen += 1
            if seen % step == 0:
                say(f"{seen} of {total} packages")
        elif line.startswith("Installing collected packages"):
            say("unpacking them")

    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    _run([*command, *options], "its packages", count)


def _run(command: list[str], wanted: str, each: Say = lambda line: None) -> None:
    """Run a program that installs something.

    Raises:
        Failure: it failed, with what it said last.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            each(line)
    if process.returncode:
        told = [line for line in said if line.startswith("ERROR")] or said or ["nothing said"]
        what = f"could not install {wanted}: {told[-1].removeprefix('ERROR:').strip()}"
        fix = "check the network and pip's index (PIP_INDEX_URL), then start it again"
        raise Failure(Fault("charter review serve", "", what, fix))
