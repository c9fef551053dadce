"""Prompt records: each becomes a prompt or a reject with its reason, whatever it holds."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prompt_lines import GOOD, bot, system, user

from charter.rows import messages_id


def rejected(read, tmp_path, line, **prompts):
    """The one reject of a file of a good line and this one."""
    (tmp_path / "p.jsonl").write_bytes(GOOD + line + b"\n")
    found = read("p.jsonl", **prompts)
    assert [p.id for p in found.prompts] == ["good"] and found.records == 2
    (reject,) = found.rejects
    assert reject.ledger == "input" and reject.stage == "read" and reject.pair_id is None
    assert reject.detail.startswith("p.jsonl:2: ")
    reject.detail.encode()
    return reject


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "caf\xe9"}', "NOT_UTF8"),
        (b"\xff\xfe{}", "NOT_UTF8"),
        (b'{"prompt": "\\ud800 half"}', "NOT_UTF8"),
        (b'{"prompt": [{"role": "user", "content": "\\udc00"}]}', "NOT_UTF8"),
        (b'{"prompt": "fine", "source": "\\ud800"}', "NOT_UTF8"),
        (b'{"prompt": "x"', "NOT_JSON"),
        (b"not json", "NOT_JSON"),
        (b'\xef\xbb\xbf{"prompt": "a second BOM"}', "NOT_JSON"),
        (b"[" * 100_000, "NOT_JSON"),
        (b'{"prompt": "x", "id": ' + b"9" * 5000 + b"}", "NOT_JSON"),
        (b"[1]", "NOT_JSON"),
        (b'"text"', "NOT_JSON"),
        (b"null", "NOT_JSON"),
        (b"{}", "NO_PROMPT"),
        (b'{"prompt": null}', "NO_PROMPT"),
        (b'{"Prompt": "x"}', "NO_PROMPT"),
        (b'{"prompt": ""}', "NO_TEXT"),
        (b'{"prompt": " \\n\\t\\u00a0 "}', "NO_TEXT"),
        (b'{"prompt": [{"role": "user", "content": " "}]}', "NO_TEXT"),
        (b'{"prompt": 3}', "BAD_MESSAGES"),
        (b'{"prompt": NaN}', "BAD_MESSAGES"),
        (b'{"prompt": {"role": "user", "content": "x"}}', "BAD_MESSAGES"),
        (b'{"prompt": []}', "BAD_MESSAGES"),
        (b'{"prompt": ["x"]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"content": "x"}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": "tool", "content": "x"}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": ["user"], "content": "x"}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": "User", "content": "x"}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": "user", "content": 3}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": "user", "content": [{"type": "text"}]}]}', "BAD_MESSAGES"),
        (b'{"id": true, "prompt": "x"}', "BAD_ID"),
        (b'{"id": 1.5, "prompt": "x"}', "BAD_ID"),
        (b'{"id": ["a"], "prompt": "x"}', "BAD_ID"),
        (b'{"id": "a\\nb", "prompt": "x"}', "BAD_ID"),
        (b'{"id": "\\ud800", "prompt": "x"}', "BAD_ID"),
        (b'{"id": "' + b"x" * 201 + b'", "prompt": "x"}', "BAD_ID"),
        (b'{"id": "good", "prompt": "other"}', "DUPLICATE_ID"),
        (b'{"prompt": "' + b"x" * 200_001 + b'"}', "TOO_LONG"),
    ],
    ids=lambda value: value[:60] if isinstance(value, bytes) else None,
)
def test_a_record_that_is_no_prompt_has_its_reason(read, tmp_path, line, reason):
    assert rejected(read, tmp_path, line).reason == reason


@pytest.mark.parametrize(
    ("messages", "good"),
    [
        ([user("a")], True),
        ([system("s"), user("a")], True),
        ([user("a"), bot("b"), user("c")], True),
        ([system("s"), user("a"), bot("b"), user("c")], True),
        ([system("s")], False),
        ([bot("b")], False),
        ([user("a"), bot("b")], False),
        ([user("a"), user("b")], False),
        ([bot("b"), user("a")], False),
        ([user("a"), system("s"), user("b")], False),
        ([system("s"), system("t"), user("a")], False),
        ([user("a"), bot("b"), bot("c"), user("d")], False),
    ],
    ids=lambda v: "".join(m["role"][0] for m in v) if isinstance(v, list) else None,
)
def test_turns(read, tmp_path, messages, good):
    line = json.dumps({"id": "t", "prompt": messages}).encode()
    if good:
        (tmp_path / "p.jsonl").write_bytes(line)
        assert list(read("p.jsonl").prompts[0].messages) == messages
    else:
        reject = rejected(read, tmp_path, line)
        assert reject.reason == "BAD_MESSAGES" and (
            "turns" in reject.detail or "last" in reject.detail
        )


def test_messages_lose_what_is_no_part_of_a_message(read, tmp_path):
    extra = {**user("a"), "name": "x", "weight": 1}
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": [extra], "other": 3}))
    (prompt,) = read("p.jsonl").prompts
    assert prompt.messages == (user("a"),)


def test_ids(read, tmp_path):
    lines = [
        {"id": 7, "prompt": "seven"},
        {"id": "", "prompt": "hash me"},
        {"id": None, "prompt": "hash me too"},
        {"prompt": "and me"},
        {"id": "ünï ~#", "prompt": "odd but printable"},
        {"id": 0, "prompt": "zero"},
        {"id": "7", "prompt": "the same id as the number"},
        {"prompt": "and me"},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    found = read("p.jsonl")
    assert [p.id for p in found.prompts] == [
        "7",
        messages_id([user("hash me")]),
        messages_id([user("hash me too")]),
        messages_id([user("and me")]),
        "ünï ~#",
        "0",
    ]
    assert [(r.reason, r.prompt_id) for r in found.rejects] == [
        ("DUPLICATE_ID", "7"),
        ("DUPLICATE_ID", messages_id([user("and me")])),
    ]
    assert "p.jsonl:1" in found.rejects[0].detail and "p.jsonl:7" in found.rejects[0].detail


def test_whole_numbers_that_pandas_keeps_as_floats_are_ids(read, tmp_path):
    lines = ['{"id": 3.0, "prompt": "a"}', '{"id": 3, "prompt": "b"}', '{"id": 2.5, "prompt": "c"}']
    lines += ['{"id": NaN, "prompt": "d"}', '{"id": 1e400, "prompt": "e"}']
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    found = read("p.jsonl")
    assert [p.id for p in found.prompts] == ["3"]
    assert [r.reason for r in found.rejects] == ["DUPLICATE_ID", *["BAD_ID"] * 3]


def test_ids_are_one_over_all_files_and_sources_are_the_files(read, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "prompt": "x"}\n')
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as stream:
        stream.write('{"id": 1, "prompt": "y"}\n{"id": 2, "prompt": "z", "source": "web"}\n')
    (tmp_path / "c.csv").write_text("id,prompt\n3,w\n")
    found = read("*.[jc]*")
    assert [(p.id, p.source) for p in found.prompts] == [
        ("1", "a.jsonl"),
        ("2", "web"),
        ("3", "c.csv"),
    ]
    assert [r.reason for r in found.rejects] == ["DUPLICATE_ID"]
    assert "b.jsonl.gz:1" in found.rejects[0].detail and "a.jsonl:1" in found.rejects[0].detail


def test_a_long_prompt_is_counted_over_all_messages(read, tmp_path):
    big = "x" * 1_000_000
    (tmp_path / "p.jsonl").write_text(
        "\n".join(
            json.dumps({"id": name, "prompt": prompt})
            for name, prompt in {
                "big": big,
                "ten": [user("12345"), bot("1"), user("1234")],
                "eleven": [user("12345"), bot("12"), user("1234")],
                "accents": "é" * 10,
            }.items()
        )
    )
    found = read("p.jsonl", max_chars=10)
    assert [p.id for p in found.prompts] == ["ten", "accents"]
    assert [(r.reason, r.prompt_id) for r in found.rejects] == [
        ("TOO_LONG", "big"),
        ("TOO_LONG", "eleven"),
    ]
    assert "1000000 characters" in found.rejects[0].detail
    assert len(read("p.jsonl", max_chars=1_000_000).prompts) == 4


def test_limit_takes_prompts_and_counts_the_rejects_on_the_way(read, tmp_path):
    lines = [json.dumps({"id": i, "prompt": "x" if i % 3 else ""}) for i in range(30)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    found = read("p.jsonl", limit=4)
    assert [p.id for p in found.prompts] == ["1", "2", "4", "5"]
    assert len(found.rejects) == 2 and found.records == 6
    assert len(read("p.jsonl", limit=1000).prompts) == 20


def test_a_seed_draws_an_order_and_a_limit_a_prefix_of_it(read, tmp_path):
    lines = [json.dumps({"id": i, "prompt": f"q{i}"}) for i in range(50)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    drawn = [p.id for p in read("p.jsonl", seed=1).prompts]
    assert drawn != [str(i) for i in range(50)] and sorted(drawn, key=int) == [
        str(i) for i in range(50)
    ]
    assert [p.id for p in read("p.jsonl", seed=1, limit=10).prompts] == drawn[:10]
    assert [p.id for p in read("p.jsonl", seed=2).prompts] != drawn
    # Records that come later leave the drawn order of the others as it is.
    (tmp_path / "p.jsonl").write_text("\n".join([*lines, '{"id": "new", "prompt": "x"}']))
    assert [p.id for p in read("p.jsonl", seed=1).prompts if p.id != "new"] == drawn


def test_the_fingerprint_is_of_ids_messages_sources_and_order(read, tmp_path):
    def print_of(*lines, **prompts):
        (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
        return read("p.jsonl", **prompts).fingerprint()

    one, two = {"id": "a", "prompt": "x"}, {"id": "b", "prompt": "y"}
    base = print_of(one, two)
    assert base == print_of(one, {**two, "extra": 1}, {"prompt": ""})
    assert base == print_of({**one, "prompt": [user("x")]}, two)
    different = [
        print_of(two, one),
        print_of(one),
        print_of({**one, "id": "c"}, two),
        print_of({**one, "prompt": "z"}, two),
        print_of({**one, "source": "web"}, two),
        print_of({**one, "prompt": [system("s"), user("x")]}, two),
    ]
    assert len({base, *different}) == 7


TEXT = st.text(max_size=6)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "x"]), "content": TEXT | ANY}
)
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(0, 3) | TEXT | ANY,
        "prompt": TEXT | st.lists(MESSAGE, max_size=4) | ANY,
    },
)
LINE = (
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b""))
    | RECORD.map(lambda record: json.dumps(record).encode())
    | ANY.map(lambda value: json.dumps(value).encode())
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE, max_size=12))
def test_every_line_is_a_prompt_or_a_reject(read, tmp_path, lines):
    data = b"\n".join(lines)
    (tmp_path / "p.jsonl").write_bytes(GOOD + data)
    found = read("p.jsonl")
    bodies = [line for line in data.split(b"\n") if line.strip()]
    assert len(found.prompts) + len(found.rejects) == 1 + len(bodies)
    ids = [prompt.id for prompt in found.prompts]
    assert len(set(ids)) == len(ids)
    for prompt in found.prompts:
        assert prompt.messages[-1]["role"] == "user" and prompt.id
        assert all(message["content"].strip() for message in prompt.messages)
    found.fingerprint()
    assert all(reject.detail for reject in found.rejects)


def test_a_reject_names_the_prompt_where_its_record_does(read, tmp_path):
    lines = '{"id": "a"}\n{"id": 7, "prompt": " "}\n{"prompt": ""}\n{"prompt": "x"}\n'
    (tmp_path / "p.jsonl").write_text(lines)
    assert [reject.prompt_id for reject in read("p.jsonl").rejects] == ["a", "7", None]
