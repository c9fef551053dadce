"""The guard's proxy: what is done with answers, by what is found of them."""

import json

import pytest
from guard_world import *  # noqa: F403
from guard_world import ASKED, FIRST, KEY, answer, ask, events

from charter.evals.guard_proxy import Policy


def test_a_good_answer_passes_as_it_came(proxy):
    url, up, judge = proxy(lambda body: answer("Six minutes.", timings={"x": 1}))
    got = ask(url, n=1, temperature=0.3)
    assert got.status_code == 200 and got.headers["x-charter-guard"] == "passed"
    whole = got.json()
    guard = whole.pop("charter_guard")
    assert whole == json.loads(answer("Six minutes.", timings={"x": 1})[2])
    assert guard["choices"][0] == {
        "index": 0,
        "action": "passed",
        "violates": [],
        "undecided": [],
        "ok": True,
    }
    assert up.requests == [{**ASKED, "n": 1, "temperature": 0.3}]
    sent = {name.lower(): value for name, value in up.headers[0].items()}
    assert sent["authorization"] == KEY["Authorization"]
    assert len(judge.requests) == 2
    assert "sk-client-secret" not in str(judge.headers) + str(judge.requests)


def test_a_refused_answer_is_nowhere_in_the_reply(proxy):
    url, *_ = proxy(lambda body: answer("BAD words", prompt_token_text="BAD"), refusal="No.")
    got = ask(url)
    assert got.headers["x-charter-guard"] == "refused" and "BAD" not in got.text
    (choice,) = got.json()["choices"]
    assert choice["message"]["content"] == "No." and choice["finish_reason"] == "content_filter"
    violates = got.json()["charter_guard"]["choices"][0]["violates"]
    assert violates == [{"principle_id": FIRST.id, "p": None}]


def test_a_flagged_answer_is_sent(proxy):
    url, *_ = proxy(lambda body: answer("BAD words"), on_violation="flag")
    got = ask(url)
    assert got.headers["x-charter-guard"] == "flagged"
    assert got.json()["choices"][0]["message"]["content"] == "BAD words"


def test_a_revised_answer_is_checked_again(proxy):
    url, _, judge = proxy(lambda body: answer("BAD words"), on_violation="revise")
    got = ask(url)
    assert got.headers["x-charter-guard"] == "revised" and "BAD" not in got.text
    assert got.json()["choices"][0]["message"]["content"] == "GOOD now"
    assert got.json()["charter_guard"]["choices"][0]["revised"]["ok"] is True
    revised = next(r for r in judge.requests if r["messages"][-1]["content"] == FIRST.revision)
    assert revised["messages"][1] == {"role": "assistant", "content": "BAD words"}
    assert len(judge.requests) == 2 + 2 + 2


@pytest.mark.parametrize("revision", ["BAD still", "UNREAD", ""])
def test_a_revision_that_is_no_better_is_refused(proxy, revision):
    url, *_ = proxy(lambda body: answer("BAD words"), on_violation="revise", revision=revision)
    got = ask(url)
    assert got.headers["x-charter-guard"] == "refused"
    assert "BAD" not in got.text and "UNREAD" not in got.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("revision", [(401, {}, b"{}"), (500, {}, b"{}"), "slow"])
def test_a_failed_revision_never_lets_the_answer_through(proxy, replies, revision):
    def fail():
        return (replies.sleep(3.0), replies.say("GOOD"))[1] if revision == "slow" else revision

    options = {"on_undecided": "pass", "on_violation": "revise", "check_timeout": 2.0}
    url, *_ = proxy(lambda body: answer("BAD words"), revision=fail, **options)
    got = ask(url)
    assert got.headers["x-charter-guard"] == "refused" and "BAD" not in got.text


def test_each_choice_is_checked(proxy):
    url, *_ = proxy(lambda body: answer("fine", "BAD", "fine too"))
    got = ask(url, n=3)
    assert [c["finish_reason"] for c in got.json()["choices"]] == ["stop", "content_filter", "stop"]
    assert "BAD" not in got.text and "fine too" in got.text


@pytest.mark.parametrize(("text", "shown"), [("Six.", "Six."), ("BAD", Policy().refusal)])
def test_streaming(proxy, text, shown):
    url, up, _ = proxy(lambda body: answer(text))
    got = ask(url, stream=True, stream_options={"include_usage": True})
    assert got.headers["content-type"].startswith("text/event-stream")
    assert up.requests == [ASKED]
    chunks = events(got)
    assert all(c["object"] == "chat.completion.chunk" for c in chunks)
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    assert deltas[0]["role"] == "assistant"
    assert "".join(d.get("content") or "" for d in deltas) == shown
    assert chunks[-1]["usage"]["total_tokens"] == 5 and chunks[-1]["choices"] == []
    assert chunks[-2]["charter_guard"]["action"] == got.headers["x-charter-guard"]


def test_streaming_without_usage(proxy):
    url, *_ = proxy(lambda body: answer("a", "b"))
    chunks = events(ask(url, stream=True, n=2))
    ended = [c["choices"][0]["finish_reason"] for c in chunks]
    assert ended.count("stop") == 2 and all(c["choices"] for c in chunks)
    assert [c["choices"][0]["index"] for c in chunks] == [0, 0, 0, 1, 1, 1]


CALLS = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def called(text):
    message = {"role": "assistant", "content": text, "tool_calls": CALLS}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return 200, {}, json.dumps({"choices": [choice]}).encode()


def test_what_cannot_be_read_is_refused(proxy):
    url, up, judge = proxy(lambda body: called(None))
    got = ask(url)
    assert got.status_code == 422 and got.json()["error"]["code"] == "unchecked_content"
    image = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {}}]
    got = ask(url, messages=[{"role": "user", "content": image}])
    assert got.status_code == 422 and "image_url" in got.json()["error"]["message"]
    assert len(up.requests) == 1 and judge.requests == []


def test_what_cannot_be_read_passes_by_name(proxy):
    url, *_ = proxy(lambda body: called("Let me look."), pass_unchecked=True)
    got = ask(url)
    assert got.json()["choices"][0]["message"]["tool_calls"] == CALLS
    assert got.json()["charter_guard"]["choices"][0]["unchecked"] == ["tool_calls"]
    (delta,) = [
        c["choices"][0]["delta"]["tool_calls"]
        for c in events(ask(url, stream=True))
        if "tool_calls" in c["choices"][0]["delta"]
    ]
    assert delta == [{"index": 0, **CALLS[0]}]


def test_tool_calls_beside_bad_words_go_with_them(proxy):
    url, *_ = proxy(lambda body: called("BAD"), pass_unchecked=True)
    assert "tool_calls" not in ask(url).json()["choices"][0]["message"]


def test_thoughts_are_read_too(proxy):
    message = {"role": "assistant", "content": "Fine.", "reasoning_content": "BAD"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    url, *_ = proxy(lambda _: (200, {}, json.dumps(body).encode()))
    assert "BAD" not in ask(url).text
