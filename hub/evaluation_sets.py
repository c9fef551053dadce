"""Sets of prompts that models are evaluated on, read from files, as hashes of their n-grams."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from charter.errors import Fault, InputError, nearest
from charter.hub.ngrams import grams
from charter.hub.twice import Hash
from charter.recipes.load import resolve
from charter.recipes.prompt_files import format_of
from charter.recipes.publish import EvaluationSource
from charter.rows import digest
from charter.values import is_unicode

__all__ = ["COLUMNS", "EvaluationSet", "load_sets", "texts_of"]

COLUMNS: Final = ("prompt", "question", "text", "instruction", "input", "problem", "goal", "query")
"""The columns that a record's prompt is looked for in, the first that a file has."""

_COMMON: Final = 10
"""Records of one set that share an n-gram before it counts as the set's own frame, not as text."""
_SAYS: Final = 4
"""Words from which a message says something of its own, where a record has several."""
_BATCH: Final = 4096
_SCHEME: Final = 1

Ints = npt.NDArray[np.int32]
_Pairs = tuple[Hash, Ints, Hash, Ints]


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """One evaluation set.

    Attributes:
        name: of its file, without endings.
        records: how many it has.
        hashes: of its n-grams and of its records' texts as wholes, sorted; one for each record it
            is in.
        owners: for each hash the record.
        framed: n-grams left out because more than ten records share them.
        fingerprint: of the hashes: another one when the set is another.
    """

    name: str
    records: int
    hashes: Hash
    owners: Ints
    framed: int
    fingerprint: str

    @classmethod
    def load(cls, path: Path | str, column: str | None = None) -> EvaluationSet:
        """Read the prompts of a jsonl, csv, parquet or txt file (also .gz).

        Of a record the column is read, by default the first of `COLUMNS` that the file has: text,
        or a list of messages, of which all but the system's count. Of a txt file each line is a
        record.

        Raises:
            InputError: the file can't be read, has no such column, or a record has no text.
        """
        path = Path(path)
        read = _READERS.get(format_of(path))
        if read is None:
            raise _fault(path, "has no known ending", f"use one of {', '.join(_READERS)}, or .gz")
        try:
            return cls.of(path.name.split(".")[0], texts_of(path, read(path, column), column))
        except (OSError, EOFError, zlib.error) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise _fault(path, f"cannot be read ({said})", "check the file") from None

    @classmethod
    def of(cls, name: str, records: Iterable[Iterable[str]]) -> EvaluationSet:
        """A set of records, each of one or more texts."""
        found: list[_Pairs] = []
        count = 0
        source = iter(records)
        while batch := [list(texts) for texts in islice(source, _BATCH)]:
            sizes = [len(each) for each in batch]
            owner = np.repeat(np.arange(count, count + len(batch), dtype=np.int32), sizes)
            made = grams(pl.Series([text for each in batch for text in each], dtype=pl.String))
            # "Yes." and "Go on." are turns of many conversations, and no record's own.
            alone = np.repeat(np.array(sizes) == 1, sizes)
            said = (made.whole != 0) & (alone | (made.words >= _SAYS))
            found.append((made.grams, owner[made.text], made.whole[said], owner[said]))
            count += len(batch)
        no_hash, no_owner = np.empty(0, np.uint64), np.empty(0, np.int32)
        empty: _Pairs = (no_hash, no_owner, no_hash, no_owner)
        parts = [np.concatenate(each) for each in zip(empty, *found, strict=True)]
        hashes, owners = _once(parts[0], parts[1])
        _, run, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        rare = (counts <= _COMMON)[run]
        framed = int(np.count_nonzero(counts > _COMMON))
        # What a record says as a whole is its own, however many others say the same.
        hashes, owners = _once(
            np.concatenate((hashes[rare], parts[2])), np.concatenate((owners[rare], parts[3]))
        )
        held = hashlib.sha256(hashes.astype("<u8").tobytes()).hexdigest()
        return cls(name, count, hashes, owners, framed, digest("set", _SCHEME, held))

    def hit(self, hashes: Hash) -> npt.NDArray[np.bool_]:
        """Which of some hashes are the set's."""
        if not len(self.hashes):
            return np.zeros(len(hashes), bool)
        places = np.searchsorted(self.hashes, hashes)
        places[places == len(self.hashes)] = 0
        found: npt.NDArray[np.bool_] = self.hashes[places] == hashes
        return found

    def records_of(self, hashes: Hash) -> int:
        """How many of the set's records some hashes stand in."""
        return len(np.unique(self.owners[np.isin(self.hashes, hashes)]))


