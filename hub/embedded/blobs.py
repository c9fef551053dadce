"""Large files beside git: by SHA-256, in git-lfs's own layout, whole or absent."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from charter.hub.embedded.durable import move_in
from charter.hub.embedded.errors import HubError

__all__ = [
    "ATTRIBUTES",
    "Incoming",
    "Pointer",
    "blob_path",
    "blob_size",
    "is_large",
    "parse_pointer",
    "pointer_bytes",
]

LARGE: Final = 10_000_000  # bytes; the real Hub takes regular files up to 10 MB
_POINTER: Final = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n"
)
_ALWAYS: Final = (".parquet", ".arrow")
_PATTERNS: Final = (
    "*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.lz4 *.mlmodel *.model "
    "*.msgpack *.npy *.npz *.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar "
    "*.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz *.zip *.zst *tfevents*"
)
_MEDIA: Final = (
    "*.pcm *.sam *.raw *.aac *.flac *.mp3 *.ogg *.wav *.bmp *.gif *.png *.tiff *.jpg *.jpeg *.webp "
    "*.mp4 *.webm *.mds"
)
ATTRIBUTES: Final = {
    kind: "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in text.split())
    for kind, text in (
        ("models", _PATTERNS),
        ("datasets", f"{_PATTERNS} {_MEDIA}"),
        ("spaces", _PATTERNS),
    )
}


class Pointer(NamedTuple):
    """What git holds of a large file."""

    sha256: str
    size: int


def pointer_bytes(pointer: Pointer) -> bytes:
    """The pointer file, byte for byte as git-lfs writes it."""
    head = "version https://git-lfs.github.com/spec/v1"
    return f"{head}\noid sha256:{pointer.sha256}\nsize {pointer.size}\n".encode()


def parse_pointer(content: bytes) -> Pointer | None:
    """The pointer in a blob, or None where it is something else."""
    found = _POINTER.fullmatch(content)
    return Pointer(found[1].decode(), int(found[2])) if found else None


def blob_path(repo: Path, sha256: str) -> Path:
    """Where a repo keeps a large file, whether it has it or not."""
    return repo / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256


def blob_size(repo: Path, sha256: str) -> int | None:
    """The bytes of a large file, or None where the repo has it not."""
    try:
        return blob_path(repo, sha256).stat().st_size
    except FileNotFoundError:
        return None


class Incoming:
    """A large file on its way in: hashed while it is written, kept only if it is what was named.

    Args:
        scratch: a folder on the store's file system.
        name: of the file in the making; unused by others.
    """

    def __init__(self, scratch: Path, name: str) -> None:
        self._path = scratch / f"incoming-{name}"
        self._file = self._path.open("xb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, parts: Iterable[bytes]) -> None:
        """Take the next bytes."""
        for part in parts:
            self._hash.update(part)
            self._file.write(part)
            self.size += len(part)

    def keep(self, repo: Path, sha256: str | None = None, size: int | None = None) -> Pointer:
        """Give the file its place in a repo.

        Args:
            repo: the repo's folder.
            sha256: what it must hash to, or None for whatever it is.
            size: how many bytes it must have, or None.

        Raises:
            HubError: 400 where it is not what was named; nothing is kept then.
        """
        got = self._hash.hexdigest()
        if (sha256 is not None and got != sha256) or (size is not None and size != self.size):
            self.discard()
            raise HubError(400, "the content is not what its hash and size say")
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        target = blob_path(repo, got)
        if target.exists():
            self.discard()
        else:
            move_in(self._path, target, repo)
        return Pointer(got, self.size)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._path.unlink(missing_ok=True)


@lru_cache(maxsize=64)
def _rules(attributes: bytes) -> tuple[tuple[str, bool], ...]:
    rules = []
    for line in attributes.decode(errors="replace").splitlines():
        pattern, *marks = line.split()[:20] or [""]
        if pattern and not pattern.startswith("#") and len(pattern) <= 200:
            if "filter=lfs" in marks:
                rules.append((pattern.strip('"'), True))
            elif "-filter" in marks or "!filter" in marks:
                rules.append((pattern.strip('"'), False))
    return tuple(rules)


def _matches(path: str, pattern: str) -> bool:
    if "/" not in pattern:
        return fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], pattern)
    return fnmatch.fnmatchcase(path, pattern.lstrip("/"))


def is_large(path: str, size: int, attributes: bytes, sample: bytes = b"") -> bool:
    """Whether a file is kept beside git: by its size, its name, the repo's `.gitattributes`.

    Args:
        path: within the repo.
        size: in bytes; an empty file never is.
        attributes: the content of `.gitattributes`.
        sample: the first bytes; a NUL among them makes a file binary, and binary is large.
    """
    if not size:
        return False
    if size > LARGE or path.endswith(_ALWAYS) or b"\0" in sample:
        return True
    large = False
    for pattern, mark in _rules(attributes):
        if _matches(path, pattern):
            large = mark
    return large
