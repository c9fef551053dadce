"""Lines of JSON for the judge audit: every fault of a file at once, each with its line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, cast

from charter.errors import Fault, InputError
from charter.values import is_unicode

__all__ = ["Lines", "text_of"]

_SHOWN: Final = 20  # faults of one file that are told one by one
_GZIP: Final = b"\x1f\x8b"


class Lines:
    """The objects of a jsonl file, plain or gzipped, whatever it is called.

    Args:
        path: the file.

    Attributes:
        faults: what was found wrong so far, by `fault` too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[Fault] = []
        self._more = 0

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The number and the object of each line that has one.

        Raises:
            InputError: the file cannot be read at all.
        """
        try:
            with self._opened() as stream:
                for number, line in enumerate(stream, 1):
                    body = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                    if body.strip():
                        yield from self._read(number, body)
        except FileNotFoundError:
            what, fix = "no such file", "check the path"
        except IsADirectoryError:
            what, fix = "is a folder", "name a file in it"
        except (OSError, EOFError, zlib.error) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            what, fix = f"cannot be read ({said})", "check the file"
        else:
            return
        raise InputError(Fault(str(self.path), "", what, fix)) from None

    def _opened(self) -> IO[bytes]:
        with self.path.open("rb") as file:
            packed = file.read(2) == _GZIP
        return cast(IO[bytes], gzip.open(self.path, "rb")) if packed else self.path.open("rb")

    def _read(self, number: int, body: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            value = json.loads(body.decode())
            key = _halved(body, value) if isinstance(value, dict) else None
        except UnicodeDecodeError:
            self.fault(number, "", "the line is not UTF-8", "save the file as UTF-8")
        except json.JSONDecodeError as error:
            self.fault(number, "", f"the line is not JSON ({error.msg})", "one JSON object a line")
        except (ValueError, RecursionError):
            self.fault(number, "", "the line is nested too deep, or has too long a number", "")
        else:
            if not isinstance(value, dict):
                self.fault(number, "", "the line is no JSON object", "one JSON object a line")
            elif key is not None:
                self.fault(number, key, "has half a character", "write the character itself")
            else:
                yield number, value

    def fault(self, number: int, path: str, what: str, fix: str) -> None:
        """Note what is wrong with a line."""
        if len(self.faults) < _SHOWN:
            self.faults.append(Fault(f"{self.path}:{number}", path, what, fix))
        else:
            self._more += 1

    def check(self, used: int, what: str) -> None:
        """Raise all that was found, or that there was nothing.

        Args:
            used: how many lines were of use.
            what: what the file should have, in words.

        Raises:
            InputError: lines were wrong, or there was none of use.
        """
        found = list(self.faults)
        if self._more:
            found.append(Fault(str(self.path), "", f"{self._more} more faults", "mend these first"))
        if not used and not found:
            found.append(Fault(str(self.path), "", f"has no {what}", "check the file"))
        if found:
            raise InputError(found)


def _halved(body: bytes, row: Mapping[str, Any]) -> str | None:
    """The first key with half a surrogate pair in it, which nothing that is written can hold."""
    if b"\\u" not in body:  # it can only come from an escape
        return None
    texts = ((key, json.dumps({key: value}, ensure_ascii=False)) for key, value in row.items())
    return next(
        (key if is_unicode(key) else "" for key, text in texts if not is_unicode(text)), None
    )


def text_of(
    lines: Lines, number: int, row: Mapping[str, Any], keys: Collection[str]
) -> tuple[str, ...] | None:
    """The texts of a row's keys; None, and a fault for each, where one is missing or no text."""
    good = True
    for key in keys:
        value = row.get(key)
        if key not in row:
            lines.fault(number, key, "the key is missing", f"add `{key}` to the line")
        elif not isinstance(value, str):
            lines.fault(number, key, "is not text", "give text")
        else:
            continue
        good = False
    return tuple(row[key] for key in keys) if good else None