def _once(hashes: Hash, owners: Ints) -> tuple[Hash, Ints]:
    """Each hash once for each of its owners, sorted."""
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    new = np.ones(len(hashes), bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return hashes[new], owners[new]


def load_sets(entries: Sequence[str | EvaluationSource], beside: Path) -> tuple[EvaluationSet, ...]:
    """The sets that a recipe names: paths or globs, from the working folder or the recipe's.

    Datasets are read at the Hub as the clients do.

    Raises:
        InputError: each name without a file, each set that can't be read, two sets of one name.
    """
    sets: dict[str, EvaluationSet] = {}
    faults: list[Fault] = []
    for entry in entries:
        source = EvaluationSource(path=entry) if isinstance(entry, str) else entry
        for load in _loaders(source, beside, faults):
            try:
                found = load()
            except InputError as error:
                faults += error.faults
                continue
            if found.name in sets:
                what = f'there is another evaluation set "{found.name}"'
                faults += _fault(found.name, what, "rename one of them, or name it once").faults
            sets[found.name] = found
    if faults:
        raise InputError(faults)
    return tuple(sets.values())


def _loaders(
    source: EvaluationSource, beside: Path, faults: list[Fault]
) -> list[Callable[[], EvaluationSet]]:
    if source.path is None:
        from charter.hub.evaluation_datasets import load_dataset_set

        return [partial(load_dataset_set, source)]
    files = resolve(source.path, beside)
    if not files:
        what = f'no such file "{source.path}"'
        faults.append(Fault("", "publish.decontaminate", what, "check the path"))
    return [partial(EvaluationSet.load, file, source.column) for file in files]


def _fault(path: Path | str, what: str, fix: str) -> InputError:
    return InputError(Fault(str(path), "publish.decontaminate", what, fix))


def texts_of(
    path: Path | str, records: Iterator[tuple[int, Any]], column: str | None = None
) -> Iterator[list[str]]:
    """The texts of each record; of a file without any, or of a record without, a fault."""
    none = True
    for number, record in records:
        none = False
        if not isinstance(record, Mapping):
            what = "is no object of keys and values"
            raise _fault(f"{path}:{number}", what, "mend the record")
        if column is None:
            column = next((name for name in COLUMNS if record.get(name)), None)
            if column is None:
                fix = f"say `column`, or name it one of {', '.join(COLUMNS)}"
                raise _fault(f"{path}:{number}", "has no column of prompts", fix)
        if column not in record:
            fix = f"{nearest(column, [str(name) for name in record])}"
            raise _fault(f"{path}:{number}", f'has no column "{column}"', fix)
        value = record[column]
        if isinstance(value, list) and value and all(isinstance(m, Mapping) for m in value):
            texts = [m.get("content") for m in value if m.get("role") != "system"]
        else:
            texts = [value]
        if not texts or not all(isinstance(text, str) for text in texts) or not any(texts):
            what = f"has no text in {column}"
            raise _fault(f"{path}:{number}", what, "give text or messages, or take it out")
        if not all(map(is_unicode, texts)):
            fix = "save the file as UTF-8, and mend escapes that are half a character"
            raise _fault(f"{path}:{number}", f"has text in {column} that is not UTF-8", fix)
        yield cast(list[str], texts)
    if none:
        raise _fault(path, "has no record", "name a file of prompts")


def _open(path: Path) -> IO[bytes]:
    return (
        cast(IO[bytes], gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with _open(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                raise _fault(f"{path}:{number}", "is not UTF-8", "write it as UTF-8") from None
            if text:
                yield number, text


def _txt(path: Path, column: str | None) -> Iterator[tuple[int, Any]]:
    for number, text in _lines(path):
        yield number, {column or COLUMNS[0]: text}


def _jsonl(path: Path, column: str | None) -> Iterator[tuple[int, Any]]:
    for number, text in _lines(path):
        try:
            yield number, json.loads(text)
        except (ValueError, RecursionError):
            raise _fault(f"{path}:{number}", "is not JSON", "write one object a line") from None


def _csv(path: Path, column: str | None) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(sys.maxsize)
    with _open(path) as raw:
        # An undecodable byte becomes a lone surrogate, which is found in its record.
        text = io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.DictReader(text, strict=True)
        try:
            names = reader.fieldnames or ()
            if not is_unicode("".join(names)):
                raise _fault(f"{path}:1", "is not UTF-8", "save the file as UTF-8")
            _check_once(path, names, column)
            for record in reader:
                yield reader.line_num, record
        except csv.Error as error:
            where = f"{path}:{reader.line_num}"
            raise _fault(where, f"is no CSV ({error})", "mend the line") from None


def _check_once(path: Path, names: Sequence[str], column: str | None) -> None:
    """Of two columns of one name only the last would be read."""
    for name in COLUMNS if column is None else (column,):
        if list(names).count(name) > 1:
            raise _fault(path, f'has two columns "{name}"', "rename one of them")


def _parquet(path: Path, column: str | None) -> Iterator[tuple[int, Any]]:
    """Read with pyarrow: on a damaged file polars asks for all memory and aborts the process."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with _open(path) as stream, ParquetFile(stream) as source:
            # The columns of prompts alone: others may be of types that Python has no values for.
            wanted = COLUMNS if column is None else (column,)
            names = [name for name in source.schema_arrow.names if name in wanted]
            _check_once(path, names, column)
            number = 0
            for batch in source.iter_batches(_BATCH, columns=names):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise OSError(str(error)) from None


_READERS: Final[dict[str, Callable[[Path, str | None], Iterator[tuple[int, Any]]]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
    ".txt": _txt,
}
