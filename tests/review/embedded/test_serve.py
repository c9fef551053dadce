"""`charter review serve`, `status` and `stop`: the real server, its accounts and what it allows."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from running_argilla import (
    RunningArgilla,
    checked,
    skip_without_environment,
    start_argilla,
)

from charter.errors import InputError
from charter.review.embedded import find_process, parse_person
from charter.review.embedded.inside.pidfile import Serving, born, read_pid
from charter.review.embedded.server import _bound

pytestmark = pytest.mark.xdist_group("argilla")


def charter(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from charter.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def log_in(url: str, username: str, password: str) -> requests.Response:
    body = {"username": username, "password": password}
    return requests.post(f"{url}/api/v1/token", data=body, timeout=30)


def test_what_a_person_types_and_a_script_reads(tmp_path: Path) -> None:
    """One life of a data folder: first start, status, second start, restart, stop."""
    skip_without_environment()
    data = tmp_path / "a folder? 100%"
    argilla = start_argilla(data, user=["ann", "bob:admin"])
    try:
        assert argilla.password in argilla.said and "shown once" in argilla.said
        shown = dict(re.findall(r"^\w+ (\w+)  password (\S+)", argilla.said, re.MULTILINE))
        assert set(shown) == {"charter", "ann", "bob"}
        token = checked(log_in(argilla.url, "ann", shown["ann"]))["access_token"]
        for name in ("credentials.json", "auth.key", "argilla.db", "server.log", "pid.json"):
            assert stat.S_IMODE((data / name).stat().st_mode) == 0o600, name

        dataset = argilla.dataset("kept", ["one", "two"])
        said = charter("review", "status", "--json", "--data", str(data))
        status = json.loads(said.stdout.splitlines()[-1])
        assert status["running"] and status["url"] == argilla.url
        assert status["version"] == "2.8.0" and status["uptime"] >= 0
        assert [(d["dataset"], d["records"], d["submitted"]) for d in status["datasets"]] == [
            ("kept", 2, 0)
        ]
        assert argilla.api_key not in said.stdout + said.stderr

        second = charter("review", "serve", "--port", "0", "--data", str(data))
        assert second.returncode == 2 and second.stdout == ""
        assert f"already runs at {argilla.url}" in second.stderr

        assert argilla.stop() == 0
        assert not (data / "pid.json").exists()
        argilla = start_argilla(data, user=["ann"])
        assert "password" not in argilla.said  # nothing is new
        # The session, the password and the data are those of before.
        headers = {"Authorization": f"Bearer {token}"}
        me = checked(requests.get(f"{argilla.url}/api/v1/me", headers=headers, timeout=30))
        assert me["username"] == "ann" and me["role"] == "annotator"
        assert log_in(argilla.url, "ann", shown["ann"]).ok
        assert argilla.get(f"datasets/{dataset}/progress")["total"] == 2

        stopped = charter("review", "stop", "--json", "--data", str(data))
        assert json.loads(stopped.stdout)["stopped"] is True
        assert argilla.process.wait(timeout=30) == 0
        again = charter("review", "stop", "--json", "--data", str(data))
        assert again.returncode == 0 and json.loads(again.stdout)["stopped"] is False
        status = json.loads(charter("review", "status", "--json", "--data", str(data)).stdout)
        assert not status["running"] and status["datasets"] == []
    finally:
        argilla.stop()
    assert argilla.password not in (data / "server.log").read_text()


def test_an_interrupt_and_a_killed_server_leave_a_folder_that_serves(tmp_path: Path) -> None:
    skip_without_environment()
    argilla = start_argilla(tmp_path)
    argilla.kill()
    left = read_pid(tmp_path)
    assert left is not None and not left.alive() and find_process(tmp_path) is None

    # What a killed server leaves: a record without the status its answers give it.
    argilla = start_argilla(tmp_path)
    dataset = argilla.dataset("halves", ["one", "two"])
    record = argilla.get(f"datasets/{dataset}/records")["items"][0]["id"]
    values = {"better": {"value": "A"}}
    argilla.post(f"records/{record}/responses", {"status": "submitted", "values": values})
    assert argilla.stop(signal.SIGINT) == 130
    with sqlite3.connect(tmp_path / "argilla.db") as database:
        done = database.execute("UPDATE records SET status = 'pending' WHERE status = 'completed'")
        assert done.rowcount == 1
    database.close()
    argilla = start_argilla(tmp_path)
    try:
        found = argilla.get(f"datasets/{dataset}/progress")
        assert (found["completed"], found["pending"]) == (1, 1)
    finally:
        assert argilla.stop() == 0


def test_in_the_background_it_stays_until_it_is_stopped(tmp_path: Path) -> None:
    skip_without_environment()
    started = charter("review", "serve", "--port", "0", "--background", "--data", str(tmp_path))
    try:
        assert started.returncode == 0, started.stderr
        url = re.fullmatch(r"ready (http://127\.0\.0\.1:\d+)\n", started.stdout)
        assert url and requests.get(f"{url[1]}/api/v1/version", timeout=30).ok
    finally:
        assert charter("review", "stop", "--data", str(tmp_path)).returncode == 0
    assert find_process(tmp_path) is None


def test_a_workspace_is_closed_to_others(argilla: RunningArgilla) -> None:
    dataset = argilla.dataset("closed", ["secret text"], workspace="theirs")
    record = argilla.get(f"datasets/{dataset}/records")["items"][0]["id"]
    member = argilla.user("closed-member", "theirs")
    stranger = argilla.user("closed-stranger", "charter")
    outside = argilla.user("closed-admin", None, role="admin")
    paths = [
        f"datasets/{dataset}",
        f"datasets/{dataset}/records",
        f"datasets/{dataset}/progress",
        f"me/datasets/{dataset}/metrics",
        f"records/{record}",
    ]
    for key in (stranger, outside, "charter", "argilla.apikey", ""):
        for path in paths:
            said = argilla.request("GET", path, key=key or "none")
            assert said.status_code in (401, 403, 404), (path, said.text)
            assert "secret text" not in said.text
        search = f"me/datasets/{dataset}/records/search"
        said = argilla.request("POST", search, key=key or "none", json={"query": {}})
        assert said.status_code in (401, 403, 404)
    assert argilla.get(f"datasets/{dataset}", key=member)["name"] == "closed"
    assert "closed" not in [d["name"] for d in argilla.get("me/datasets", key=stranger)["items"]]


def test_no_default_account_opens_it(argilla: RunningArgilla) -> None:
    for username in ("argilla", "owner", "admin", "charter"):
        for password in ("1234", "12345678", "argilla", "charter", ""):
            assert not log_in(argilla.url, username, password).ok
    for key in ("argilla.apikey", "owner.apikey", "admin.apikey"):
        assert argilla.request("GET", "me", key=key).status_code == 401
    owners = [u["username"] for u in argilla.get("users")["items"] if u["role"] == "owner"]
    assert owners == ["charter"]


def test_the_page_runs_nothing_but_its_own_scripts(argilla: RunningArgilla) -> None:
    for path in ("/", "/sign-in", "/api/v1/version", "/no/such/page"):
        headers = requests.get(f"{argilla.url}{path}", timeout=30).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert "unsafe" not in policy["script-src"] and "sha256-" in policy["script-src"]
        for kind in ("default-src", "img-src", "connect-src", "font-src"):
            assert policy[kind].split()[0] == "'self'" and "http" not in policy[kind]
        assert policy["frame-ancestors"] == "'none'"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers


def test_a_row_of_a_megabyte_and_hostile_text_come_back_as_they_were(
    argilla: RunningArgilla,
) -> None:
    texts = [
        "x" * 1_000_000 + " needle",
        "<script>alert(1)</script><img src=http://evil.example/t.png onerror=alert(1)>",
        "![t](http://evil.example/t.png) [click](javascript:alert(1))",
        "nul \x00 here, and half a pair is refused elsewhere",
    ]
    dataset = argilla.dataset("hostile", texts)
    items = argilla.get(f"datasets/{dataset}/records")["items"]
    assert {item["fields"]["text"] for item in items} == set(texts)
    body = {"query": {"text": {"q": "needle"}}}
    assert argilla.post(f"datasets/{dataset}/records/search", body)["total"] == 1


def test_jobs_run_without_redis(argilla: RunningArgilla) -> None:
    """A change of `min_submitted` sets the statuses anew, and a webhook is called."""
    heard: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as ear:
        hook = argilla.post(
            "webhooks",
            {
                "url": f"http://127.0.0.1:{ear.getsockname()[1]}/",
                "events": ["record.created", "dataset.updated"],
            },
        )
        try:
            dataset = argilla.dataset("jobs", ["one"])
            ear.settimeout(20)
            connection, _ = ear.accept()
            with connection:
                said = connection.recv(65536).decode()
                heard.append(said)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        finally:
            checked(argilla.request("DELETE", f"webhooks/{hook['id']}"))
    assert "webhook-signature" in heard[0].lower()
    record = argilla.get(f"datasets/{dataset}/records")["items"][0]["id"]
    values = {"better": {"value": "A"}}
    body = {"distribution": {"strategy": "overlap", "min_submitted": 2}}
    checked(argilla.request("PATCH", f"datasets/{dataset}", json=body))
    argilla.post(f"records/{record}/responses", {"status": "submitted", "values": values})
    assert argilla.get(f"datasets/{dataset}/progress")["pending"] == 1


def test_a_taken_port_and_a_file_for_a_folder_are_faults(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = charter("review", "serve", "--port", port, "--data", str(tmp_path / "d"))
    assert said.returncode == 2 and "--port" in said.stderr and "Traceback" not in said.stderr
    (tmp_path / "file").touch()
    said = charter("review", "serve", "--port", "0", "--data", str(tmp_path / "file" / "d"))
    assert said.returncode == 2 and "--data" in said.stderr


def test_a_port_is_taken_from_the_moment_a_server_starts_on_it() -> None:
    first, url = _bound("127.0.0.1", 0)
    with first, pytest.raises(InputError, match="cannot listen on"):
        _bound("127.0.0.1", int(url.rpartition(":")[2]))


def test_people_are_named_with_a_role_that_exists() -> None:
    assert parse_person("ann").role == "annotator"
    assert parse_person("bob:admin").role == "admin"
    for wrong in ("", ":admin", "ann:", "ann:king", "a b", "-ann", "ann:admin:x", "ü"):
        with pytest.raises(InputError, match="--user"):
            parse_person(wrong)


def test_a_number_that_another_process_has_now_is_not_the_server() -> None:
    here = born(1)
    assert here and Serving(1, here, "").alive()
    assert not Serving(1, f"{here}0", "").alive()
    assert not Serving(1, "", "").alive()
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        birth = born(child.pid)
    assert not Serving(child.pid, birth, "").alive()
