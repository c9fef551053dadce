"""The two objects that Xet clients upload: xorbs, which hold chunks, and shards, which name files.

Both formats are laid down in the Xet protocol specification (huggingface.co/docs/xet). Everything
in them is a stranger's: sizes and counts are checked before they are used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from charter.hub.embedded.errors import bad_request

__all__ = ["Chunk", "Segment", "ShardFile", "chunk_table", "hash_text", "read_chunk", "shard_files"]

_HEADER: Final = 48  # bytes of a shard's header, and of each of its entries
_BOOKEND: Final = b"\xff" * 32
_VERIFIED: Final = 1 << 31
_EXTENDED: Final = 1 << 30
_LARGEST_CHUNK: Final = 2**20
_MOST_CHUNKS: Final = 65_536
_FOOTER: Final = b"XETBLOB"
_STORED, _LZ4, _GROUPED_LZ4 = 0, 1, 2


@dataclass(frozen=True)
class Segment:
    """A run of chunks of one xorb.

    Attributes:
        xorb: its hash, as it stands in addresses.
        size: of the run, unpacked.
        first: the first chunk.
        last: the first chunk that is not in the run.
    """

    xorb: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class ShardFile:
    """A file, as runs of chunks one after the other; `sha256` where the client gave one."""

    sha256: str | None
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return sum(segment.size for segment in self.segments)


@dataclass(frozen=True)
class Chunk:
    """Where a chunk lies in a xorb, and how it is packed."""

    at: int
    packed: int
    size: int
    scheme: int


def hash_text(raw: bytes) -> str:
    """A hash as it stands in addresses: four little-endian numbers in hexadecimal."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def shard_files(content: bytes) -> Iterator[ShardFile]:
    """The files that a shard names.

    Raises:
        HubError: 400 where it is no shard.
    """
    at = _HEADER
    while True:
        if at + _HEADER > len(content):
            raise bad_request("the shard ends too early")
        entry = content[at : at + _HEADER]
        if entry[:32] == _BOOKEND:
            return
        flags, count = struct.unpack_from("<II", entry, 32)
        start = at + _HEADER
        length = count * (2 if flags & _VERIFIED else 1) + bool(flags & _EXTENDED)
        at = start + length * _HEADER
        if at > len(content):
            raise bad_request("the shard ends too early")
        segments = tuple(_segment(content, start + index * _HEADER) for index in range(count))
        last = content[at - _HEADER : at - _HEADER + 32]
        yield ShardFile(hash_text(last) if flags & _EXTENDED else None, segments)


def _segment(content: bytes, at: int) -> Segment:
    _, size, first, last = struct.unpack_from("<4I", content, at + 32)
    if not first < last <= _MOST_CHUNKS:
        raise bad_request("a segment of the shard is empty or too long")
    return Segment(hash_text(content[at : at + 32]), size, first, last)


def chunk_table(path: Path) -> tuple[Chunk, ...]:
    """Where the chunks of a xorb lie.

    Raises:
        HubError: 400 where it is no xorb.
    """
    found: list[Chunk] = []
    with path.open("rb") as file:
        end = file.seek(0, 2)
        at = 0
        while at < end:
            file.seek(at)
            head = file.read(8)
            if head[:7] == _FOOTER:
                break
            if len(head) < 8 or head[0] != 0 or len(found) >= _MOST_CHUNKS:
                raise bad_request("the xorb is not made of chunks")
            packed, size = int.from_bytes(head[1:4], "little"), int.from_bytes(head[5:8], "little")
            at += 8 + packed
            if at > end or not 0 < size <= _LARGEST_CHUNK or head[4] > _GROUPED_LZ4:
                raise bad_request("a chunk of the xorb is cut off or packed in an unknown way")
            found.append(Chunk(at - packed, packed, size, head[4]))
    return tuple(found)


def read_chunk(file: BinaryIO, chunk: Chunk) -> bytes:
    """A chunk's content.

    Raises:
        HubError: 400 where it cannot be unpacked to the size that it names.
    """
    file.seek(chunk.at)
    packed = file.read(chunk.packed)
    content = packed if chunk.scheme == _STORED else _unpacked(packed, chunk.size)
    if len(content) != chunk.size:
        raise bad_request("a chunk of the xorb has not the size that it names")
    return _ungrouped(content) if chunk.scheme == _GROUPED_LZ4 else content


def _unpacked(packed: bytes, size: int) -> bytes:
    import pyarrow as pa

    try:
        content: bytes = pa.Codec("lz4").decompress(packed, size, asbytes=True)
    except (OSError, ValueError):
        raise bad_request("a chunk of the xorb cannot be unpacked") from None
    return content


def _ungrouped(content: bytes) -> bytes:
    """Undo the grouping by place: all first bytes of four, all second ones, and so on."""
    out, at = bytearray(len(content)), 0
    for place in range(4):
        length = len(out[place::4])
        out[place::4] = content[at : at + length]
        at += length
    return bytes(out)
