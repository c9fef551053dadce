"""Which server is talked to, and errors in three parts that never have the key."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import argilla as rg
import httpx
import pytest

from charter.cli import main
from charter.errors import CharterError, Failure, InputError
from charter.review import collect as collect_module
from charter.review.client import Server, connect, find_server, workspace_of
from charter.review.collect import collect
from charter.review.remote import external_ids, open_remote_dataset
from charter.review.store import ReviewStore

KEY = "very-secret-key"


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARTER_REVIEW", str(tmp_path / "review"))
    for name in ("ARGILLA_API_URL", "ARGILLA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "review"


@pytest.fixture
def answering():
    """A server that is no Argilla: it answers what a test says, by path."""
    servers = []

    def start(**answers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = answers.get(self.path.rpartition("/")[2], (404, "no"))
                data = body.encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def test_ones_own_server_by_the_environment(monkeypatch):
    monkeypatch.setenv("ARGILLA_API_URL", "https://argilla.example/base/")
    monkeypatch.setenv("ARGILLA_API_KEY", KEY)
    found = find_server()
    assert (found.url, found.api_key) == ("https://argilla.example/base", KEY)
    assert KEY not in repr(found)


@pytest.mark.parametrize("name", ["ARGILLA_API_URL", "ARGILLA_API_KEY"])
def test_one_variable_alone_is_a_fault(monkeypatch, name):
    monkeypatch.setenv(name, KEY)
    with pytest.raises(InputError, match="is not") as raised:
        find_server()
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "key"),
    [("argilla.example", KEY), ("ftp://a", KEY), ("http://a", "k\ney"), ("http://a", "ké")],
)
def test_what_is_no_address_or_key_is_a_fault(monkeypatch, url, key):
    monkeypatch.setenv("ARGILLA_API_URL", url)
    monkeypatch.setenv("ARGILLA_API_KEY", key)
    with pytest.raises(InputError) as raised:
        find_server()
    assert key not in str(raised.value)


def test_none_says_how_to_get_one(own_place):
    with pytest.raises(InputError, match="no Argilla; charter review serve, or set ARGILLA"):
        find_server()
    own_place.mkdir()
    kept = {"url": "http://127.0.0.1:9", "username": "u", "password": "p", "api_key": KEY}
    (own_place / "credentials.json").write_text(json.dumps(kept))
    with pytest.raises(InputError, match=r"none answers at http://127.0.0.1:9") as raised:
        find_server()
    assert KEY not in str(raised.value)


def test_the_embedded_one_by_its_credentials(own_place, answering, monkeypatch):
    url = answering(version=(200, '{"version": "2.8.0"}'))
    own_place.mkdir()
    kept = {"url": url, "username": "u", "password": "p", "api_key": KEY}
    (own_place / "credentials.json").write_text(json.dumps(kept))
    assert find_server() == Server(url, KEY)
    # A folder that is given goes before the variables.
    monkeypatch.setenv("ARGILLA_API_URL", "https://argilla.example")
    monkeypatch.setenv("ARGILLA_API_KEY", "another")
    assert find_server(own_place) == Server(url, KEY)
    assert find_server() == Server("https://argilla.example", "another")


def test_a_folder_of_answers_alone_leaves_the_server_to_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ARGILLA_API_URL", "https://argilla.example")
    with pytest.raises(InputError, match="ARGILLA_API_URL is set and ARGILLA_API_KEY is not"):
        find_server(tmp_path)
    monkeypatch.setenv("ARGILLA_API_KEY", KEY)
    assert find_server(tmp_path) == Server("https://argilla.example", KEY)


@pytest.mark.parametrize(
    ("answers", "error", "what"),
    [
        ({"version": (200, "<html>")}, InputError, "no Argilla server"),
        ({"version": (404, "")}, InputError, "no Argilla server"),
        ({"version": (200, '{"version": "1.29.1"}')}, InputError, "it is Argilla 1.29.1"),
        ({"version": (503, "")}, Failure, "it answers 503"),
        ({"version": (200, '{"version": "2.8.0"}'), "me": (401, "")}, InputError, "the key"),
        ({"version": (200, '{"version": "2.8.0"}'), "me": (500, "")}, Failure, "it answers 500"),
    ],
)
def test_a_server_that_can_not_be_used_says_why(answering, answers, error, what):
    server = Server(answering(**answers), KEY)
    with pytest.raises(error, match=what) as raised:
        connect(server)
    (fault,) = raised.value.faults
    assert fault.place == server.url
    assert fault.fix
    assert KEY not in str(raised.value)


def test_no_key_goes_where_a_server_points_to(answering):
    elsewhere = answering(me=(200, '{"username": "u"}'))
    pointing = answering(version=(200, '{"version": "2.8.0"}'), me=(302, f"{elsewhere}/api/v1/me"))
    with pytest.raises(Failure, match="it answers 302 to who we are"):
        connect(Server(pointing, KEY))


def test_one_that_is_not_there_says_so_without_what_stands_in_its_address():
    with pytest.raises(Failure, match="it is not reached") as raised:
        connect(Server("http://me:password@127.0.0.1:9/?key=password", KEY))
    assert "password" not in str(raised.value)
    assert KEY not in str(raised.value)


def test_what_stands_in_an_address_is_in_no_answer_of_status_and_collect(
    answering, monkeypatch, capsys, tmp_path
):
    place = answering(version=(200, '{"version": "2.8.0"}'), workspaces=(500, "no"))
    monkeypatch.setenv("ARGILLA_API_URL", place.replace("//", "//me:hunter2@"))
    monkeypatch.setenv("ARGILLA_API_KEY", KEY)
    with pytest.raises(SystemExit):
        main(["review", "status", "--json"])
    told = capsys.readouterr()
    assert f"Argilla 2.8.0 runs at {place}" in told.err and f"{place}: answers 500" in told.err
    with httpx.Client(base_url=os.environ["ARGILLA_API_URL"]) as http:
        monkeypatch.setattr(collect_module, "_WAITS", ())
        with ReviewStore.open("me/x", tmp_path) as store, pytest.raises(Failure) as raised:
            collect(http, "me/x", store, workspace="charter")
    assert str(raised.value).startswith(place)
    assert "hunter2" not in str(raised.value) + told.out + told.err


def test_status_of_a_server_elsewhere_that_does_not_answer_advises_none_here(monkeypatch, capsys):
    monkeypatch.setenv("ARGILLA_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ARGILLA_API_KEY", KEY)
    with pytest.raises(SystemExit) as ended:
        main(["review", "status"])
    told = capsys.readouterr().out
    assert "no Argilla answers at http://127.0.0.1:9" in told and "serve" not in told
    assert ended.value.code == 0


@pytest.fixture
def opened():
    """Clients that are closed at the end."""
    made = []

    def open_one(url, key):
        made.append(connect(Server(url, key)))
        return made[-1]

    yield open_one
    for client in made:
        client.http_client.close()


@pytest.mark.parametrize("asked", ["workspace", "records", "dataset"])
def test_a_server_that_fails_midway_is_neither_our_fault_nor_the_keys(answering, opened, asked):
    place = answering(version=(200, '{"version": "2.8.0"}'), me=(200, '{"username": "u"}'))
    client = opened(place, KEY)
    workspace = rg.Workspace(name="w", id=uuid4(), client=client)
    doing = {
        "workspace": lambda: workspace_of(client, "w"),
        "records": lambda: external_ids(client, workspace, "d"),
        "dataset": lambda: open_remote_dataset(client, workspace, "d", None, print),
    }
    for address, what in ((place, "it answers 404"), ("http://127.0.0.1:9", "it is not reached")):
        client.http_client.base_url = address
        with pytest.raises(Failure, match=what) as raised:
            doing[asked]()
        assert raised.value.faults[0].place == place
        assert KEY not in str(raised.value)


@pytest.mark.xdist_group("argilla")
def test_the_real_one_and_its_workspaces(argilla, opened):
    client = opened(argilla.url, argilla.api_key)
    assert workspace_of(client, "client-made", make=False) is None
    made = workspace_of(client, "client-made")
    assert workspace_of(client, "client-made").id == made.id
    with pytest.raises(InputError, match="the key"):
        connect(Server(argilla.url, "wrong"))
    person = opened(argilla.url, argilla.user("client-person", "client-made"))
    assert workspace_of(person, "client-made") is not None
    with pytest.raises(CharterError, match="may not make it"):
        workspace_of(person, "client-other")


@pytest.mark.xdist_group("argilla")
def test_a_workspace_that_somebody_else_makes_at_the_same_moment(argilla, opened, monkeypatch):
    make = rg.Workspace.create

    def late(workspace):
        argilla.workspace(workspace.name)
        return make(workspace)

    monkeypatch.setattr(rg.Workspace, "create", late)
    found = workspace_of(opened(argilla.url, argilla.api_key), "client-raced")
    assert str(found.id) == argilla.workspace("client-raced")
