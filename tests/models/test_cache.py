"""The call cache: what it keeps, what its keys tell apart, and what it survives."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure
from charter.models.cache import CallCache, call_key, default_cache_path
from charter.models.call import Answer, Call

CALL = Call("respond", "p1", 0, 42, ({"role": "user", "content": "Why?"},))
IDENTITY = {"llm": "openai", "model": "m", "temperature": 0.7}


@pytest.fixture
def cache(tmp_path):
    cache = CallCache(tmp_path / "deep" / "calls.sqlite")
    yield cache
    cache.close()


def test_what_is_put_is_got(cache):
    answers = {
        "a": Answer("text", {}, "stop", 3, 4),
        "b": Answer("", {"A": -0.5, "B": float("-inf")}, "length"),
        "c": Answer("ünï \u2028 \x00 日本"),
    }
    cache.put(answers.items())
    assert cache.get(["a", "b", "c", "missing"]) == answers
    assert cache.get([]) == {}


@settings(deadline=None, max_examples=30)
@given(st.text(), st.floats(allow_nan=False), st.integers(0, 10**9))
def test_any_answer_comes_back_whole(tmp_path_factory, text, number, tokens):
    cache = CallCache(tmp_path_factory.mktemp("c") / "c.sqlite")
    answer = Answer(text, {"A": number}, "stop", tokens, tokens)
    cache.put([("k", answer)])
    assert cache.get(["k"]) == {"k": answer}
    cache.close()


def test_failed_calls_are_never_kept(cache):
    cache.put([("a", Answer(error="down")), ("b", Answer(error="long", overflow=True))])
    cache.put([("c", Answer("")), ("d", Answer("x", error="half"))])
    assert cache.get(["a", "b", "c", "d"]) == {"c": Answer("")}


def test_the_first_answer_stays(cache):
    cache.put([("a", Answer("one")), ("a", Answer("two"))])
    cache.put([("a", Answer("three"))])
    assert cache.get(["a"]) == {"a": Answer("one")}


def test_many_keys_at_once(cache):
    keys = [f"k{i}" for i in range(2500)]
    cache.put((key, Answer(key)) for key in keys)
    found = cache.get([*keys, "none", *keys[:10]])
    assert found == {key: Answer(key) for key in keys}


def test_all_or_none_of_a_batch_is_kept(cache):
    with pytest.raises(TypeError):
        cache.put([("good", Answer("x")), ("bad", Answer("x", {"A": object()}))])
    with pytest.raises(Failure):
        cache.put([("good", Answer("x")), (["no key"], Answer("x"))])
    assert cache.get(["good"]) == {}
    cache.put([("good", Answer("y"))])
    assert cache.get(["good"]) == {"good": Answer("y")}


def test_a_second_opening_sees_what_the_first_has_kept(tmp_path):
    path = tmp_path / "c.sqlite"
    one, two = CallCache(path), CallCache(path)
    one.put([("a", Answer("x"))])
    assert two.get(["a"]) == {"a": Answer("x")}
    two.put([("b", Answer("y"))])
    assert set(one.get(["a", "b"])) == {"a", "b"}
    one.close()
    two.close()
    with sqlite3.connect(path) as db:
        (text,) = db.execute("SELECT answer FROM calls WHERE key = 'a'").fetchone()
    db.close()
    assert '"text": "x"' in text  # readable with the sqlite3 tool


WRITER = """
import sys
from pathlib import Path
from charter.models.cache import CallCache
from charter.models.call import Answer
cache = CallCache(Path(sys.argv[1]))
for i in range(40):
    cache.put([(f"{sys.argv[2]}-{i}-{k}", Answer("x" * 100)) for k in range(5)])
    cache.put([("shared", Answer(sys.argv[2]))])
