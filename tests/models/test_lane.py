"""The lane: how many calls at once, which are made again, and when a server is given up."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure
from charter.models import lane as lanes
from charter.models.call import Answer, Call
from charter.models.lane import BREAKER, FREE_TRIES, Lane, Patience, TransientError

CALL = Call("respond", "p", 0, 1, ({"role": "user", "content": "?"},))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Waits a thousandth as long."""
    monkeypatch.setattr(lanes, "FIRST_WAIT", 0.0005)
    monkeypatch.setattr(lanes, "LONGEST_WAIT", 0.01)


def outcome(script):
    """An attempt that follows a script of answers and errors, one a try."""
    steps = iter(script)

    async def attempt(call):
        step = next(steps)
        await asyncio.sleep(0)
        if isinstance(step, Exception):
            raise step
        return step

    return attempt


def ask(script, patience=None, **kw):
    async def go():
        lane = Lane("server", 4, patience or Patience(3), **kw)
        return await lane.ask(outcome(script), CALL), lane

    return asyncio.run(go())


def test_the_first_answer_counts():
    answer, lane = ask([Answer("a")])
    assert answer.text == "a" and lane.counts.tries == 1 and lane.running == 0


def test_what_may_pass_is_tried_again():
    answer, lane = ask([TransientError("500"), TransientError("cut"), Answer("b")])
    assert answer.text == "b" and (lane.counts.tries, lane.counts.again) == (3, 2)


def test_a_call_that_fails_for_good_says_why_and_after_how_many_tries():
    answer, _ = ask([TransientError("the server says 500")] * 4)
    assert answer.error == "the server says 500 (after 4 tries)" and not answer.ok


def test_an_answer_that_is_an_error_is_not_tried_again():
    answer, lane = ask([Answer(error="the server says 400")])
    assert answer.error and lane.counts.tries == 1


def test_an_empty_answer_is_tried_again_and_then_believed():
    answer, lane = ask([Answer(""), Answer("  \n"), Answer("")])
    assert answer.ok and answer.empty and lane.counts.tries == 3
    answer, _ = ask([Answer(""), Answer("x")])
    assert answer.text == "x"


def test_the_tokens_of_empty_answers_are_paid_and_counted():
    def empty(text=""):
        return Answer(text, finish_reason="length", prompt_tokens=10, completion_tokens=256)

    for script in ([empty()] * 3, [empty(), empty(), empty("x")]):
        answer, _ = ask(script)
        assert (answer.prompt_tokens, answer.completion_tokens) == (30, 768)
    answer, _ = ask([empty(), *[TransientError("500")] * 3], Patience(3))
    assert not answer.ok and (answer.prompt_tokens, answer.completion_tokens) == (10, 256)


def test_an_empty_last_try_is_what_the_model_said_whatever_failed_before_it():
    empty = Answer(" ", prompt_tokens=10, completion_tokens=2)
    answer, lane = ask([TransientError("429"), empty, empty], Patience(2))
    assert answer.ok and answer.empty and answer.text == " " and lane.counts.tries == 3
    assert (answer.prompt_tokens, answer.completion_tokens) == (20, 4)


def test_without_retries_an_empty_answer_is_believed_at_once():
    answer, lane = ask([Answer("")], Patience(0))
    assert answer.ok and lane.counts.tries == 1


def test_a_filtered_answer_is_not_asked_for_again():
    answer, lane = ask([Answer("", finish_reason="content_filter")])
    assert answer.empty and lane.counts.tries == 1


