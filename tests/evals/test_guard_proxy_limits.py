"""The guard's proxy when something is down, slow, malformed, or not allowed."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
from guard_world import *  # noqa: F403
from guard_world import ASKED, KEY, answer, ask

from charter.evals.guard_check import RewardGuard


@pytest.mark.parametrize(
    ("text", "undecided", "status", "action"),
    [
        ("UNREAD", "refuse", 200, "refused"),
        ("UNREAD", "pass", 200, "flagged"),
        ("DOWN", "refuse", 503, None),
        ("DOWN", "pass", 200, "flagged"),
    ],
)
def test_what_the_judge_does_not_decide(proxy, text, undecided, status, action):
    url, *_ = proxy(lambda body: answer(text), on_undecided=undecided)
    got = ask(url)
    assert (got.status_code, got.headers.get("x-charter-guard")) == (status, action)
    shown = status == 200 and got.json()["choices"][0]["message"]["content"] == text
    assert shown == (undecided == "pass")


def test_a_judge_that_takes_too_long(proxy, replies):
    class Slow:
        def scores(self, conversations):
            time.sleep(0.5)
            return [1.0]

    url, *_ = proxy(lambda body: answer("x"), guard=RewardGuard(Slow(), 0.0), check_timeout=0.1)
    got = ask(url)
    assert got.status_code == 503 and got.json()["error"]["code"] == "judge_failed"


def test_a_judge_that_breaks_lets_nothing_through(proxy, capfd):
    class Broken:
        def scores(self, conversations):
            raise RuntimeError("SECRET words")

    url, *_ = proxy(lambda body: answer("words"), guard=RewardGuard(Broken(), 0.0))
    got = ask(url)
    assert got.status_code == 500 and "words" not in got.text
    assert "RuntimeError" in (err := capfd.readouterr().err) and "SECRET" not in err


def test_a_reward_model_in_place_of_a_judge(proxy):
    class Lengths:
        def scores(self, conversations):
            return [float(len(messages[-1]["content"])) for messages in conversations]

    url, *_ = proxy(lambda body: answer("short", "long enough"), guard=RewardGuard(Lengths(), 8))
    got = ask(url, n=2).json()
    first, second = got["charter_guard"]["choices"]
    assert first["violates"] == [{"principle_id": "reward", "p": None, "score": 5.0}]
    assert second["ok"]


def test_the_check_does_not_hold_up_others(proxy):
    gate, entered = threading.Event(), threading.Event()

    class Waiting:
        def scores(self, conversations):
            entered.set()
            assert gate.wait(20)
            return [1.0]

    url, *_ = proxy(lambda body: answer("x"), guard=RewardGuard(Waiting(), 0.0))
    found = []
    thread = threading.Thread(target=lambda: found.append(ask(url).status_code))
    thread.start()
    assert entered.wait(20)
    assert requests.get(f"{url}/v1/nothing", timeout=10).status_code == 404
    assert found == []
    gate.set()
    thread.join(20)
    assert found == [200]


def test_a_client_that_leaves_is_not_worked_for(proxy):
    asked, gate = threading.Event(), threading.Event()

    def upstream(body):
        asked.set()
        gate.wait(20)
        return answer("x")

    url, up, judge = proxy(upstream, timeout=30.0)
    host, port = url.removeprefix("http://").split(":")
    data = json.dumps(ASKED).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(data)}"
    with socket.create_connection((host, int(port))) as client:
        client.sendall(f"{head}\r\n\r\n".encode() + data)
        assert asked.wait(20)
    # The next one is answered after the first was dropped, so the first is over by then.
    time.sleep(0.3)
    gate.set()
    assert ask(url).status_code == 200
    assert len(up.requests) == 2 and len(judge.requests) == 2


def test_the_upstream_is_down(proxy):
    url, *_ = proxy(lambda body: answer("x"), url="http://127.0.0.1:9/v1")
    got = ask(url)
    assert got.status_code == 502 and got.json()["error"]["code"] == "upstream_down"


def test_the_upstream_takes_too_long(proxy, replies):
    url, *_ = proxy(lambda body: (replies.sleep(1.0), answer("x"))[1], timeout=0.2)
    assert ask(url).status_code == 504


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"choices":[{}]}', b'{"choices":[]}', b"<"])
def test_an_answer_that_cannot_be_read(proxy, raw):
    url, *_ = proxy(lambda body: (200, {}, raw))
    got = ask(url)
    assert got.status_code == 502 and got.json()["error"]["code"] == "upstream_unread"


def test_the_upstreams_refusal_goes_on_without_what_the_model_said(proxy):
    error = {"message": "slow down", "code": "rate", "failed_generation": "BAD"}
    said = (429, {"Retry-After": "7"}, json.dumps({"error": error}).encode())
    url, *_ = proxy(lambda body: said)
    got = ask(url)
    assert got.status_code == 429 and got.headers["retry-after"] == "7"
    assert got.json()["error"]["message"] == "slow down" and "BAD" not in got.text


def test_a_sentence_beside_the_error_is_passed_on_too(proxy):
    said = {"object": "error", "message": "too many tokens", "type": "BadRequest", "code": 400}
    url, *_ = proxy(lambda body: (400, {}, json.dumps({**said, "seen": "WORDS"}).encode()))
    got = ask(url)
    assert got.status_code == 400 and got.json()["error"]["message"] == "too many tokens"
    assert got.json()["error"]["type"] == "BadRequest" and "WORDS" not in got.text


def test_a_redirect_gets_no_key(proxy):
    url, up, _ = proxy(lambda body: (307, {"Location": "http://127.0.0.1:9/v1/x"}, b""))
    assert ask(url).status_code == 502 and len(up.requests) == 1


def test_bad_requests(proxy):
    url, up, _ = proxy(lambda body: answer("x"), most_body=2000)
    assert ask(url, messages=[]).status_code == 400
    assert ask(url, messages=[{"content": "x"}]).status_code == 400
    assert ask(url, stream="yes").status_code == 400
    assert ask(url, junk="x" * 3000).status_code == 413
    for data in (b"", b"{", b"[" * 1500, b'{"messages":"\xff"}'):
        got = requests.post(f"{url}/v1/chat/completions", data=data, timeout=10)
        assert got.status_code == 400 and got.json()["error"]["code"] == "bad_body"
    assert requests.get(f"{url}/v1/chat/completions", timeout=10).json()["error"]["code"]
    assert requests.post(f"{url}/v1/embeddings", timeout=10).status_code == 404
    deep = f'{{"messages": [{{"role": "user", "content": "a"}}], "x": {"[" * 300}{"]" * 300}}}'
    got = requests.post(f"{url}/v1/chat/completions", data=deep, timeout=10)
    assert got.status_code == 400 and got.json()["error"]["code"] == "bad_body"
    assert up.requests == []


def test_no_redirect_to_a_host_that_a_client_named(proxy):
    url, *_ = proxy(lambda body: answer("x"))
    for path in ("models", "chat/completions"):
        got = requests.get(
            f"{url}/v1/{path}/",
            headers={"Host": "evil.example"},
            allow_redirects=False,
            timeout=10,
        )
        assert got.status_code == 404 and "evil" not in str(got.headers)


def test_an_answer_that_cannot_be_streamed_is_an_error_and_does_not_break_off(proxy):
    odd = {"role": "assistant", "content": "Fine.", "tool_calls": "none of them"}
    said = json.dumps({"choices": [{"index": 0, "message": odd}]}).encode()
    url, *_ = proxy(lambda body: (200, {}, said), pass_unchecked=True)
    got = ask(url, stream=True)
    assert got.status_code == 500 and got.json()["error"]["code"] == "guard_failed"


def test_who_may_ask(proxy):
    url, up, _ = proxy(lambda body: answer("x"), token="guard-secret")
    assert ask(url).status_code == 401
    assert ask(url, headers={"X-Charter-Guard-Token": "other"}).status_code == 401
    assert ask(url, headers={"X-Charter-Guard-Token": "guard-secret"}).status_code == 200
    assert "guard-secret" not in str(up.headers)
    wrong = {"X-Charter-Guard-Token": "guard-secret", "Host": "evil.example"}
    assert ask(url, headers=wrong).status_code == 421
    for host, status in (("localhost:8000", 200), ("[::1]:8000", 200), ("localhost.evil", 421)):
        assert ask(url, headers={**wrong, "Host": host}).status_code == status


def test_too_many_at_once(proxy):
    url, up, _ = proxy(lambda body: answer("x"), most_at_once=0)
    assert ask(url).status_code == 503 and up.requests == []


def test_models_pass_through(proxy):
    seen = []

    class Models(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers["Authorization"]))
            body = b'{"object":"list","data":[{"id":"up"}]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Models) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url, *_ = proxy(lambda body: None, url=f"http://127.0.0.1:{server.server_port}/v1")
        got = requests.get(f"{url}/v1/models", headers=KEY, timeout=10)
        thread.join(10)
    assert got.json()["data"] == [{"id": "up"}]
    assert seen == [("/v1/models", KEY["Authorization"])]