assert len(cache.get([f"{sys.argv[2]}-{i}-0" for i in range(40)])) == 40
"""


def test_several_processes_write_at_once(tmp_path):
    path = tmp_path / "c.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, str(i)], stderr=subprocess.PIPE)
        for i in range(4)
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said.decode()
    cache = CallCache(path)
    keys = [f"{i}-{j}-{k}" for i in range(4) for j in range(40) for k in range(5)]
    assert len(cache.get(keys)) == len(keys)
    assert cache.get(["shared"])["shared"].text in "0123"
    cache.close()


def test_a_process_that_is_killed_while_it_writes_leaves_a_cache_that_opens(tmp_path):
    path = tmp_path / "c.sqlite"
    code = WRITER.replace("range(40)", "range(10**9)").replace("assert", "print('x')\nassert")
    writer = subprocess.Popen([sys.executable, "-c", code, path, "w"])
    try:
        while not (path.exists() and path.stat().st_size) and writer.poll() is None:
            pass
    finally:
        writer.kill()
        writer.wait()
    cache = CallCache(path)
    cache.put([("a", Answer("x"))])
    found = cache.get([f"w-{i}-{k}" for i in range(50) for k in range(5)])
    assert len(found) % 5 == 0  # whole batches
    assert cache.get(["a"]) == {"a": Answer("x")}
    cache.close()


def test_a_newer_cache_is_refused(tmp_path):
    path = tmp_path / "c.sqlite"
    CallCache(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=2")
    db.close()
    with pytest.raises(Failure, match="upgrade charter"):
        CallCache(path)


def test_what_cannot_be_a_cache_is_a_failure_with_a_way_out(tmp_path):
    (tmp_path / "text").write_text("no database at all, but long enough to be looked at" * 99)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "text", tmp_path / "folder", tmp_path / "text" / "c.sqlite"):
        with pytest.raises(Failure) as caught:
            CallCache(path)
        (fault,) = caught.value.faults
        assert fault.place == str(path) and fault.fix
    assert (tmp_path / "text").read_text().startswith("no database")


def test_a_damaged_cache_is_a_failure_not_a_traceback(tmp_path):
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    cache.put([(f"k{i:04}", Answer("x" * 500)) for i in range(200)])
    cache.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(Failure):
        CallCache(path).get([f"k{i:04}" for i in range(200)])


@pytest.mark.parametrize("text", ["no json", "[]", '{"txt": "x"}', "null"])
def test_an_entry_that_is_no_answer_is_a_failure(tmp_path, text):
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO calls VALUES ('k', ?)", (text,))
    db.close()
    with pytest.raises(Failure):
        cache.get(["k"])
    cache.close()


def test_keys_tell_apart_what_changes_an_answer():
    other = {"role": "user", "content": "Why? "}
    calls = [
        CALL,
        Call("respond", "p1", 1, 42, CALL.messages),
        Call("respond", "p1", 0, 43, CALL.messages),
        Call("respond", "p1", 0, 42, (other,)),
        Call("respond", "p1", 0, 42, ({"role": "system", "content": "Why?"},)),
        Call("respond", "p1", 0, 42, (*CALL.messages, *CALL.messages)),
        Call("respond", "p1", 0, 42, CALL.messages, ("A", "B")),
        Call("respond", "p1", 0, 42, CALL.messages, ("B", "A")),
    ]
    keys = [call_key(IDENTITY, call) for call in calls]
    keys += [call_key({**IDENTITY, key: "x"}, CALL) for key in (*IDENTITY, "new")]
    assert len(set(keys)) == len(keys)


def test_keys_do_not_know_step_prompt_or_the_order_of_an_identity():
    key = call_key(IDENTITY, CALL)
    assert key == call_key(dict(reversed(IDENTITY.items())), CALL)
    assert key == call_key(IDENTITY, Call("other", "p2", 0, 42, CALL.messages))
    named = tuple({**m, "name": "x"} for m in CALL.messages)
    assert key == call_key(IDENTITY, Call("respond", "p1", 0, 42, named))
    # Written down: another scheme would pay for every call again.
    assert key == "391b730896e95bae68c2c15ec340a6ef5a5da25a7ec8b757a678ff3be224e63a"


def test_the_cache_moves_with_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "x"))
    assert default_cache_path() == tmp_path / "x" / "calls.sqlite"
