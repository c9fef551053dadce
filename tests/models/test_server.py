"""The server LLM against every fault that a server was seen to have."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from email.utils import formatdate

import pytest
from raw_server import CALL, attempt, http

from charter.errors import Failure, InputError
from charter.models import lane as lanes
from charter.models.call import Call
from charter.models.lane import TransientError
from charter.models.server import ServerLLM

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(lanes, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def answer(url, **kw):
    llm = ServerLLM(model="m", base_url=url, **{"timeout": 2.0, "retries": 2, **kw})

    async def go():
        try:
            return await llm.answer(CALL)
        finally:
            await llm.aclose()

    return asyncio.run(go())


def test_an_answer_with_all_that_belongs_to_it(server):
    started = server(http())
    found = attempt(started.url)
    assert (found.text, found.finish_reason) == ("yes", "stop")
    assert (found.prompt_tokens, found.completion_tokens) == (3, 1) and found.seconds > 0
    head, _, body = started.requests[0].partition(b"\r\n\r\n")
    assert f"authorization: bearer {KEY}".encode() in head.lower()
    sent = json.loads(body)
    assert sent["seed"] == 42 and sent["messages"] == [{"role": "user", "content": "Why?"}]


def hang(connection, request):
    time.sleep(4)


def slow_loris(connection, request):
    for byte in http():
        connection.send(bytes([byte]))
        time.sleep(0.05)


def cut_off(connection, request):
    connection.sendall(http()[:-20])


def reset(connection, request):
    import struct

    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (http(body=b"<html><body>It works!</body></html>"), "body cannot be read"),
        (http(body=b'{"choices": [{"mess'), "body cannot be read"),
        (http(body=b""), "body cannot be read"),
        (http(body=b"null"), "body cannot be read"),
        (http(body=b"[1, 2]"), "body cannot be read"),
        (http(body=b'"choices"'), "body cannot be read"),
        (http(body={"choices": []}), "body cannot be read"),
        (http(body={"choices": [{}]}), "body cannot be read"),
        (http(body={"choices": [{"message": None}]}), "body cannot be read"),
        (http(body={"choices": [{"message": {"content": 5}}]}), "body cannot be read"),
        (http(body={"choices": [{"message": {"content": "x"}}], "usage": 3}), "cannot be read"),
        (http(body=b"\xff\xfe\x00"), "body cannot be read"),
        (http(body=b"[" * 100_000), "body cannot be read"),
        (http(body={"choices": [{"message": {"content": "x"}, "finish_reason": 5}]}), "be read"),
        (
            http(body={"choices": [{"message": {"content": "hal"}, "finish_reason": "abort"}]}),
            "broke the answer off",
        ),
        (http(body=b'{"error": "\\ud83d"}'), r"200 with an error: \?"),
        (http(body={"error": {"message": "overloaded"}}), "200 with an error"),
        (http(500, b"oops"), "says 500: oops"),
        (http(502, b"<html>bad gateway</html>"), "says 502"),
        (http(429, b"slow down"), "says 429: slow down"),
        (http(503, b""), "says 503"),
        (hang, "no answer within 0.5 s"),
        (slow_loris, "no answer within 0.5 s"),
        (cut_off, "connection failed"),
        (reset, "connection failed"),
        (b"garbage that is no HTTP\r\n\r\n", "connection failed"),
    ],
)
def test_what_may_pass_is_transient(server, talk, said):
    with pytest.raises(TransientError, match=said) as caught:
        attempt(server(talk).url, timeout=0.5)
    assert KEY not in str(caught.value)


def test_a_server_that_is_not_there_is_down():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TransientError, match="connection failed") as caught:
        attempt(f"http://127.0.0.1:{port}/v1")
    assert caught.value.down


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("100000", 300, 300),
        (60, 50, 61),
        (-3600, 0, 0),
        ("soon", None, None),
        ("nan", None, None),
    ],
)
def test_retry_after_in_each_of_its_forms(server, value, low, high):
    if isinstance(value, int):  # seconds from now, as a date
        value = formatdate(time.time() + value, usegmt=True)
    with pytest.raises(TransientError) as caught:
        attempt(server(http(429, b"", [f"Retry-After: {value}"])).url)
    wait = caught.value.wait
    assert wait is None if low is None else low <= wait <= high
    assert caught.value.throttled


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (http(401, f"bad key {KEY}".encode()), "OPENAI_API_KEY"),
        (http(403, b"no"), "OPENAI_API_KEY"),
        (http(404, b"no such model"), "base_url"),
        (http(301, b"", ["Location: http://127.0.0.1:1/"]), "base_url"),
        (http(429, b'{"error": {"code": "insufficient_quota"}}'), "insufficient_quota"),
    ],
)
def test_what_no_call_will_get_past_stops_a_run(server, talk, said):
    with pytest.raises(Failure) as caught:
        attempt(server(talk).url)
    assert said in str(caught.value) and KEY not in str(caught.value)


def test_the_key_does_not_follow_a_redirect(server):
    elsewhere = server(http())
    here = server(http(307, b"", [f"Location: {elsewhere.url}/chat/completions"]))
    with pytest.raises(Failure):
        attempt(here.url)
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("status", "body", "overflow", "reason"),
    [
        (400, b"nonsense", False, ""),
        (400, b"this model's maximum context length is 4096 tokens", True, ""),
        (413, b"context too long: 9000 tokens", True, ""),
        (400, b'{"error": {"code": "content_filter"}}', False, "content_filter"),
        (422, b"no such parameter", False, ""),
    ],
)
def test_a_call_that_is_refused_is_an_answer(server, status, body, overflow, reason):
    found = attempt(server(http(status, body)).url)
    assert not found.ok and str(status) in found.error
    assert (found.overflow, found.finish_reason) == (overflow, reason)


def test_what_a_content_filter_holds_back_is_no_answer(server):
    body = {"choices": [{"message": {"content": "half of"}, "finish_reason": "content_filter"}]}
    found = attempt(server(http(body=body)).url)
    assert not found.ok and found.text == "" and found.finish_reason == "content_filter"


def test_an_answer_cut_at_its_limit_is_one(server):
    body = {"choices": [{"message": {"content": "half of"}, "finish_reason": "length"}]}
    found = attempt(server(http(body=body)).url)
    assert found.ok and found.finish_reason == "length"


def test_an_answer_of_nothing_is_asked_for_again(server):
    empty = http(body={"choices": [{"message": {"content": None}, "finish_reason": "stop"}]})
    started = server(empty, empty, http())
    assert answer(started.url).text == "yes" and len(started.requests) == 3
    started = server(empty)
    found = answer(started.url)
    assert found.ok and found.empty and len(started.requests) == 3


def test_faults_one_after_the_other_and_then_an_answer(server):
    started = server(http(500, b"x"), cut_off, http(body=b"<html>"), http())
    assert answer(started.url, retries=4).text == "yes" and len(started.requests) == 4


def test_a_server_on_this_machine_is_asked_past_a_proxy(server, monkeypatch):
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert attempt(server(http()).url).text == "yes"


def test_connections_are_kept(server):
    started = server(http())

    async def go():
        llm = ServerLLM(model="m", base_url=started.url)
        for _ in range(20):
            await llm.attempt(CALL)
        await llm.aclose()

    asyncio.run(go())
    assert started.connections == 1 and len(started.requests) == 20


def test_a_connection_that_the_server_closed_is_no_fault(server):
    """Servers close idle connections; the next request needs a new one, not a try."""

    def answer_and_close(connection, request):
        connection.sendall(http())

    started = server(answer_and_close)

    async def go():
        llm = ServerLLM(model="m", base_url=started.url)
        texts = []
        for _ in range(10):
            texts.append((await llm.attempt(CALL)).text)
            await asyncio.sleep(0.02)
        await llm.aclose()
        return texts

    assert asyncio.run(go()) == ["yes"] * 10


def test_a_schema_is_asked_for_and_part_of_the_request(server):
    started = server(http())
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    attempt(started.url, Call("s", "p", 0, 1, CALL.messages, schema=schema))
    sent = json.loads(started.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["response_format"]["json_schema"]["schema"] == schema


def test_structured_output_of_a_distilabel_task(server):
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str

    started = server(http())
    llm = ServerLLM(model="m", base_url=started.url)
    llm.load()
    given = (list(CALL.messages), {"format": "json", "schema": Person})
    (found,) = llm.generate(inputs=[given])
    assert found["generations"] == ["yes"]
    assert found["statistics"] == {"input_tokens": [3], "output_tokens": [1]}
    sent = json.loads(started.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["response_format"]["json_schema"]["schema"] == Person.model_json_schema()
    with pytest.raises(InputError, match="grammar"):
        llm.generate(inputs=[(list(CALL.messages), {"format": "regex", "schema": "a+"})])


def test_an_address_that_is_none():
    with pytest.raises(InputError, match="base_url"):
        attempt("not an address")


def test_what_is_shared_comes_first_and_is_the_same_to_the_byte(server):
    """The prefix cache of a server works on equal beginnings."""
    started = server(http())
    system = {"role": "system", "content": "You are kind. " * 20}
    for text in ("one", "two"):
        attempt(started.url, Call("s", "p", 0, 1, (system, {"role": "user", "content": text})))
    one, two = (request.partition(b"\r\n\r\n")[2] for request in started.requests)
    same = next(i for i, (x, y) in enumerate(zip(one, two, strict=False)) if x != y)
    assert same > len(system["content"])


@pytest.mark.parametrize("url", ["http://me:hunter2@host/v1", "http://host/v1?key=hunter2"])
def test_an_address_that_may_hold_a_key_is_refused_and_not_repeated(url, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    for llm in (ServerLLM(model="m"), ServerLLM(model="m", base_url=url)):
        with pytest.raises(InputError, match="has a login or a query") as told:
            _ = llm.address
        assert "hunter2" not in str(told.value)
