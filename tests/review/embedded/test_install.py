"""The server's environment: made once, whole or remade, and never over something else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from charter.errors import Failure, InputError
from charter.review.embedded import ensure_environment, install
from charter.review.embedded.place import ARGILLA

NOTHING = "# no packages\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment shall be; the pins are none, so that it is made in seconds."""
    folder = tmp_path / "a place" / "argilla"
    monkeypatch.setenv("CHARTER_ARGILLA_ENV", str(folder))
    monkeypatch.setattr(install, "_pins", lambda: NOTHING)
    return folder


def test_every_package_is_pinned_exactly() -> None:
    lines = [line for line in install.__dict__["_pins"]().splitlines() if line[:1] != "#"]
    assert f"argilla-server=={ARGILLA}" in lines
    assert len(lines) > 80
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*(; [a-z_]+ [!<=]+ \"[\w.]+\")?", line)
    names = [re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_it_is_made_once_and_remade_where_it_is_not_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    python = ensure_environment(said.append)
    assert python == folder / "bin" / "python" and python.exists()
    assert any("once" in line for line in said)
    made = (folder / "pyvenv.cfg").stat().st_ino

    said.clear()
    ensure_environment(said.append)
    assert said == []

    # Other pins, as after an upgrade of charter.
    monkeypatch.setattr(install, "_pins", lambda: NOTHING + "# newer\n")
    (folder / "stale").touch()
    ensure_environment(said.append)
    assert said and not (folder / "stale").exists()

    # Interrupted: its mark says that it was being made.
    (folder / "charter-ready").rename(folder / "charter-making")
    (folder / "stale").touch()
    ensure_environment()
    assert not (folder / "stale").exists() and not (folder / "charter-making").exists()
    assert made


def test_without_network_it_says_so_and_the_next_start_makes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(install, "_pins", lambda: "no-such-package-of-charter==1.0\n")
    with pytest.raises(Failure, match="network") as caught:
        ensure_environment()
    assert "no-such-package-of-charter==1.0" in str(caught.value)
    monkeypatch.setattr(install, "_pins", lambda: NOTHING)
    assert ensure_environment().exists()


def test_a_folder_with_something_else_is_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="CHARTER_ARGILLA_ENV"):
        ensure_environment()
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_an_environment_made_by_hand_is_used_as_it_is(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    with pytest.raises(InputError):  # no argilla-server in it
        ensure_environment()
    info = folder / f"lib/python3.11/site-packages/argilla_server-{ARGILLA}.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").touch()
    assert ensure_environment() == folder / "bin" / "python"


def test_a_python_without_wheels_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_NEWEST", (3, 10))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Failure, match=r"python3\.13"):
        install.interpreter()