def test_the_kept_answer_is_the_one_that_counts():
    async def go():
        lane = Lane("s", 1, Patience())

        async def keep(answer):
            assert lane.running == 1  # it is still in flight while it is being kept
            return Answer("the first one's")

        return await lane.ask(outcome([Answer("mine")]), CALL, keep)

    assert asyncio.run(go()).text == "the first one's"


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 10**6))
def test_never_more_in_flight_than_the_limit_and_all_are_answered(ceiling, calls, seed):
    async def go():
        draw = random.Random(seed)
        lane = Lane("s", ceiling, Patience(50, budget=100))
        most = running = 0

        async def attempt(call):
            nonlocal most, running
            running += 1
            most = max(most, running)
            await asyncio.sleep(draw.random() / 2000)
            running -= 1
            if draw.random() < 0.3:
                raise TransientError("429", wait=0.0001, throttled=draw.random() < 0.5)
            return Answer("x")

        answers = await asyncio.gather(*(lane.ask(attempt, CALL) for _ in range(calls)))
        return most, answers, lane

    most, answers, lane = asyncio.run(go())
    assert most <= ceiling and lane.running == 0
    assert all(answer.text == "x" for answer in answers)
    assert lane.counts.tries - lane.counts.again == calls


def test_the_limit_follows_what_the_server_takes():
    """A server that takes 8 at once: the limit comes down to it and refusals become rare."""

    async def go():
        lane = Lane("s", 64, Patience(100, budget=100))
        running = refused = served = 0

        async def attempt(call):
            nonlocal running, refused, served
            if running >= 8:
                refused += 1
                raise TransientError("429", throttled=True)
            running += 1
            await asyncio.sleep(0.0005)
            running -= 1
            served += 1
            return Answer("x")

        await asyncio.gather(*(lane.ask(attempt, CALL) for _ in range(400)))
        early, refused = refused, 0
        await asyncio.gather(*(lane.ask(attempt, CALL) for _ in range(400)))
        return early, refused, lane

    early, late, lane = asyncio.run(go())
    assert lane.limit <= 24
    assert late < 400, (early, late)


def test_the_limit_grows_again_when_the_server_takes_more():
    async def go():
        lane = Lane("s", 32, Patience(100, budget=100))
        lane._limit, lane._places = 2.0, 2
        tasks = (lane.ask(outcome([Answer("x")]), CALL) for _ in range(2000))
        await asyncio.gather(*tasks)
        return lane.limit

    assert asyncio.run(go()) == 32


def test_stray_refusals_do_not_starve_a_lane():
    async def go():
        draw = random.Random(3)
        lane = Lane("s", 64, Patience(20, budget=10))

        async def attempt(call):
            await asyncio.sleep(0.0001)
            if draw.random() < 0.04:
                raise TransientError("429", throttled=True)
            return Answer("x")

        await asyncio.gather(*(lane.ask(attempt, CALL) for _ in range(3000)))
        return lane.limit

    assert asyncio.run(go()) >= 24


def test_a_server_that_is_down_is_given_up_and_everyone_is_told():
    async def go():
        told = []
        lane = Lane("s", 8, Patience(2), lambda event, **facts: told.append(event))
        tries = 0

        async def attempt(call):
            nonlocal tries
            tries += 1
            await asyncio.sleep(0)
            raise TransientError("connection failed", down=True)

        results = await asyncio.gather(
            *(lane.ask(attempt, CALL) for _ in range(100)), return_exceptions=True
        )
        return results, tries, told

    results, tries, told = asyncio.run(go())
    failures = [r for r in results if isinstance(r, Failure)]
    assert failures and "tries in a row failed" in str(failures[0])
    # Those that had failed for good before the lane closed are answers; nobody waits for ever.
    assert all(isinstance(r, Failure) or r.error for r in results)
    assert tries <= BREAKER + 8 + 2
    assert told == ["server_gone", "server_down"]


def test_a_server_that_comes_back_costs_no_call_its_tries():
    async def go():
        told = []
        lane = Lane("s", 4, Patience(3), lambda event, **facts: told.append(event))
        tries = 0

        async def attempt(call):
            nonlocal tries
            tries += 1
            await asyncio.sleep(0)
            if 10 < tries < 10 + BREAKER + 3:
                raise TransientError("connection failed", down=True)
            return Answer("x")

        answers = await asyncio.gather(*(lane.ask(attempt, CALL) for _ in range(60)))
        return answers, told

    answers, told = asyncio.run(go())
    assert all(answer.text == "x" for answer in answers)
    assert told == ["server_gone", "server_back"]


