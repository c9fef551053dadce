"""Read prompt records from files: JSON lines, CSV and Parquet, each also packed by gzip."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from charter.errors import Fault, InputError
from charter.recipes.given import BadRecordError
from charter.rows import Reason
from charter.values import is_unicode

__all__ = ["FORMATS", "file_records", "format_of"]

FORMATS = (".jsonl", ".csv", ".parquet")


def format_of(file: Path) -> str:
    """The ending of a file's name in small letters, whether it is packed (`.gz`) or not."""
    endings = [each for each in Path(file.name.lower()).suffixes if each != ".gz"]
    return endings[-1] if endings else ""


def file_records(
    files: tuple[Path, ...], columns: frozenset[str]
) -> Iterator[tuple[str, str, Any]]:
    """Yield (place, file name, record or BadRecordError) of each record, file after file."""
    readers: Mapping[str, Callable[[Path, frozenset[str]], Iterator[tuple[int, Any]]]]
    readers = dict(zip(FORMATS, (_jsonl, _csv, _parquet), strict=True))
    for file in files:
        # A name that is not UTF-8 must not keep rows from being written.
        shown = os.fsencode(file.name).decode(errors="replace")
        try:
            for number, record in readers[format_of(file)](file, columns):
                yield f"{shown}:{number}", shown.removesuffix(".gz"), record
        except (OSError, EOFError, zlib.error) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            what = f"cannot be read ({said})"
            raise InputError(Fault(str(file), "", what, "check the file")) from None


def _bytes(file: Path) -> IO[bytes]:
    if file.suffix.lower() == ".gz":
        return cast(IO[bytes], gzip.open(file, "rb"))
    return file.open("rb")


def _jsonl(file: Path, columns: frozenset[str]) -> Iterator[tuple[int, Any]]:
    with _bytes(file) as stream:
        for number, line in enumerate(stream, 1):
            body = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not body.strip():
                continue  # a blank line is no record
            try:
                yield number, json.loads(body.decode())
            except UnicodeDecodeError:
                yield number, BadRecordError(Reason.NOT_UTF8, "the line is not UTF-8")
            except json.JSONDecodeError as error:
                yield number, BadRecordError(Reason.NOT_JSON, f"the line is not JSON ({error.msg})")
            except (ValueError, RecursionError):
                detail = "the line is nested too deep, or has a number of thousands of digits"
                yield number, BadRecordError(Reason.NOT_JSON, detail)


def _csv(file: Path, columns: frozenset[str]) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(sys.maxsize)
    with _bytes(file) as raw:
        # An undecodable byte becomes a lone surrogate, which the record's check finds.
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
        # Strict: a quote that is never closed would swallow all records after it without a word.
        reader = csv.DictReader(text, strict=True)
        _check_header(file, reader, columns)
        while True:
            begins = reader.reader.line_num + 1
            try:
                record: dict[str, Any] = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                detail = f"the quotes of the record are wrong ({error})"
                yield begins, BadRecordError(Reason.BAD_MESSAGES, detail)
                continue
            if None in record:
                what = "the line has more fields than the header"
                yield reader.line_num, BadRecordError(Reason.BAD_MESSAGES, what)
            else:
                read = {name: _conversation(record[name]) for name in columns & record.keys()}
                yield reader.line_num, {**record, **read}


def _conversation(field: Any) -> Any:
    """The messages that a field holds as JSON, since CSV has nothing but text; else the field."""
    if not isinstance(field, str) or not field.lstrip().startswith("[") or '"role"' not in field:
        return field
    try:
        found = json.loads(field)
    except (ValueError, RecursionError):
        return field
    is_one = bool(found) and all(isinstance(each, dict) and "role" in each for each in found)
    return found if is_one else field


def _check_header(file: Path, reader: csv.DictReader[str], columns: frozenset[str]) -> None:
    try:
        names = list(reader.fieldnames or ())
    except csv.Error as error:
        what = f"the quotes of its header are wrong ({error})"
        raise InputError(Fault(str(file), "", what, "mend the first line")) from None
    if columns.isdisjoint(names) and not is_unicode("".join(names)):
        raise InputError(Fault(str(file), "", "is not UTF-8", "save the file as UTF-8"))
    _check_columns(file, [name for name in names if name in columns])


def _check_columns(file: Path, names: list[str]) -> None:
    """Of two columns of one name only the last would be read."""
    twice = [f'has two columns "{name}"' for name in set(names) if names.count(name) > 1]
    if twice:
        raise InputError(Fault(str(file), "", " and ".join(sorted(twice)), "rename one of them"))


def _parquet(file: Path, columns: frozenset[str]) -> Iterator[tuple[int, Any]]:
    """Read with pyarrow: on a damaged file polars asks for all memory and aborts the process."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with _bytes(file) as stream, ParquetFile(stream) as source:
            # The mapped columns alone: others may be of types that Python has no values for.
            names = [name for name in source.schema_arrow.names if name in columns]
            _check_columns(file, names)
            # Whoever misses a column is told which there are.
            unread = dict.fromkeys(source.schema_arrow.names)
            number = 0
            for batch in source.iter_batches(1000, columns=names):
                for record in batch.to_pylist():
                    number += 1
                    yield number, unread | record
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise OSError(str(error)) from None
