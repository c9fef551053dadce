"""The owner's password and key: made once, at random, for their owner alone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from charter.errors import InputError
from charter.review.embedded import read_credentials
from charter.review.embedded.credentials import keep_credentials
from charter.review.embedded.inside.files import write_private


def test_they_are_made_once_and_at_random(tmp_path: Path) -> None:
    first, new = keep_credentials(tmp_path, "http://127.0.0.1:1")
    assert new and len(first.password) >= 20 and len(first.api_key) >= 64
    again, new = keep_credentials(tmp_path, "http://127.0.0.1:2")
    assert not new
    assert (again.password, again.api_key) == (first.password, first.api_key)
    assert again.url == "http://127.0.0.1:2"
    assert read_credentials(tmp_path) == again
    (tmp_path / "other").mkdir()
    other, _ = keep_credentials(tmp_path / "other", "http://127.0.0.1:1")
    assert other.password != first.password and other.api_key != first.api_key


def test_only_their_owner_can_read_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keep_credentials(tmp_path, "http://127.0.0.1:1")
    finally:
        os.umask(before)
    file = tmp_path / "credentials.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == {"url", "username", "password", "api_key"}
    file.chmod(0o644)  # a careless copy
    keep_credentials(tmp_path, "http://127.0.0.1:1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_secret_is_shown_by_accident(tmp_path: Path) -> None:
    made, _ = keep_credentials(tmp_path, "http://127.0.0.1:1")
    assert made.password not in repr(made) and made.api_key not in repr(made)


def test_a_broken_file_is_a_fault_and_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    for broken in ("", "{", "[]", '{"url": "x"}'):
        file.write_text(broken)
        with pytest.raises(InputError, match=r"credentials\.json"):
            keep_credentials(tmp_path, "http://127.0.0.1:1")
        assert file.read_text() == broken


def test_a_write_that_fails_leaves_the_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_private(folder / "a", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(folder / "a", "new")
    assert [p.name for p in folder.iterdir()] == ["a"]
    assert (folder / "a").read_text() == "old"
