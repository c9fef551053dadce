"""Accounts: the owner, the people named on the command line, and the workspace they share."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from charter.review.embedded.inside.settings import Person

__all__ = ["CREDENTIALS", "make_people"]

CREDENTIALS = "credentials.json"


async def make_people(
    data: Path, people: Iterable[Person], workspace: str
) -> list[tuple[Person, str]]:
    """Make the owner of `credentials.json`, the people and the workspace, where they are missing.

    Args:
        data: the data folder.
        people: beside the owner; who is there already keeps role and password.
        workspace: of which all of them are members.

    Returns:
        Each account that is new, with its password; it is kept nowhere but as a hash.
    """
    from argilla_server.contexts import accounts
    from argilla_server.database import AsyncSessionLocal
    from argilla_server.models import User, Workspace, WorkspaceUser

    owner = json.loads((data / CREDENTIALS).read_bytes())
    made = []
    async with AsyncSessionLocal() as db:
        await _owner(db, owner)
        shared = await Workspace.get_by(db, name=workspace)
        if shared is None:
            shared = await accounts.create_workspace(db, {"name": workspace})
        for person in people:
            user = await accounts.get_user_by_username(db, person.name)
            if user is None:
                password = secrets.token_urlsafe(12)
                user = await accounts.create_user(db, _account(person, password))
                made.append((person, password))
            ids = {"workspace_id": shared.id, "user_id": user.id}
            if not user.is_owner and await WorkspaceUser.get_by(db, **ids) is None:
                await accounts.create_workspace_user(db, ids)
        assert await User.get_by(db, username=owner["username"]) is not None
    return made


async def _owner(db: Any, owner: dict[str, str]) -> None:
    """The owner has the password and the key of the file, also where the file was made anew."""
    from argilla_server.contexts import accounts

    user = await accounts.get_user_by_username(db, owner["username"])
    if user is None:
        account = _account(Person(owner["username"], "owner"), owner["password"])
        user = await accounts.create_user(db, account)
    elif not accounts.verify_password(owner["password"], user.password_hash):
        user = await accounts.update_user(db, user, {"password": owner["password"]})
    if user.api_key != owner["api_key"]:
        await user.update(db, api_key=owner["api_key"])


def _account(person: Person, password: str) -> dict[str, str | None]:
    return {
        "first_name": person.name,
        "last_name": None,
        "username": person.name,
        "role": person.role,
        "password": password,
    }
