"""The command: it says when it is ready, ends well, and is careful with tokens."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from charter.cli.hub import command
from charter.errors import CharterError, InputError
from charter.hub.embedded import Store, User, parse_org, parse_user, start
from charter.hub.embedded.server import is_loopback
from charter.hub.embedded.users import Accounts

from .conftest import ask

SERVE = "import sys; from charter.cli.hub import command; command(sys.argv[1:])"


def launched(*given: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", "--port", "0", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_and_the_end(tmp_path: Path, number: signal.Signals) -> None:
    child = launched("--data", str(tmp_path / "hub"), "--user", "me:SECRET")
    assert child.stdout is not None and child.stderr is not None
    word, address = child.stdout.readline().split()
    assert word == "ready"
    assert ask(address, "GET", "/api/whoami-v2", token="SECRET").json()["name"] == "me"
    child.send_signal(number)
    assert child.wait(timeout=20) == 0
    said = child.stdout.read() + child.stderr.read()
    child.stdout.close()
    child.stderr.close()
    assert said == ""


def test_the_end_comes_while_a_file_is_sent(tmp_path: Path) -> None:
    child = launched("--data", str(tmp_path), "--user", "me:SECRET")
    assert child.stdout is not None and child.stderr is not None
    address = child.stdout.readline().split()[1]
    value: dict[str, Any] = {"name": "any", "type": "dataset"}
    assert ask(address, "POST", "/api/repos/create", token="SECRET", value=value).status == 200
    value = {"operation": "upload", "objects": [{"oid": "0" * 64, "size": 99}]}
    path = "/datasets/me/any.git/info/lfs/objects/batch"
    [shown] = ask(address, "POST", path, token="SECRET", value=value).json()["objects"]
    where = shown["actions"]["upload"]["href"].removeprefix(address)
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as sending:
        head = f"PUT {where} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99\r\n\r\nfirst bytes"
        sending.sendall(head.encode())
        while not list((tmp_path / "scratch").iterdir()):
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        assert sending.recv(4096).startswith(b"HTTP/1.1 503")
    said = child.communicate(timeout=20)
    assert child.returncode == 0 and "Traceback" not in "".join(said)
    assert not list((tmp_path / "scratch").iterdir())


def test_a_store_without_users_has_one_of_its_own(tmp_path: Path) -> None:
    with start(tmp_path) as running:
        file = tmp_path / "credentials.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
        found = json.loads(file.read_bytes())
        assert len(found["token"]) > 30
        named = ask(running.address, "GET", "/api/whoami-v2", token=found["token"]).json()
        assert named["name"] == found["name"]
        value = {"name": "x", "organization": "anywhere"}
        path = "/api/repos/create"
        assert ask(running.address, "POST", path, value=value).status == 401
        assert ask(running.address, "POST", path, value=value, token=found["token"]).status == 200
    with start(tmp_path):
        assert json.loads(file.read_bytes()) == found


def refused(*given: str) -> CharterError:
    result: Result = CliRunner().invoke(command, ["serve", *given])
    assert isinstance(result.exception, CharterError), result.output
    return result.exception


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_only_loopback_without_a_user(tmp_path: Path, host: str) -> None:
    error = refused("--host", host, "--data", str(tmp_path / "hub"))
    assert error.exit_code == 2 and "no user is named" in str(error)
    assert not (tmp_path / "hub").exists()


def test_hosts_that_cannot_be(tmp_path: Path) -> None:
    given = ("--data", str(tmp_path / "hub"), "--user", "me:SECRET")
    # An unset variable must not open the server to every address.
    assert "--host: it is empty" in str(refused("--host", "", *given))
    assert "--host: cannot listen" in str(refused("--host", "no host", *given))


def test_what_is_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9")] == [
        True
    ] * 4
    assert not any(is_loopback(host) for host in ("0.0.0.0", "10.0.0.1", "localhost.evil.org", ""))


@pytest.mark.parametrize(
    "text", ["me", "me:", ":SECRET", "a/b:SECRET", "me:SEC RET", "me:SECRET\n", "..:SECRET"]
)
def test_users_that_cannot_be(text: str) -> None:
    with pytest.raises(InputError) as error:
        parse_user(text)
    assert "SECRET" not in str(error.value) and "SEC" not in str(error.value)


def test_users_that_can_be() -> None:
    assert parse_user("me:a:b") == User("me", "a:b", "write")
    assert parse_user("me:a:read") == User("me", "a", "read")
    assert "a:b" not in repr(parse_user("me:a:b"))
    assert parse_org("lab:me,you") == ("lab", ("me", "you"))
    for bad in ("lab", "lab:", ":me", "a b:me"):
        with pytest.raises(InputError):
            parse_org(bad)
    for users, orgs in (
        ((User("a", "t"), User("b", "t")), {}),
        ((User("a", "t"),), {"lab": ("b",)}),
        ((User("a", "t"),), {"a": ("a",)}),
    ):
        with pytest.raises(InputError):
            Accounts(users, orgs)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with start(tmp_path / "one") as running:
        port = running.address.rpartition(":")[2]
        error = refused("--port", port, "--data", str(tmp_path / "two"), "--user", "me:SECRET")
    assert "cannot listen" in str(error) and error.exit_code == 2


def test_stores_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "odd" / "locks" / "store").mkdir(parents=True)
    for folder in ("file/hub", "odd"):
        error = refused("--data", str(tmp_path / folder))
        assert "cannot be used as a store" in str(error) and error.exit_code == 2
    Store(tmp_path / "hub")
    (tmp_path / "hub" / "store.json").write_text('{"schema_version": 99}')
    with pytest.raises(InputError, match="schema version 99"):
        Store(tmp_path / "hub")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"name": "me"}'])
def test_a_store_with_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    Store(tmp_path)
    for name in ("credentials.json", "store.json"):
        (tmp_path / name).write_bytes(content)
        error = refused("--data", str(tmp_path))
        assert f"{tmp_path / name}" in str(error) and error.exit_code == 2
        assert "is damaged" in str(error) and "delete it" in str(error)


def test_what_killed_servers_left_is_swept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old, young = store.scratch / "incoming-old", store.scratch / "incoming-young"
    for file in (old, young):
        file.write_bytes(b"x")
    (store.scratch / "new-old").mkdir()
    for path in (old, store.scratch / "new-old"):
        os.utime(path, (1, 1))
    Store(tmp_path)
    assert list(store.scratch.iterdir()) == [young]


def test_only_this_machine_s_names(tmp_path: Path) -> None:
    with start(tmp_path) as running:
        for host, status in (
            ("127.0.0.1:1", 200),
            ("localhost", 200),
            ("[::1]:80", 200),
            ("evil.example", 421),
            ("localhost.evil.example:80", 421),
        ):
            answer = ask(running.address, "GET", "/api/datasets", headers={"Host": host})
            assert answer.status == status, host


def test_a_server_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from charter.hub.embedded import launch\n"
        "running = launch(pathlib.Path(sys.argv[1]))\n"
        "print(running.process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    number = int(done.stdout)
    for _ in range(100):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        if "State:\tZ" in Path(f"/proc/{number}/status").read_text():
            return
        time.sleep(0.1)
    pytest.fail("the server is still there")
