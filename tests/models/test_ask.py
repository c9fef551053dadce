"""Asking any distilabel LLM: outputs of every shape become answers, and none becomes an error."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from distilabel.models.llms.base import AsyncLLM
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure, Fault
from charter.models.ask import (
    AsyncAnswering,
    BatchAnswering,
    answer_from_output,
    ask_batch,
    gather_labels,
    trier,
)
from charter.models.call import FLOOR, Answer, Call
from charter.models.lane import TransientError

TEXT = Call("respond", "p", 0, 1, ({"role": "user", "content": "Why?"},))
LABELS = Call("judge", "p", 0, 1, TEXT.messages, ("A", "B"))


def entries(**found):
    return [{"token": token, "logprob": value} for token, value in found.items()]


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ({"generations": ["hi"]}, Answer("hi")),
        ({"generations": [""]}, Answer("")),
        (
            {"generations": ["hi"], "statistics": {"input_tokens": [3], "output_tokens": [4]}},
            Answer("hi", prompt_tokens=3, completion_tokens=4),
        ),
        ({"generations": ["hi"], "statistics": None}, Answer("hi")),
        ({"generations": ["hi"], "statistics": {"input_tokens": []}}, Answer("hi")),
        ({"generations": ["hi"], "statistics": {"input_tokens": [None]}}, Answer("hi")),
        ({"generations": ["hi"], "logprobs": [[entries(A=-1.0)]]}, Answer("hi")),
    ],
    ids=str,
)
def test_outputs(output, answer):
    assert answer_from_output(output, TEXT) == answer


@pytest.mark.parametrize(
    "output",
    [{"generations": [None]}, {"generations": []}, {"generations": None}, {}, None],
    ids=str,
)
def test_no_generation_is_a_failed_call(output):
    answer = answer_from_output(output, TEXT)
    assert not answer.ok and answer.error and answer.text == ""


@pytest.mark.parametrize(
    ("logprobs", "found"),
    [
        ([[entries(A=-0.5, B=-1.5)]], {"A": -0.5, "B": -1.5}),
        # The first token alone; of the other label it is known what the list leaves over.
        (
            [[entries(A=-0.5), entries(B=-0.1)]],
            {"A": -0.5, FLOOR: pytest.approx(math.log(1 - math.exp(-0.5)))},
        ),
        ([[entries(C=-0.5)]], {FLOOR: pytest.approx(math.log(1 - math.exp(-0.5)))}),
        ([[[]]], {}),
        ([[None]], {}),
        ([[]], {}),
        ([None], {}),
        ([], {}),
        (None, {}),
        (
            [[[*entries(A=None), *entries(B=-1.0)]]],
            {"B": -1.0, FLOOR: pytest.approx(math.log(1 - math.exp(-1.0)))},
        ),
    ],
    ids=str,
)
def test_labels_of_an_output(logprobs, found):
    output = {"generations": ["A"], "logprobs": logprobs}
    assert answer_from_output(output, LABELS).label_logprobs == found


def test_spellings_of_a_label_are_summed():
    found = gather_labels(
        [
            ("A", math.log(0.3)),
            (" A", math.log(0.2)),
            ("A\n", math.log(0.1)),
            ("a", -1.0),
            ("B", -9.0),
        ],
        ("A", "B"),
    )
    assert found["A"] == pytest.approx(math.log(0.6)) and found["B"] == -9.0
    assert gather_labels([], ("A", "B")) == {}


def test_a_label_that_is_not_listed_has_at_most_what_is_left():
    """No more than the least of the tokens listed, and no more than all of them leave over."""
    found = gather_labels([("A", math.log(0.9)), ("C", math.log(0.02))], ("A", "B"))
    assert found[FLOOR] == pytest.approx(math.log(0.02))
    found = gather_labels([("A", math.log(0.9)), ("C", math.log(0.09))], ("A", "B"))
    assert found[FLOOR] == pytest.approx(math.log(0.01))
    # Rounded probabilities may leave nothing or less; certainty is still not made of it.
    for listed in ([("A", 0.0)], [("A", 0.001)], [("A", -1e-9), ("C", -30.0)]):
        assert -31 < gather_labels(listed, ("A", "B"))[FLOOR] < -13


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=25), st.integers(1, 20))
def test_the_bound_holds_whatever_the_server_lists(weights, listed):
    """B is the token that was not listed; what is said of it is never less than it has."""
    shares = sorted((w / sum(weights) for w in weights), reverse=True)
    names = ["A", *[f"t{i}" for i in range(len(shares) - 2)], "B"]
    shown = min(listed, len(shares) - 1)
    entries = [(n, math.log(s)) for n, s in zip(names[:shown], shares, strict=False)]
    assert gather_labels(entries, ("A", "B"))[FLOOR] >= math.log(shares[-1]) - 1e-6


def test_tokens_of_no_probability_add_nothing():
    low = -math.inf
    assert gather_labels([("A", low), (" A", low)], ("A",)) == {"A": low}
    assert gather_labels([("A", low), (" A", -1.0)], ("A",)) == {"A": -1.0}
    assert gather_labels([("A", -1.0), (" A", low)], ("A",)) == {"A": -1.0}


@settings(deadline=None)
@given(st.lists(st.floats(-700, 0), min_size=1, max_size=6))
def test_summing_is_the_logarithm_of_the_sum(logprobs):
    spellings = [" " * i + "A" for i in range(len(logprobs))]
    found = gather_labels(zip(spellings, logprobs, strict=True), ("A",))["A"]
    top = max(logprobs)
    assert found == pytest.approx(top + math.log(sum(math.exp(p - top) for p in logprobs)))


def test_half_a_surrogate_pair_in_an_answer_becomes_a_mark():
    assert Answer("x\ud83d").text == "x\ufffd"
    assert Answer("\ude00y").text == "\ufffdy"
    assert Answer("\ud83d\ude00").text == "😀"
    assert Answer("plain 😀").text == "plain 😀"


@settings(deadline=None)
@given(st.text(st.characters(), max_size=30))
def test_every_answer_can_be_written(text):
    answer = Answer(text)
    answer.text.encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert answer.text == text


class Batch:
    def answer_batch(self, calls):
        return [Answer(str(call.seed)) for call in calls]


class Served:
    def __init__(self):
        self.closed = 0

    async def answer(self, call):
        await asyncio.sleep(0.001 * (5 - call.seed % 5))
        return Answer(str(call.seed))

    async def aclose(self):
        self.closed += 1


class Foreign:
    """What any LLM of distilabel's has."""

    def get_generation_kwargs(self):
        return {"temperature": 0.5}

    def generate_outputs(self, inputs, num_generations, temperature):
        assert num_generations == 1 and temperature == 0.5
        return [{"generations": [messages[-1]["content"].upper()]} for messages in inputs]

    async def agenerate(self, input, num_generations=1, temperature=1.0):  # noqa: A002
        assert temperature == 0.5
        return {"generations": [input[-1]["content"].upper()]}


