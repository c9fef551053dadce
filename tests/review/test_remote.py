"""Records in bodies of bulk requests, and a server that stumbles: none is lost, none sent twice."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from charter.errors import Failure, InputError
from charter.review import remote
from charter.review.remote import Remote, batches, external_ids

KEY = "very-secret-key"


@pytest.fixture
def server(monkeypatch):
    """A server whose answers a test gives: `answer(body, query)` is a status and a JSON value."""
    monkeypatch.setattr(remote, "_WAITS", (0.0, 0.0))
    asked, answers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = {name: int(v) for name, (v,) in parse_qs(urlsplit(self.path).query).items()}
            asked.append(body)
            status, value = answers[0](body, query)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT

        def log_message(self, *_):
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{serving.server_address[1]}"
    with httpx.Client(base_url=url, headers={"X-Argilla-Api-Key": KEY}) as http:
        yield SimpleNamespace(url=url, http=http, asked=asked, answers=answers)
    serving.shutdown()
    serving.server_close()


def records(*sizes):
    return [{"external_id": f"r{i}", "text": "x" * size} for i, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ([], []),
        ([1], [1]),
        ([1] * 6, [3, 3]),
        ([1] * 7, [3, 3, 1]),
        ([500, 500, 1], [1, 2]),  # one alone may be more than the most bytes
        ([5000, 1], [1, 1]),
    ],
)
def test_every_record_is_in_one_batch_in_order(monkeypatch, sizes, wanted):
    monkeypatch.setattr(remote, "_MOST", 3)
    monkeypatch.setattr(remote, "_BYTES", 700)
    made = records(*sizes)
    found = [(ids, json.loads(body)["items"]) for ids, body in batches(iter(made))]
    assert [len(ids) for ids, _ in found] == wanted
    assert [each for _, items in found for each in items] == made
    assert all(ids == [each["external_id"] for each in items] for ids, items in found)


@pytest.mark.parametrize(
    ("statuses", "error", "what"),
    [
        ([503, 429, 200], None, ""),
        ([503] * 3, Failure, "it answers 503.*it sends the rest"),
        ([422], Failure, "it answers 422"),  # asking again would change nothing
        ([401], InputError, "may not send rows"),
        ([403], InputError, "may not send rows"),
    ],
)
def test_a_server_that_stumbles_is_asked_again_with_the_same_batch(server, statuses, error, what):
    left = list(statuses)
    server.answers.append(lambda *_: (left.pop(0), {"detail": "because"}))
    dataset = Remote(server.http, server.url, "id", "name", "better", True)
    ((_, body),) = batches(records(5, 5))
    if error is None:
        dataset.put(body)
    else:
        with pytest.raises(error, match=what) as raised:
            dataset.put(body)
        assert raised.value.faults[0].place == server.url and KEY not in str(raised.value)
    assert server.asked == [body] * len(statuses)


def test_a_server_that_is_gone_is_a_failure_without_the_key(server):
    server.http.base_url = "http://me:hunter2@127.0.0.1:9"
    dataset = Remote(server.http, "http://127.0.0.1:9", "id", "name", "better", True)
    with pytest.raises(Failure, match="it is not reached") as raised:
        dataset.put(b"{}")
    assert not any(secret in str(raised.value) for secret in (KEY, "hunter2"))


@pytest.mark.parametrize("n", [0, 1, 3, 4, 6, 7])
def test_the_ids_of_all_pages_are_read(server, monkeypatch, n):
    monkeypatch.setattr(remote, "_PAGE", 3)
    ids = [f"r{i}" for i in range(n)]

    def page(_, query):
        part = ids[query["offset"] : query["offset"] + query["limit"]]
        # Others may have put records there that have no such id.
        return 200, {"items": [{"external_id": each if each != "r1" else None} for each in part]}

    server.answers.append(page)
    datasets = SimpleNamespace(get_by_name_and_workspace_id=lambda *_: SimpleNamespace(id="d"))
    client = SimpleNamespace(
        http_client=server.http, api_url=server.url, api=SimpleNamespace(datasets=datasets)
    )
    assert external_ids(client, SimpleNamespace(id="w"), "name") == {*ids} - {"r1"}
