"""Which Argilla a command talks to, and a client of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from charter.errors import Failure, Fault, InputError
from charter.review.embedded.credentials import CREDENTIALS, read_credentials
from charter.review.embedded.place import data_folder
from charter.review.progress import server_version

if TYPE_CHECKING:
    import argilla as rg
    import requests

__all__ = ["Server", "connect", "find_server", "named_first", "sdk_faults", "workspace_of"]

_URL: Final = "ARGILLA_API_URL"
_KEY: Final = "ARGILLA_API_KEY"
_START: Final = f"charter review serve, or set {_URL} and {_KEY}"
_PATIENCE: Final = 30  # seconds for a word from a server
_BULK: Final = 600  # seconds for one batch of records


@dataclass(frozen=True, slots=True)
class Server:
    """Where an Argilla is, and the key to it.

    Attributes:
        url: without a slash at its end.
        api_key: kept out of `repr`, so that no log and no traceback shows it.
    """

    url: str
    api_key: str = field(repr=False)

    @property
    def shown(self) -> str:
        """The address without a name and password that may stand in it."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def find_server(data: Path | None = None) -> Server:
    """The user's own Argilla, or the embedded one.

    ARGILLA_API_URL and ARGILLA_API_KEY where both are set; else `credentials.json` of the data
    folder, if a server answers at its address. A folder that is given goes first, unless it has
    no credentials: it may be there for the answers alone.

    Args:
        data: the review's data folder; the user's where None.

    Raises:
        InputError: there is none; or only one of the two variables is set.
    """
    url, key = os.environ.get(_URL, "").strip(), os.environ.get(_KEY, "").strip()
    own = named_first(data)
    if own and url and key:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise InputError(Fault("", _URL, "it is no address", "write it as https://HOST:PORT"))
        if not (key.isascii() and key.isprintable()):
            what = "the key has characters that no key has"
            raise InputError(Fault("", _KEY, what, "copy it from Argilla's page of your account"))
        return Server(url.rstrip("/"), key)
    if own and bool(url) != bool(key):
        there, missing = (_URL, _KEY) if url else (_KEY, _URL)
        what = f"{there} is set and {missing} is not"
        raise InputError(Fault("", missing, what, "set both, or neither for the embedded Argilla"))
    folder = data_folder(data)
    kept = read_credentials(folder)
    if kept is None:
        raise InputError(Fault(str(folder / CREDENTIALS), "", "no Argilla", _START))
    if server_version(kept.url) is None:
        what = f"no Argilla: none answers at {kept.url}, where the embedded one was last"
        raise InputError(Fault(str(folder / CREDENTIALS), "", what, _START))
    return Server(kept.url, kept.api_key)


def named_first(data: Path | None) -> bool:
    """Whether a server that the environment names goes before the one of the data folder."""
    return data is None or read_credentials(data_folder(data)) is None


def connect(server: Server) -> rg.Argilla:
    """A client of the SDK, once the server has shown that it is an Argilla >= 2.

    Raises:
        Failure: it is not reached, or answers that it can't go on.
        InputError: it is no Argilla, too old, or refuses the key. No message has the key.
    """
    _check_version(server)
    _check_key(server)
    import argilla as rg

    return rg.Argilla(server.url, server.api_key, timeout=_BULK, retries=2)


@contextmanager
def sdk_faults(client: rg.Argilla, refused: tuple[str, str]) -> Iterator[None]:
    """Errors of the SDK as errors of ours.

    Args:
        client: that it is done with.
        refused: fault and fix where the key may not.
    """
    import httpx
    from argilla._exceptions import ArgillaAPIError, ForbiddenError, UnauthorizedError

    place = Server(str(client.api_url), "").shown
    try:
        yield
    except ArgillaAPIError as error:
        if isinstance(error, ForbiddenError | UnauthorizedError):
            raise InputError(Fault(place, "", *refused)) from error
        what = " ".join(str(error).split())[:300]
        what = f"it answers {error.status_code}: {what}"
        raise Failure(Fault(place, "", what, "look at the server's log")) from error
    except httpx.HTTPError as error:
        what = f"it is not reached ({type(error).__name__})"
        raise Failure(Fault(place, "", what, f"is it running? {_START}")) from None


def workspace_of(client: rg.Argilla, name: str, *, make: bool = True) -> rg.Workspace | None:
    """The workspace of that name; made when missing, or None with `make=False`.

    Raises:
        InputError: the user may neither see nor make it.
        Failure: the server is not reached, or can't go on.
    """
    import argilla as rg
    from argilla._exceptions import ConflictError

    what = f'the workspace "{name}" is not there, and this user may not make it'
    fix = "name one of yours with --workspace, or use an owner's key"
    with sdk_faults(client, (what, fix)):
        with warnings.catch_warnings():
            # The SDK warns of every name that it does not find.
            warnings.simplefilter("ignore", UserWarning)
            found = client.workspaces(name)
        if found is not None or not make:
            return found
        try:
            return rg.Workspace(name=name, client=client).create()
        except ConflictError:  # somebody made it meanwhile
            return client.workspaces(name)


def _check_version(server: Server) -> None:
    answer = _asked(server, "version", {})
    fix = f"{_URL} must name an Argilla server 2.0 or newer"
    try:
        version = str(answer.json()["version"]) if answer.ok else None
    except (ValueError, KeyError, TypeError):
        version = None
    if answer.status_code >= 500:
        raise Failure(
            Fault(server.shown, "", f"it answers {answer.status_code}", "look at the server's log")
        )
    if version is None:
        raise InputError(Fault(server.shown, "", "it is no Argilla server, or one before 2.0", fix))
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < 2:
        raise InputError(Fault(server.shown, "", f"it is Argilla {version[:40]}", fix))


def _check_key(server: Server) -> None:
    answer = _asked(server, "me", {"X-Argilla-Api-Key": server.api_key})
    if answer.status_code in (401, 403):
        fix = f"copy the key from the server's page of your account into {_KEY}"
        raise InputError(Fault(server.shown, "", "it does not take the key", fix))
    if answer.status_code != 200:
        what = f"it answers {answer.status_code} to who we are"
        raise Failure(Fault(server.shown, "", what, "look at the server's log"))


def _asked(server: Server, path: str, headers: dict[str, str]) -> requests.Response:
    import requests

    url = f"{server.url}/api/v1/{path}"
    try:
        return requests.get(url, headers=headers, timeout=_PATIENCE, allow_redirects=False)
    except requests.RequestException as error:
        # Not its text: that has the address as it was written, with what may stand in it.
        what = f"it is not reached ({type(error).__name__})"
        raise Failure(Fault(server.shown, "", what, f"is it running? {_START}")) from None
