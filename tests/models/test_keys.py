"""The keys of the cache: what tells two calls apart, and what does not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from charter.models.call import Call
from charter.models.keys import Keys

CALL = Call("respond", "p1", 0, 42, ({"role": "user", "content": "Why?"},))
IDENTITY = {"llm": "openai", "model": "m", "temperature": 0.7, "stop": ["a", "b"]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}

OTHERS = [
    replace(CALL, index=1),
    replace(CALL, seed=43),
    replace(CALL, seed=2**63 - 1),
    replace(CALL, messages=({"role": "user", "content": "Why? "},)),
    replace(CALL, messages=({"role": "system", "content": "Why?"},)),
    replace(CALL, messages=(*CALL.messages, *CALL.messages)),
    replace(CALL, messages=({"role": "user", "content": "Wh\x00y?"},)),
    replace(CALL, messages=()),
    replace(CALL, labels=("A", "B")),
    replace(CALL, labels=("B", "A")),
    replace(CALL, labels=("AB",)),
    replace(CALL, schema=SCHEMA),
    replace(CALL, schema={"type": "object", "properties": {"b": {"type": "string"}}}),
    replace(CALL, schema={}),
]


def test_keys_tell_apart_what_changes_an_answer():
    keys = [Keys(IDENTITY).key(call) for call in (CALL, *OTHERS)]
    keys += [Keys({**IDENTITY, key: "x"}).key(CALL) for key in (*IDENTITY, "new")]
    keys += [Keys({**IDENTITY, "stop": ["b", "a"]}).key(CALL), Keys({}).key(CALL)]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32} and {type(key) for key in keys} == {bytes}


def test_step_and_prompt_id_are_in_no_key():
    assert Keys(IDENTITY).key(replace(CALL, step="other", prompt_id="p2")) == Keys(IDENTITY).key(
        CALL
    )


def test_the_order_of_names_is_in_no_key():
    key = Keys(IDENTITY).key(CALL)
    assert key == Keys(dict(reversed(IDENTITY.items()))).key(CALL)
    turned = tuple(dict(reversed(m.items())) for m in CALL.messages)
    assert key == Keys(IDENTITY).key(replace(CALL, messages=turned))
    named = tuple({**m, "name": "x"} for m in CALL.messages)
    assert key == Keys(IDENTITY).key(replace(CALL, messages=named))
    one = replace(CALL, schema={"a": {"x": 1, "y": 2}, "b": 3})
    two = replace(CALL, schema={"b": 3, "a": {"y": 2, "x": 1}})
    assert Keys(IDENTITY).key(one) == Keys(IDENTITY).key(two)


def test_one_maker_makes_many_keys_alike():
    make = Keys(IDENTITY)
    assert [make.key(call) for call in OTHERS] == [Keys(IDENTITY).key(call) for call in OTHERS]
    assert make.key(CALL) == make.key(CALL)


def test_keys_are_written_down():
    # Another scheme would pay for every call again.
    expected = "2391944a98c1ee99be6760f7ca1e2a2f28035e99995129ed02091d377faf8afa"
    assert Keys(IDENTITY).key(CALL).hex() == expected


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d", "\udcff"])
def test_half_a_surrogate_pair_has_a_key(text):
    said = replace(CALL, messages=({"role": "user", "content": text},))
    whole = replace(CALL, messages=({"role": "user", "content": text.replace(text, "?")},))
    escaped = replace(CALL, messages=({"role": "user", "content": ascii(text)[1:-1]},))
    keys = [Keys(IDENTITY).key(call) for call in (said, whole, escaped)]
    assert len(set(keys)) == 3
    assert keys[0] == Keys(IDENTITY).key(replace(said, step="x"))


def test_ten_thousand_calls_have_as_many_keys():
    draw = random.Random(7)
    calls = set()
    while len(calls) < 10_000:
        content = "".join(draw.choices("ab \"\\,[]{}:'\x00é日", k=draw.randint(0, 6)))
        role = draw.choice(["user", "assistant"])
        labels = tuple(draw.choices(["A", "B", ""], k=draw.randint(0, 2)))
        calls.add((role, content, labels, draw.randint(0, 3), draw.randint(0, 3)))
    make = Keys(IDENTITY)
    keys = {
        make.key(Call("s", "p", index, seed, ({"role": role, "content": content},), labels))
        for role, content, labels, index, seed in calls
    }
    assert len(keys) == len(calls)


def test_the_models_name_is_known():
    assert Keys(IDENTITY).model == "m"
    assert Keys({"llm": "local"}).model == "local" and Keys({}).model == ""
