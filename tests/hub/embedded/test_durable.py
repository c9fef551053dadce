"""What was acknowledged stays; writers at once give what one after the other could give."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from charter.hub.embedded import Running, start
from charter.hub.embedded.child import launch

from .conftest import ADA, USERS, Answer, ask

WRITERS = 8


def commit(address: str, name: str, parent: str | None = None) -> Answer:
    header = {"summary": name, "description": ""}
    if parent:
        header["parentCommit"] = parent
    content = base64.b64encode(name.encode() * 400).decode()
    files = [
        {"path": f"{name}.txt", "content": content, "encoding": "base64"},
        {"path": f"{name}.parquet", "content": content, "encoding": "base64"},
    ]
    lines = [{"key": "header", "value": header}, *({"key": "file", "value": f} for f in files)]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return ask(address, "POST", "/api/datasets/ada/d/commit/main", token=ADA, body=body)


def create(address: str) -> None:
    value = {"name": "d", "type": "dataset"}
    assert ask(address, "POST", "/api/repos/create", token=ADA, value=value).status == 200


def head(address: str) -> str:
    found: str = ask(address, "GET", "/api/datasets/ada/d").json()["sha"]
    return found


def history(address: str) -> list[str]:
    shown = ask(address, "GET", "/api/datasets/ada/d/commits/main?limit=1000").json()
    return [one["title"] for one in reversed(shown)][1:]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    """Two servers on one store."""
    with start(tmp_path, users=USERS) as one, start(tmp_path, users=USERS) as other:
        yield one, other


def test_eight_writers_at_once_on_two_servers(pair: tuple[Running, Running]) -> None:
    create(pair[0].address)
    names = [f"w{writer}-{turn}" for turn in range(4) for writer in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(
            pool.map(lambda pick: commit(pair[pick[0] % 2].address, pick[1]), enumerate(names))
        )
    assert {one.status for one in answers} == {200}
    titles = history(pair[1].address)
    assert sorted(titles) == sorted(names)
    # Each commit holds all files of those before it, and its own: a serial order.
    made = {one.json()["commitOid"]: name for one, name in zip(answers, names, strict=True)}
    by_name = {name: oid for oid, name in made.items()}
    for number, title in enumerate(titles):
        info = ask(pair[0].address, "GET", f"/api/datasets/ada/d/revision/{by_name[title]}").json()
        held = {one["rfilename"] for one in info["siblings"]} - {".gitattributes"}
        assert held == {
            f"{name}.{end}" for name in titles[: number + 1] for end in ("txt", "parquet")
        }


def test_of_eight_on_one_parent_one_wins(pair: tuple[Running, Running]) -> None:
    create(pair[0].address)
    parent = head(pair[0].address)
    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(
            pool.map(lambda n: commit(pair[n % 2].address, f"w{n}", parent), range(WRITERS))
        )
    assert sorted(one.status for one in answers) == [200] + [412] * (WRITERS - 1)
    winner = next(one for one in answers if one.status == 200)
    assert head(pair[1].address) == winner.json()["commitOid"]


def test_one_tag_and_one_repo_of_eight(pair: tuple[Running, Running]) -> None:
    create(pair[0].address)

    def tag(number: int) -> int:
        path, value = "/api/datasets/ada/d/tag/main", {"tag": "v1", "message": str(number)}
        return ask(pair[number % 2].address, "POST", path, token=ADA, value=value).status

    def repo(number: int) -> int:
        value = {"name": "Same" if number % 3 else "same", "type": "dataset"}
        address = pair[number % 2].address
        return ask(address, "POST", "/api/repos/create", token=ADA, value=value).status

    with ThreadPoolExecutor(WRITERS) as pool:
        for action in (tag, repo):
            assert sorted(pool.map(action, range(WRITERS))) == [200] + [409] * (WRITERS - 1)


def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for life in range(4):
        running = launch(tmp_path, users=USERS)
        if life == 0:
            create(running.address)
        assert set(acknowledged) <= set(history(running.address))

        def write(writer: int, life: int = life, running: Running = running) -> None:
            for turn in range(10_000):
                name = f"k{life}-{writer}-{turn}"
                try:
                    if commit(running.address, name).status == 200:
                        acknowledged.append(name)
                except (OSError, http.client.HTTPException):
                    return

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.1 + 0.07 * life)
        running.kill()
        for thread in threads:
            thread.join()
    folder = tmp_path / "repos" / "datasets" / "ada" / "d.git"
    subprocess.run(["git", "fsck", "--strict"], cwd=folder, check=True, capture_output=True)
    with start(tmp_path, users=USERS) as running:
        titles = history(running.address)
        assert set(acknowledged) <= set(titles) and len(titles) == len(set(titles))
        assert len(acknowledged) > 6
        for name in acknowledged[:: max(1, len(acknowledged) // 10)]:
            path = f"/datasets/ada/d/resolve/main/{name}.parquet"
            assert ask(running.address, "GET", path).body == name.encode() * 400
        assert commit(running.address, "after").status == 200


def test_a_lock_that_a_killed_server_left(tmp_path: Path) -> None:
    with start(tmp_path, users=USERS) as running:
        create(running.address)
        folder = tmp_path / "repos" / "datasets" / "ada" / "d.git"
        (folder / "refs" / "heads" / "main.lock").write_bytes(b"")
        (folder / "hub-moving").write_bytes(b"refs/heads/main")
        assert commit(running.address, "next").status == 200