def test_poisonous_calls_at_the_end_are_not_taken_for_a_dead_server():
    async def go():
        lane = Lane("s", 16, Patience(3))
        poison = Call("respond", "poison", 0, 1, CALL.messages)

        async def attempt(call):
            await asyncio.sleep(0)
            if call.prompt_id == "poison":
                raise TransientError("500")
            return Answer("x")

        calls = [poison if i % 3 == 0 else CALL for i in range(54)]
        return await asyncio.gather(*(lane.ask(attempt, call) for call in calls))

    answers = asyncio.run(go())
    assert [a.ok for a in answers] == [i % 3 != 0 for i in range(54)]


def test_a_server_that_hangs_for_everyone_is_given_up_later():
    async def go():
        lane = Lane("s", 4, Patience(10))

        async def attempt(call):
            await asyncio.sleep(0)
            raise TransientError("no answer within 1 s")

        return await asyncio.gather(
            *(lane.ask(attempt, CALL) for _ in range(50)), return_exceptions=True
        )

    results = asyncio.run(go())
    assert any(isinstance(r, Failure) for r in results)


def test_tries_again_have_a_budget():
    async def go():
        lane = Lane("s", 4, Patience(10**6, budget=0.1))
        turn = 0

        async def attempt(call):
            nonlocal turn
            turn += 1
            await asyncio.sleep(0)
            if turn % 4:
                raise TransientError("500")
            return Answer("x")

        for _ in range(10**4):
            await lane.ask(attempt, CALL)

    with pytest.raises(Failure, match="retry_budget"):
        asyncio.run(go())
    assert FREE_TRIES == 200


def test_a_stopped_lane_lets_nothing_new_out():
    async def go():
        lane = Lane("s", 1, Patience())
        gate = asyncio.Event()
        out = 0

        async def attempt(call):
            nonlocal out
            out += 1
            await gate.wait()
            return Answer("x")

        tasks = [asyncio.create_task(lane.ask(attempt, CALL)) for _ in range(5)]
        await asyncio.sleep(0.01)
        lane.stop()
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True), out

    results, out = asyncio.run(go())
    assert out == 1 and results[0].text == "x"
    assert all(isinstance(r, asyncio.CancelledError) for r in results[1:])


def test_a_cancelled_caller_leaves_its_place():
    async def go():
        lane = Lane("s", 1, Patience())
        gate = asyncio.Event()

        async def attempt(call):
            await gate.wait()
            return Answer("x")

        tasks = [asyncio.create_task(lane.ask(attempt, CALL)) for _ in range(3)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.sleep(0.01)
        gate.set()
        return (await asyncio.gather(*tasks, return_exceptions=True))[2], lane.running

    answer, running = asyncio.run(go())
    assert answer.text == "x" and running == 0


def test_retry_after_is_waited_for():
    async def go():
        loop = asyncio.get_running_loop()
        lane = Lane("s", 1, Patience())
        began = loop.time()
        await lane.ask(outcome([TransientError("429", 0.2, True), Answer("x")]), CALL)
        return loop.time() - began

    assert asyncio.run(go()) >= 0.2


def test_who_comes_while_a_lane_is_held_goes_out_later_though_nobody_is_in_flight():
    async def go():
        loop = asyncio.get_running_loop()
        lane = Lane("s", 4, Patience(0))
        await lane.ask(outcome([TransientError("429", 0.1, True)]), CALL)
        began = loop.time()
        answer = await asyncio.wait_for(lane.ask(outcome([Answer("x")]), CALL), 10)
        return answer, loop.time() - began

    answer, waited = asyncio.run(go())
    assert answer.text == "x" and waited > 0.05


def test_an_absurd_retry_after_is_cut():
    assert TransientError("429", 10**9).wait == 300 and TransientError("429", -3).wait == 0
