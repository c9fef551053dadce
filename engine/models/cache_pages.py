"""Rows read straight from the pages of an SQLite file, whatever else in it is damaged.

No tree is walked: each page is looked at by itself, so a page that cannot be read costs what stood
on it and nothing more. The format is SQLite's own (https://sqlite.org/fileformat2.html, sections
1.6 B-tree pages, 2.1 record format, 4 write-ahead log). What is read here may be rubbish; whoever
reads it has checksums.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from charter.models.cache import PAGE

__all__ = ["Pages", "Record", "page_sizes"]

# A row as it lies in the file: whether it is a table's, and its values; None is NULL.
Record = tuple[bool, list[Any]]

_FRAME_HEAD, _LOG_HEAD, _FILE_HEAD = 24, 32, 100
_INDEX_INSIDE, _INDEX_LEAF = 2, 10
_TRIES = 16  # places looked at before a page is taken for none of rows
_LONGEST = 256 << 20  # bytes a row; more is damage
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class Pages:
    """The pages of a file, as its log has changed them.

    Args:
        source: the file, opened to be read.
        log: its write-ahead log, or None. Frames up to the last commit are taken; their checksums
            are not asked, for one damaged frame makes SQLite drop all that come after it.
        size: bytes a page.
    """

    def __init__(self, source: IO[bytes], log: IO[bytes] | None, size: int) -> None:
        self._source, self._log, self._size = source, log, size
        self._in_file = -(-source.seek(0, 2) // size)
        frames = {} if log is None else _frames(log, size)
        # The file grows by pages that are in the log; a number beyond them is damage.
        most = self._in_file + len(frames)
        self._frames = {n: place for n, place in frames.items() if 0 < n <= most}
        self.count = max(self._in_file, *self._frames, 0)
        self._free = self._free_pages()
        # Section 1.6: how much of a row lies on its page; the same for leaves of tables and not.
        self._most = {True: size - 35, False: (size - 12) * 64 // 255 - 23}
        self._least = (size - 12) * 32 // 255 - 23

    def page(self, number: int) -> bytes:
        """One page, from 1; short or empty where the file ends."""
        place = self._frames.get(number)
        try:
            if place is not None and self._log is not None:
                self._log.seek(place)
                return self._log.read(self._size)
            self._source.seek((number - 1) * self._size)
            return self._source.read(self._size)
        except OSError:  # a bad sector
            return b""

    def records(self) -> Iterator[Record]:
        """Every row of every table and index that can be made out."""
        for number in range(1, self.count + 1):
            if not self._free[number // 8] >> number % 8 & 1:
                yield from self._on(self.page(number), _FILE_HEAD if number == 1 else 0)

    def _on(self, page: bytes, start: int) -> Iterator[Record]:
        # Pages of long rows' tails begin with the number of the next one, so with 0.
        if len(page) < start + 12 or not page[start]:
            return
        inside = page[start] == _INDEX_INSIDE
        # A damaged kind is tried as a leaf of a table: there the answers are.
        table = not inside and page[start] != _INDEX_LEAF
        found = False
        for as_table in (table, not table):
            for record in self._cells(page, start, as_table, inside and not as_table):
                found = True
                yield as_table, record
            if found:
                return

    def _cells(self, page: bytes, start: int, table: bool, inside: bool) -> Iterator[list[Any]]:
        first = start + (12 if inside else 8)
        cells = min(int.from_bytes(page[start + 3 : start + 5]), (len(page) - first) // 2)
        found = 0
        for seen, place in enumerate(struct.unpack_from(f">{cells}H", page, first)):
            try:
                yield _record(self._payload(page, place + 4 * inside, table))
                found += 1
            except (IndexError, ValueError, struct.error):  # no row, or a damaged one
                if not found and seen > _TRIES:
                    return

    def _payload(self, page: bytes, place: int, table: bool) -> bytes:
        length, place = _varint(page, place)
        if table:
            _, place = _varint(page, place)  # the row's id
        if not 1 < length <= _LONGEST:
            raise ValueError
        most = self._most[table]
        here = length
        if length > most:
            here = self._least + (length - self._least) % (self._size - 4)
            here = here if here <= most else self._least
        if place + here + 4 * (length > here) > len(page):
            raise ValueError
        parts = [page[place : place + here]]
        following = int.from_bytes(page[place + here : place + here + 4])
        missing = length - here
        while missing > 0:
            more = self.page(following) if 1 < following <= self.count else b""
            if len(more) < self._size:
                raise ValueError
            parts.append(more[4 : 4 + missing])
            missing -= len(parts[-1])
            following = int.from_bytes(more[:4])
        return b"".join(parts)

    def _free_pages(self) -> bytearray:
        """One bit a page: whether it is free, so that what was deleted does not come back."""
        none = bytearray(self.count // 8 + 1)
        free = bytearray(none)
        head = self.page(1)
        if len(head) < _FILE_HEAD:
            return none
        trunk, count = struct.unpack_from(">II", head, 32)
        found = 0
        while 1 < trunk <= self.count and found < count:
            page = self.page(trunk)
            if len(page) < self._size:
                return none
            trunks, leaves = struct.unpack_from(">II", page)
            if leaves > self._size // 4 - 2:
                return none
            for number in (trunk, *struct.unpack_from(f">{leaves}I", page, 8)):
                if not 1 < number <= self.count:
                    return none
                free[number // 8] |= 1 << number % 8
            found += leaves + 1
            trunk = trunks
        # A list that does not add up is damaged, and might name pages that are in use.
        return free if found == count and not trunk else none


def page_sizes(path: Path) -> list[int]:
    """The sizes of pages to try: what the file says, and what the cache is made with."""
    with path.open("rb") as source:
        said = int.from_bytes(source.read(18)[16:18])
    said = 65536 if said == 1 else said
    valid = 512 <= said <= 65536 and said & (said - 1) == 0
    return [said, PAGE] if valid and said != PAGE else [PAGE]


def _frames(log: IO[bytes], size: int) -> dict[int, int]:
    """Where in a log each page's latest committed state begins."""
    found: dict[int, int] = {}
    pending: dict[int, int] = {}
    end = log.seek(0, 2)
    salt = None
    for place in range(_LOG_HEAD, end - _FRAME_HEAD - size + 1, _FRAME_HEAD + size):
        log.seek(place)
        number, committed, one, two = struct.unpack(">IIII", log.read(16))
        # After a log began anew, frames of its former life follow with other salts.
        salt = salt or (one, two)
        if salt != (one, two):
            break
        pending[number] = place + _FRAME_HEAD
        if committed:
            found.update(pending)
            pending.clear()
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = data[place]
    if value < 0x80:
        return value, place + 1
    value &= 0x7F
    for step in range(1, 8):
        byte = data[place + step]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + step + 1
    return value << 8 | data[place + 8], place + 9


def _record(data: bytes) -> list[Any]:
    """The values of a row.

    Raises:
        ValueError, IndexError, struct.error: it is none.
    """
    head, place = _varint(data, 0)
    kinds = []
    while place < head:
        kind, place = _varint(data, place)
        kinds.append(kind)
    values = []
    for kind in kinds:
        value, place = _value(data, kind, place)
        values.append(value)
    if place != len(data):
        raise ValueError
    return values


def _value(data: bytes, kind: int, place: int) -> tuple[Any, int]:
    if kind >= 12:
        end = place + (kind - 12) // 2
        if end > len(data):
            raise ValueError
        return (data[place:end].decode() if kind & 1 else data[place:end]), end
    if kind in _INTEGERS:
        end = place + _INTEGERS[kind]
        return int.from_bytes(data[place:end], signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", data, place)[0], place + 8
    if kind in (0, 8, 9):
        return (None, 0, 1)[max(0, kind - 7)], place
    raise ValueError
