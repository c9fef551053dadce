"""What an answer's body says, in the forms that servers were seen to give it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from raw_server import CALL, GOOD, attempt, http

from charter.models.lane import TransientError

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(
        f"{len(part):x}\r\n".encode() + part + b"\r\n"
        for part in (json.dumps(GOOD).encode()[:30], json.dumps(GOOD).encode()[30:])
    )
    + b"0\r\n\r\n"
)


def test_a_body_in_chunks_is_read(server):
    assert attempt(server(CHUNKED).url).text == "yes"


def test_an_answer_is_one_by_any_status_of_success(server):
    assert attempt(server(http(201)).url).text == "yes"
    with pytest.raises(TransientError, match="cannot be read"):
        attempt(server(http(202, b"")).url)


def test_a_body_of_another_charset_is_read(server):
    body = json.dumps(
        {"choices": [{"message": {"content": "ja ü 日本 \U0001f600"}}]}, ensure_ascii=False
    )
    assert attempt(server(http(body=body.encode())).url).text == "ja ü 日本 \U0001f600"


def test_half_a_surrogate_pair_at_an_answers_end_is_marked(server):
    body = b'{"choices": [{"message": {"content": "yes \\ud83d"}, "finish_reason": "length"}]}'
    assert attempt(server(http(body=body)).url).text == "yes \ufffd"


def test_what_a_server_says_of_an_error_cannot_steer_the_terminal(server):
    said = "no\x1b[2J \x9b31m\u202e \x07way\r\n\x00 é 日"
    assert attempt(server(http(400, said.encode())).url).error == (
        "the server says 400: no [2J 31m way é 日"
    )


@pytest.mark.parametrize("least", [None, float("-inf"), float("nan")])
def test_a_token_without_probability_is_no_fault_of_the_others(server, least):
    listed = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": least}]
    content = [{"token": "A", "logprob": -0.1, "top_logprobs": listed}]
    body = {"choices": [{"message": {"content": "A"}, "logprobs": {"content": content}}]}
    found = attempt(server(http(body=body)).url, replace(CALL, labels=("A", "B")))
    assert found.label_logprobs["A"] == -0.1 and "B" not in found.label_logprobs


def test_a_server_that_names_the_written_token_alone_gives_its_probability(server):
    content = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -0.2}]
    body = {"choices": [{"message": {"content": "AB"}, "logprobs": {"content": content}}]}
    found = attempt(server(http(body=body)).url, replace(CALL, labels=("A", "B")))
    assert found.label_logprobs["A"] == -0.1 and "B" not in found.label_logprobs


@pytest.mark.parametrize("tokens", [-5, 1e30])
def test_what_is_no_number_of_tokens_is_not_counted(server, tokens):
    choices = [{"message": {"content": "x"}}]
    body = {"choices": choices, "usage": {"prompt_tokens": tokens, "completion_tokens": 7}}
    found = attempt(server(http(body=body)).url)
    assert (found.prompt_tokens, found.completion_tokens) == (0, 7)


def test_the_first_of_several_choices_counts(server):
    body = {"choices": [{"message": {"content": "one"}}, {"message": {"content": "two"}}]}
    assert attempt(server(http(body=body)).url).text == "one"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": [{"type": "text", "text": "y"}, {"type": "text", "text": "es"}]}, "yes"),
        (
            {"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "yes"}]},
            "yes",
        ),
        ({"content": []}, ""),
        ({"content": None, "refusal": "I can't help with that."}, "I can't help with that."),
        ({"content": "yes", "refusal": None}, "yes"),
    ],
)
def test_what_a_message_says(server, message, text):
    assert attempt(server(http(body={"choices": [{"message": message}]})).url).text == text


@pytest.mark.parametrize("content", [5, ["yes"], [{"type": "text"}], [{"text": "yes"}], {"a": 1}])
def test_what_is_no_message_may_pass(server, content):
    with pytest.raises(TransientError, match="cannot be read"):
        attempt(server(http(body={"choices": [{"message": {"content": content}}]})).url)
