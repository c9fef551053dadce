"""Who owns the embedded Argilla: a password and a key made once, readable by their owner alone."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from charter.errors import Fault, InputError
from charter.review.embedded.inside.files import write_private

__all__ = ["CREDENTIALS", "Credentials", "keep_credentials", "read_credentials"]

CREDENTIALS = "credentials.json"
_OWNER = "charter"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs.

    Attributes:
        url: where the server answers, or did when it ran last.
        username: of the owner, for the web page.
        password: likewise.
        api_key: for the SDK.
    """

    url: str
    username: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)


def read_credentials(data: Path) -> Credentials | None:
    """What stands in the data folder; None where no server ever ran there.

    Raises:
        InputError: the file is not one that `charter review serve` wrote.
    """
    file = data / CREDENTIALS
    try:
        found = json.loads(file.read_bytes())
        made = Credentials(**found)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        what, fix = "not the credentials of a review", "remove it: new ones are made"
        raise InputError(Fault(str(file), "", what, fix)) from None
    return made


def keep_credentials(data: Path, url: str) -> tuple[Credentials, bool]:
    """The credentials of a data folder, made where there are none, with the address of today.

    Returns:
        The credentials, and whether they are new.
    """
    found = read_credentials(data)
    made = found or Credentials(url, _OWNER, secrets.token_urlsafe(15), secrets.token_urlsafe(48))
    made = replace(made, url=url)
    if made != found:
        write_private(data / CREDENTIALS, json.dumps(asdict(made), indent=2) + "\n")
    file = data / CREDENTIALS
    if file.stat().st_mode & 0o077:
        file.chmod(0o600)
    return made, found is None