CALLS = [Call("respond", "p", 0, i, ({"role": "user", "content": f"q{i}"},)) for i in range(12)]


def test_a_batch_comes_back_in_order_from_every_kind_of_llm():
    assert isinstance(Batch(), BatchAnswering) and isinstance(Served(), AsyncAnswering)
    assert [a.text for a in ask_batch(Batch(), CALLS)] == [str(i) for i in range(12)]
    served = Served()
    assert [a.text for a in ask_batch(served, CALLS)] == [str(i) for i in range(12)]
    assert served.closed == 1
    assert [a.text for a in ask_batch(Foreign(), CALLS)] == [f"Q{i}" for i in range(12)]
    for llm in (Batch(), served, Foreign()):
        assert ask_batch(llm, []) == []


def test_connections_are_closed_when_a_call_stops_the_run():
    class Down(Served):
        async def answer(self, call):
            raise RuntimeError("down")

    down = Down()
    with pytest.raises(RuntimeError, match="down"):
        ask_batch(down, CALLS)
    assert down.closed == 1


def test_a_batch_is_answered_where_a_loop_runs_already():
    """As in a notebook, in whose loop every cell is run."""

    async def cell():
        return ask_batch(Served(), CALLS)

    assert [a.text for a in asyncio.run(cell())] == [str(i) for i in range(12)]


class Behind(AsyncLLM):
    """An LLM of distilabel's behind a server that refuses one prompt."""

    error: Any = ValueError("too\nlong")

    @property
    def model_name(self):
        return "behind"

    async def agenerate(self, input, num_generations=1):  # noqa: A002
        if input[-1]["content"] == "q3":
            raise self.error
        return {"generations": [input[-1]["content"].upper()]}


def test_a_call_that_is_refused_takes_no_answer_from_the_others():
    answers = ask_batch(Behind(), CALLS)
    assert [a.text for a in answers] == [f"Q{i}" if i != 3 else "" for i in range(12)]
    assert answers[3].error == "ValueError: too long"
    with pytest.raises(Failure, match="no key"):
        ask_batch(Behind(error=Failure(Fault("", "models", "no key", "give one"))), CALLS)


async def tried(llm, call):
    return await trier(llm)(call)


def test_one_try():
    assert asyncio.run(tried(Served(), CALLS[3])).text == "3"
    found = asyncio.run(tried(Foreign(), CALLS[3]))
    assert found.text == "Q3" and found.seconds > 0


class _RefusedError(Exception):
    def __init__(self, status_code):
        super().__init__(f"no, {status_code}")
        self.status_code = status_code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_RefusedError(401), Failure),
        (_RefusedError(403), Failure),
        (_RefusedError(500), TransientError),
        (ValueError("odd"), TransientError),
        (TimeoutError(), TransientError),
    ],
)
def test_errors_of_another_makes_client(error, kind):
    class Failing(Foreign):
        async def agenerate(self, input, num_generations=1, temperature=1.0):  # noqa: A002
            raise error

    with pytest.raises(kind) as caught:
        asyncio.run(tried(Failing(), CALLS[0]))
    assert not getattr(caught.value, "throttled", False)


def test_another_makes_client_that_is_told_to_slow_down():
    class Throttled(Foreign):
        async def agenerate(self, input, num_generations=1, temperature=1.0):  # noqa: A002
            raise _RefusedError(429)

    with pytest.raises(TransientError) as caught:
        asyncio.run(tried(Throttled(), CALLS[0]))
    assert caught.value.throttled


def test_no_generation_of_another_make_is_tried_again():
    class Silent(Foreign):
        async def agenerate(self, input, num_generations=1, temperature=1.0):  # noqa: A002
            return {"generations": [None]}

    with pytest.raises(TransientError, match="no answer"):
        asyncio.run(tried(Silent(), CALLS[0]))


def test_an_llm_that_answers_too_few_is_not_taken_at_its_word():
    class Short(Foreign):
        def generate_outputs(self, inputs, num_generations, temperature):
            return [{"generations": ["x"]}]

    with pytest.raises(ValueError, match="zip"):
        ask_batch(Short(), CALLS)
