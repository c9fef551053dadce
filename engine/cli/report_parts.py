"""The evaluations of a report: each a `charter eval` in a process of its own, kept when done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from charter import __version__
from charter.cli.output import Output
from charter.cli.written import write_text
from charter.documents import is_file
from charter.errors import Failure, Fault, InputError

__all__ = ["Asked", "make_folder", "measure_parts", "page_of", "read_settings"]

_PATIENCE = 20.0  # seconds for a part to end by itself
# What a report says itself, of every part.
_OWN = ("model", "base", "prompts", "html", "out", "json", "debug", "seed", "fresh", "help")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report measures.

    Attributes:
        base: `local` or a model's folder.
        models: the same; the last one is the one to be released.
        parts: evaluations by name.
        prompts: the file with the prompts that none of the models was trained on.
        out: where pages and finished parts are.
        judge: `--judge` and `--recipe` of the win rates.
        recipe: its fingerprint, where a recipe's judge compares.
        tamper: what tampering needs to leave trained prompts out.
        settings: further options, by part.
        seed: of every draw.
        fresh: measure again what is kept.
    """

    base: str
    models: tuple[str, ...]
    parts: tuple[str, ...]
    prompts: Path
    out: Path
    judge: tuple[str, ...] = ()
    recipe: str = ""
    tamper: tuple[str, ...] = ()
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seed: int = 0
    fresh: bool = False


def read_settings(values: Sequence[str], parts: Sequence[str]) -> dict[str, list[str]]:
    """`PART.OPTION=VALUE` as options of the parts' commands.

    Raises:
        InputError: one is written otherwise, or is of a part that is not measured.
    """
    found: dict[str, list[str]] = {}
    faults = []
    for value in values:
        name, equals, given = value.partition("=")
        part, dot, option = name.partition(".")
        option = option.replace("_", "-")
        if not dot or not equals or not option:
            what, fix = f'"{value}" is no setting', "write PART.OPTION=VALUE"
            faults.append(Fault("--set", "", what, fix))
        elif part not in parts:
            what = f'"{part}" is not measured here'
            faults.append(Fault("--set", name, what, f"use one of {', '.join(parts)}"))
        elif option in _OWN:
            what = f"{option} is said by the report itself"
            faults.append(Fault("--set", name, what, f"see `charter report --help` for --{option}"))
        else:
            # A flag is named by true alone.
            given = "" if given == "true" else given
            found.setdefault(part, []).append(f"--{option}={given}" if given else f"--{option}")
    if faults:
        raise InputError(faults)
    return found


def measure_parts(output: Output, asked: Asked) -> dict[str, dict[str, Any]]:
    """What every part says with `--json`, by part; one that is kept is not measured again.

    Raises:
        InputError: a part refuses what it was given.
        Failure: a part fails; those before it are kept.
    """
    found = {}
    make_folder(asked.out / "parts")
    for number, part in enumerate(asked.parts, 1):
        command = list(_command(asked, part))
        kept = asked.out / "parts" / f"{part}.json"
        key = _key(asked, command)
        held = None if asked.fresh else _held(kept, key)
        said = "measured already" if held is not None else "measuring"
        output.line(f"{part} ({number} of {len(asked.parts)}): {said}")
        if held is None:
            held = _run(part, command)
            write_text(kept, json.dumps({"key": key, "found": held}, indent=1) + "\n")
        found[part] = held
    return found


def page_of(asked: Asked, part: str) -> Path:
    """Where a part's own page is."""
    return asked.out / f"{part}.html"


def _command(asked: Asked, part: str) -> Iterator[str]:
    """The arguments after `charter eval`."""
    yield part
    if part == "winrate":
        yield from (*asked.models, asked.base, *asked.judge)
        if not any(each.startswith("--limit") for each in asked.settings.get(part, ())):
            yield "--limit=24"
    elif part == "tamper":
        yield from ("--model", asked.models[-1], "--base", asked.base, *asked.tamper)
        yield from ("--out", str(asked.out / "tamper"))
    else:
        if part == "refusal":
            yield from ("--model", asked.base)
        else:
            yield from ("--base", asked.base)
        for model in asked.models:
            yield from ("--model", model)
    if part == "tax":
        yield from ("--out", str(asked.out / "tax"))
    else:
        yield from ("--prompts", str(asked.prompts))
    yield from ("--html", str(page_of(asked, part)), "--seed", str(asked.seed))
    if part == "tax" and asked.fresh:
        yield "--fresh"
    yield from asked.settings.get(part, ())


def _key(asked: Asked, command: Sequence[str]) -> dict[str, Any]:
    """What a part's figures depend on: the command, weights, prompts, files named, the code."""
    from hashlib import sha256

    from charter.models.checkpoint import identify

    folders = [None if name == "local" else Path(name) for name in (asked.base, *asked.models)]
    return {
        "command": list(command),
        "models": [identify(folder).revision for folder in folders],
        "prompts": sha256(asked.prompts.read_bytes()).hexdigest(),
        "given": _given(asked, command[0]),
        "charter": __version__,
        "recipe": asked.recipe if command[0] == "winrate" else "",
    }


def _given(asked: Asked, part: str) -> dict[str, str]:
    """The bytes of files and folders that a part's options name: a judge, examples, tasks."""
    from hashlib import file_digest, sha256

    values = [each.partition("=")[2] for each in asked.settings.get(part, ())]
    if part == "winrate":
        values += [value for flag, value in pairwise(asked.judge) if flag == "--judge"]
    found = {}
    for value in filter(None, values):
        path = Path(value)
        inside = path.rglob("*") if path.is_dir() else [path]
        # Python leaves what it compiled of a task's code beside it.
        files = sorted(f for f in inside if "__pycache__" not in f.parts and is_file(f))
        read = sha256()
        for file in files:
            with file.open("rb") as opened:
                read.update(f"{file}\n{file_digest(opened, 'sha256').hexdigest()}\n".encode())
        if files:
            found[value] = read.hexdigest()
    return found


def _held(path: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # never written, or by a process that was killed: measured again
    page = path.parent.parent / f"{path.stem}.html"
    same = isinstance(kept, dict) and kept.get("key") == key and page.is_file()
    found = kept.get("found") if same else None
    return found if isinstance(found, dict) else None


def _run(part: str, command: Sequence[str]) -> dict[str, Any]:
    """One evaluation in a process of its own, whose memory goes with it; it speaks on stderr."""
    line = [sys.executable, "-m", "charter.cli", "eval", *command, "--json"]
    # Nothing of a text: a command of ours with paths and numbers, and no shell.
    with subprocess.Popen(  # noqa: S603
        line, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as child:
        try:
            said, _ = child.communicate()
        except BaseException:
            # Ctrl-C reaches the child as well, which ends as it would alone; an end that is this
            # process's alone ends it too.
            try:
                child.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                child.terminate()
            raise
    if child.returncode == 130:
        raise KeyboardInterrupt
    if child.returncode:
        kind = InputError if child.returncode == InputError.exit_code else Failure
        what = f"`charter eval {part}` ended with exit code {child.returncode}, as it says above"
        fix = "mend that, or leave the part out by --with; the parts before it are kept"
        raise kind(Fault("charter report", part, what, fix))
    found = json.loads(said.strip().rpartition("\n")[2])
    assert isinstance(found, dict)
    return found


def make_folder(folder: Path) -> None:
    """Make a folder that results are written to.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot be made ({error.strerror})"
        fix = "name another folder by --out"
        raise InputError(Fault(str(folder), "", what, fix)) from None
