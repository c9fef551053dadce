"""Entries out of a cache into JSON lines, and from there, or from other caches, into one."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

import orjson

from charter.errors import CharterError, Failure, Fault, InputError
from charter.models.cache import INSERT, SCHEMA_VERSION, UNUSABLE, broken, connect, row_of
from charter.models.cache_files import KEY_BYTES, Kept, Tick, read_cache, walk
from charter.models.call import Answer
from charter.values import is_unicode

__all__ = ["Merged", "check_target", "export_cache", "import_into"]

HEADER = "charter_cache"
_CHECKSUM = "checksum"
_BATCH = 2000  # entries a transaction: other processes wait for one of them at most
_LONGEST = 64 << 20  # bytes a line
_SQLITE, _GZIP = b"SQLite format 3\0", b"\x1f\x8b"
_MINUS_INFINITY = "-Infinity"  # JSON has no number for it
_MOST = 1e300  # of what is to be a finite float

_Bytes = IO[bytes] | gzip.GzipFile
Tell = Callable[[Fault], None]


# Out


def export_cache(path: Path, target: str, model: str | None, tell: Tell, tick: Tick) -> int:
    """Write all entries as JSON lines.

    The first line is a header, `{"charter_cache": 2, "model": null}`. A log-probability of minus
    infinity is the text "-Infinity". Each line has a checksum of all else in it. The file is there
    whole or not at all.

    Args:
        path: of the cache.
        target: a file `.jsonl` or `.jsonl.gz`, or `-` for stdout.
        model: only this model's.
        tell: is told of each damaged entry, which is left out.
        tick: is told of entries written.

    Returns:
        Entries written.

    Raises:
        InputError: no such cache, or the target has another name.
        Failure: a file cannot be read or written.
    """
    check_target(target)
    written = 0
    with read_cache(path) as db, _written(target) as out:
        out.write(orjson.dumps({HEADER: SCHEMA_VERSION, "model": model}) + b"\n")
        for place, kept in walk(db, model):
            if kept is None:
                fix = "it counts as absent; `charter cache repair` clears it away"
                tell(Fault(str(path), f"calls.id {place}", "the entry is damaged", fix))
                continue
            out.write(_line(kept))
            written += 1
            if written % _BATCH == 0:
                tick(_BATCH)
    return written


def check_target(target: str) -> None:
    """Refuse the name of an export that says something else, such as the cache's own.

    Raises:
        InputError: it does.
    """
    if target != "-" and not target.endswith((".jsonl", ".jsonl.gz")):
        what = "an export is a .jsonl or .jsonl.gz file, or `-`"
        raise InputError(Fault(target, "", what, f"name it {target}.jsonl.gz"))


def _line(kept: Kept) -> bytes:
    found = _fields(kept)
    return _encoded({**found, _CHECKSUM: zlib.crc32(_encoded(found))}) + b"\n"


def _fields(kept: Kept) -> dict[str, Any]:
    answer = kept.answer
    logprobs = {
        label: _MINUS_INFINITY if value == -math.inf else value
        for label, value in answer.label_logprobs.items()
    }
    return {
        "key": kept.key.hex(),
        "model": kept.model,
        "text": answer.text,
        "finish": answer.finish_reason,
        "logprobs": logprobs or None,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "seconds": answer.seconds,
        "made": kept.made,
    }


def _encoded(found: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(found)
    except TypeError:  # half a surrogate pair in a label
        return json.dumps(found, allow_nan=False).encode()


@contextmanager
def _written(target: str) -> Iterator[_Bytes]:
    """A file that takes its name when it is whole."""
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as raw:
            if target.endswith(".gz"):
                with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                    yield packed
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        fix = "check the folder and the space on its disk"
        raise Failure(Fault(target, "", f"cannot be written ({error})", fix)) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


# In


class Merged:
    """What became of the entries of an import.

    Attributes:
        new: put in.
        known: there before, and left as they were.
        bad: not put in; each was told of.
    """

    def __init__(self) -> None:
        self.new = self.known = self.bad = 0


def import_into(path: Path, files: Iterable[str], tell: Tell, tick: Tick) -> Merged:
    """Merge exports and other caches into a cache; made where it is not there.

    Entries that are known stay. Each new one is looked at: its key, types, numbers and checksum in
    lines (exports of older versions have no checksum), its checksum in caches. Notes of failed
    calls are not taken over.

    Args:
        path: of the cache.
        files: `.jsonl`, `.jsonl.gz`, cache files, or `-` for lines on stdin.
        tell: is told of each bad entry, with its line.
        tick: is told of entries read.

    Raises:
        InputError: a file is not there, or neither an export nor a cache; found before any entry
            is put in where that can be.
        Failure: the cache cannot be written.
    """
    merged = Merged()
    given = list(files)
    faults = [
        Fault(file, "", "is a folder", "name the export or the cache in it")
        if Path(file).is_dir()
        else Fault(file, "", "no such file", "check the path")
        for file in given
        if file != "-" and not Path(file).is_file()
    ]
    if faults:
        raise InputError(faults)

    def bad(place: str, what: str, path: str = "") -> None:
        merged.bad += 1
        tell(Fault(place, path, what, "left out; export it anew from its cache"))

    try:
        db = connect(path)
    except (*UNUSABLE, OSError) as error:
        raise broken(path, error) from None
    with closing(db):
        for file in given:
            entries = _entries(file, bad)
            while batch := list(islice(entries, _BATCH)):
                try:
                    _merge(db, batch, merged)
                except UNUSABLE as error:
                    raise broken(path, error) from None
                tick(len(batch))
    return merged


def _merge(db: sqlite3.Connection, batch: list[Kept], merged: Merged) -> None:
    rows = [row_of(each.key, each.model, each.answer, each.made) for each in batch]
    db.execute("BEGIN IMMEDIATE")
    try:
        new = db.executemany(INSERT, rows).rowcount
        db.execute("COMMIT")
    finally:
        with suppress(*UNUSABLE):
            if db.in_transaction:
                db.execute("ROLLBACK")
    merged.new += new
    merged.known += len(batch) - new


Bad = Callable[..., None]


def _entries(file: str, bad: Bad) -> Iterator[Kept]:
    """The good entries of one file, whatever it is."""
    try:
        if file == "-":
            yield from _from_lines(sys.stdin.buffer, "stdin", bad)
            return
        with Path(file).open("rb") as raw:
            start = raw.read(len(_SQLITE))
            raw.seek(0)
            if start.startswith(_GZIP):
                with gzip.GzipFile(fileobj=raw) as packed:
                    yield from _from_lines(packed, file, bad)
            elif start != _SQLITE:
                yield from _from_lines(raw, file, bad)
        if start == _SQLITE:
            yield from _from_cache(Path(file), bad)
    except OSError as error:
        raise Failure(Fault(file, "", f"cannot be read ({error})", "check the file")) from None


def _from_cache(path: Path, bad: Bad) -> Iterator[Kept]:
    seen = False
    try:
        with read_cache(path) as db:
            for place, kept in walk(db):
                seen = True
                if kept is None:
                    bad(str(path), "the entry is damaged", f"calls.id {place}")
                else:
                    yield kept
    except CharterError as error:
        if not seen:
            raise
        # What came before is in; the rest must not be passed over in silence.
        bad(str(path), f"the rest cannot be read: {error.faults[0].what}")


def _from_lines(source: _Bytes, name: str, bad: Bad) -> Iterator[Kept]:
    number = 0
    try:
        while line := source.readline(_LONGEST):
            number += 1
            if number == 1:
                _check_header(line, name)
            elif len(line) == _LONGEST and not line.endswith(b"\n"):
                bad(f"{name}:{number}", "the line is too long")
                while line and not line.endswith(b"\n"):
                    line = source.readline(_LONGEST)
            elif line.strip():
                kept = _parsed(line)
                if isinstance(kept, Kept):
                    yield kept
                elif kept:
                    bad(f"{name}:{number}", kept)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        bad(f"{name}:{number + 1}", f"the file is cut off or damaged here ({error})")
    if not number:
        raise InputError(Fault(name, "", "the file is empty", "export it anew"))


def _check_header(line: bytes, name: str) -> None:
    head = _json(line)
    version = head.get(HEADER) if isinstance(head, dict) else None
    if type(version) is not int or version < 1:
        what = f'no export of a cache: its first line has no "{HEADER}"'
        raise InputError(Fault(f"{name}:1", "", what, "give a file of `charter cache export`"))
    if version != SCHEMA_VERSION:
        what = f"the export has schema {version}, this charter reads {SCHEMA_VERSION}"
        fix = "upgrade charter" if version > SCHEMA_VERSION else "its keys are no longer made"
        raise InputError(Fault(f"{name}:1", "", what, fix))


def _json(line: bytes) -> Any:
    """The value of a line; None where it is no JSON."""
    try:
        return orjson.loads(line)
    except ValueError:
        pass
    try:  # half a surrogate pair, which orjson refuses
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


_TYPES: dict[str, tuple[type, ...]] = {
    "key": (str,),
    "model": (str,),
    "text": (str,),
    "finish": (str,),
    "logprobs": (dict, type(None)),
    "prompt_tokens": (int,),
    "completion_tokens": (int,),
    "seconds": (int, float),
    "made": (int, float),
}
_HEX = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", re.ASCII)


def _parsed(line: bytes) -> Kept | str:
    """The entry of a line, or what is wrong with it; "" for another header."""
    found = _json(line)
    if not isinstance(found, dict):
        return "no JSON object"
    if found.get(HEADER) == SCHEMA_VERSION:
        return ""  # exports one after the other in one file
    what = _fault_of(found)
    if what:
        return what
    logprobs = _logprobs(found["logprobs"] or {})
    if logprobs is None:
        return '"logprobs" has a value that is no log-probability'
    tokens = (found["prompt_tokens"], found["completion_tokens"])
    seconds, made = float(found["seconds"]), float(found["made"])
    answer = Answer(found["text"], logprobs, found["finish"], *tokens, seconds=seconds)
    if answer.empty:
        return "an empty answer, which no cache keeps"
    kept = Kept(bytes.fromhex(found["key"]), found["model"], answer, made)
    if _CHECKSUM in found and found[_CHECKSUM] != zlib.crc32(_encoded(_fields(kept))):
        return "its checksum is wrong: the line was changed"
    return kept


def _fault_of(found: dict[str, Any]) -> str:
    """What is wrong with the names, types and ranges of an entry, or ""."""
    for name, types in _TYPES.items():
        if name not in found:
            return f'no "{name}"'
        if type(found[name]) not in types:
            return f'"{name}" is of the wrong type'
    unknown = found.keys() - _TYPES.keys() - {_CHECKSUM}
    if unknown:
        return f"unknown: {', '.join(sorted(unknown))}"
    if not _HEX.fullmatch(found["key"]):
        return '"key" is no 64 hex digits'
    for name in ("prompt_tokens", "completion_tokens"):
        if not 0 <= found[name] < 1 << 63:
            return f'"{name}" is out of range'
    for name in ("seconds", "made"):
        if not abs(found[name]) < _MOST:  # also true of what is no number
            return f'"{name}" is out of range'
    for name in ("model", "text", "finish"):
        if not is_unicode(found[name]):
            return f'"{name}" holds half a surrogate pair'
    return ""


def _logprobs(given: dict[str, Any]) -> dict[str, float] | None:
    found: dict[str, float] = {}
    for label, value in given.items():
        if value == _MINUS_INFINITY:
            found[label] = -math.inf
        elif type(value) is float and value < math.inf:  # false for NaN
            found[label] = value
        elif type(value) is int and abs(value) < _MOST:
            found[label] = float(value)
        else:
            return None
    return found
