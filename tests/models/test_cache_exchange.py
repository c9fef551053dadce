"""Caches carried elsewhere: exported, imported, merged."""

from __future__ import annotations

import gzip
import json
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from caches import change, filled, held_by, key, silent, some
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure, InputError
from charter.models.cache import CallCache, Entry
from charter.models.cache_exchange import export_cache, import_into
from charter.models.call import Answer


class Told(list):
    def __call__(self, fault):
        self.append(str(fault))


ANSWERS = st.builds(
    Answer,
    text=st.text() | st.text(min_size=1).map(lambda text: text * 5000),
    label_logprobs=st.dictionaries(
        st.text(), st.floats(allow_nan=False, max_value=1e300) | st.just(float("-inf")), max_size=3
    ),
    finish_reason=st.text(max_size=5),
    prompt_tokens=st.integers(0, 2**63 - 1),
    completion_tokens=st.integers(0, 2**63 - 1),
    seconds=st.floats(0, 1e9),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(ANSWERS, max_size=5), st.sampled_from([".jsonl", ".jsonl.gz"]))
def test_what_is_exported_and_imported_is_the_same(tmp_path_factory, answers, end):
    folder = tmp_path_factory.mktemp("c")
    given_ = {key(i): answer for i, answer in enumerate(answers)}
    source = filled(folder / "a.sqlite", given_)
    target = str(folder / f"out{end}")
    told = Told()
    written = export_cache(source, target, None, told, silent)
    merged = import_into(folder / "b.sqlite", [target], told, silent)
    assert not told and (merged.new, merged.known, merged.bad) == (written, 0, 0)
    one, two = held_by(source, given_), held_by(folder / "b.sqlite", given_)
    assert one == two
    assert all(one[k].seconds == two[k].seconds for k in one)
    again = folder / "again.jsonl"
    export_cache(folder / "b.sqlite", str(again), None, told, silent)
    opened = gzip.open if end.endswith("gz") else open
    with opened(target, "rb") as first:
        assert first.read() == again.read_bytes()


def test_an_export_is_json_lines_with_a_header(tmp_path):
    path = filled(tmp_path / "c.sqlite", some(4), "a")
    filled(path, some(2, 100), "b")
    target = tmp_path / "deep" / "out.jsonl"
    assert export_cache(path, str(target), "b", silent, silent) == 2

    def no_constant(name):
        raise AssertionError(name)

    lines = [
        json.loads(line, parse_constant=no_constant)
        for line in target.read_text(encoding="utf-8").split("\n")[:-1]
    ]
    assert lines[0] == {"charter_cache": 2, "model": "b"}
    assert lines[1]["key"] == key(100).hex() and lines[1]["logprobs"] is None
    assert list(lines[1]) == [
        *("key", "model", "text", "finish", "logprobs"),
        *("prompt_tokens", "completion_tokens", "seconds", "made", "checksum"),
    ]
    export_cache(path, str(target), "a", silent, silent)
    lines = [json.loads(line) for line in target.read_text(encoding="utf-8").split("\n")[:-1]]
    assert lines[1]["logprobs"] == {"A": 0.0, "B": "-Infinity"}
    assert [p.name for p in target.parent.iterdir()] == ["out.jsonl"]


def test_an_export_that_fails_leaves_the_old_one(tmp_path):
    path = filled(tmp_path / "c.sqlite", some())
    target = tmp_path / "out.jsonl"
    target.write_text("old")

    def stop(_):
        raise KeyboardInterrupt

    change(path, "UPDATE calls SET text = 'x' WHERE id = 7")
    with pytest.raises(KeyboardInterrupt):
        export_cache(path, str(target), None, stop, silent)
    assert target.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir() if "part" in p.name) == []
    told = Told()
    assert export_cache(path, str(target), None, told, silent) == 39
    assert len(told) == 1 and "calls.id 7" in told[0]
    with pytest.raises(InputError, match="jsonl"):
        export_cache(path, str(path), None, silent, silent)
    with pytest.raises(Failure, match="cannot be written"):
        export_cache(path, f"{target}/x.jsonl", None, silent, silent)


HEAD = '{"charter_cache": 2, "model": null}'
GOOD = {
    "key": key("good").hex(),
    "model": "m",
    "text": "fine",
    "finish": "stop",
    "logprobs": None,
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "seconds": 0.5,
    "made": 1.7e9,
}
BAD = [
    "no json",
    "[]",
    "null",
    '{"key": "' + "[" * 100_000,
    "[" * 100_000,
    json.dumps({**GOOD, "key": "ab"}),
    json.dumps({**GOOD, "key": "g" * 64}),
    json.dumps({**GOOD, "key": key("x").hex().upper()[:-1] + "\n"}),
    json.dumps({**GOOD, "key": None}),
    json.dumps({**GOOD, "text": None}),
    json.dumps({**GOOD, "text": ""}),
    json.dumps({**GOOD, "text": "\ud800"}),
    json.dumps({**GOOD, "model": 3}),
    json.dumps({**GOOD, "finish": None}),
    json.dumps({**GOOD, "prompt_tokens": -1}),
    json.dumps({**GOOD, "prompt_tokens": 1.0}),
    json.dumps({**GOOD, "prompt_tokens": True}),
    json.dumps({**GOOD, "completion_tokens": 2**63}),
    json.dumps({**GOOD, "seconds": float("nan")}),
    json.dumps({**GOOD, "seconds": float("inf")}),
    json.dumps({**GOOD, "made": "now"}),
    json.dumps({**GOOD, "made": 10**400}),
    json.dumps({**GOOD, "logprobs": [1]}),
    json.dumps({**GOOD, "logprobs": {"A": None}}),
    json.dumps({**GOOD, "logprobs": {"A": "1"}}),
    json.dumps({**GOOD, "logprobs": {"A": True}}),
    json.dumps({**GOOD, "logprobs": {"A": float("inf")}}),
    json.dumps({**GOOD, "logprobs": {"A": float("nan")}}),
    json.dumps({**GOOD, "logprobs": {"A": 10**400}}),
    json.dumps({**GOOD, "other": 1}),
    json.dumps({k: v for k, v in GOOD.items() if k != "made"}),
    '{"charter_cache": 3}',
    "\udcff",
]


def test_bad_lines_are_named_and_the_good_ones_are_in(tmp_path):
    source = tmp_path / "in.jsonl"
    other = {**GOOD, "key": key("minus").hex(), "logprobs": {"A": float("-inf"), "B": -1}}
    lines = [HEAD, *BAD, json.dumps(GOOD), "", HEAD, json.dumps(other), json.dumps(GOOD)[:50]]
    source.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    told = Told()
    merged = import_into(tmp_path / "c.sqlite", [str(source)], told, silent)
    assert (merged.new, merged.known, merged.bad) == (2, 0, len(BAD) + 1)
    numbers = [*range(2, len(BAD) + 2), len(lines)]
    assert [fault.split(": ")[0] for fault in told] == [f"{source}:{n}" for n in numbers]
    found = held_by(tmp_path / "c.sqlite", [key("good"), key("minus")])
    assert found[key("good")] == Answer("fine", {}, "stop", 1, 2)
    assert found[key("minus")].label_logprobs == {"A": float("-inf"), "B": -1.0}


def test_an_import_is_idempotent_and_what_is_known_stays(tmp_path):
    source = filled(tmp_path / "a.sqlite", {key("a"): Answer("theirs"), key("b"): Answer("new")})
    path = filled(tmp_path / "c.sqlite", {key("a"): Answer("mine")})
    out = tmp_path / "out.jsonl.gz"
    export_cache(source, str(out), None, silent, silent)
    merged = import_into(path, [str(out), str(source)], silent, silent)
    assert (merged.new, merged.known, merged.bad) == (1, 3, 0)
    assert held_by(path, [key("a"), key("b")]) == {
        key("a"): Answer("mine"),
        key("b"): Answer("new"),
    }
    merged = import_into(path, [str(source), str(path)], silent, silent)
    assert (merged.new, merged.known) == (0, 4)


def test_damaged_entries_of_a_cache_are_not_taken(tmp_path):
    source = filled(tmp_path / "a.sqlite", some())
    change(source, "UPDATE calls SET text = 'x' WHERE id = 7")
    told = Told()
    merged = import_into(tmp_path / "c.sqlite", [str(source)], told, silent)
    assert (merged.new, merged.bad) == (39, 1)
    assert "calls.id 7" in told[0]


def test_a_file_cut_off_gives_what_came_before(tmp_path):
    source = filled(tmp_path / "a.sqlite", some(500))
    out = tmp_path / "out.jsonl.gz"
    export_cache(source, str(out), None, silent, silent)
    out.write_bytes(out.read_bytes()[: out.stat().st_size * 2 // 3])
    told = Told()
    merged = import_into(tmp_path / "c.sqlite", [str(out)], told, silent)
    assert 0 < merged.new < 500 and merged.bad == 1 and "cut off" in told[0]
    data = bytearray(source.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    source.write_bytes(data)
    told = Told()
    merged = import_into(tmp_path / "d.sqlite", [str(source)], told, silent)
    assert 0 < merged.new < 500 and merged.bad and "the rest cannot be read" in told[-1]


def test_a_line_that_was_changed_is_not_taken(tmp_path):
    answers = {key(i): Answer(f"answer {i}", {"A": -0.5}, "stop", 1, 2) for i in range(9)}
    path = filled(tmp_path / "a.sqlite", answers)
    out = tmp_path / "out.jsonl"
    export_cache(path, str(out), None, silent, silent)
    whole = out.read_bytes().split(b"\n")
    changes = [(b"answer", b"answes"), (key(2).hex().encode(), key(77).hex().encode())]
    changes += [
        (b"-0.5", b"-0.7"),
        (b'"model":"', b'"model":"x'),
        (b'"checksum":', b'"checksum":1'),
    ]
    lines = list(whole)
    for number, (old, new) in enumerate(changes, 2):
        assert old in lines[number]
        lines[number] = lines[number].replace(old, new)
    out.write_bytes(b"\n".join(lines))
    told = Told()
    merged = import_into(tmp_path / "b.sqlite", [str(out)], told, silent)
    assert (merged.new, merged.bad) == (9 - len(changes), len(changes))
    assert all("checksum" in fault for fault in told)
    kept = [k for i, k in enumerate(answers) if not 1 <= i <= len(changes)]
    assert held_by(tmp_path / "b.sqlite", [*answers, key(77)]) == {k: answers[k] for k in kept}
    # Of a version that wrote none.
    bare = [json.loads(line) for line in whole if line]
    out.write_text(
        "\n".join(json.dumps({k: v for k, v in one.items() if k != "checksum"}) for one in bare)
    )
    assert import_into(tmp_path / "c.sqlite", [str(out)], silent, silent).new == 9


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"{}\n", "charter_cache"),
        (b"text\n", "charter_cache"),
        (b'{"charter_cache": true}\n', "charter_cache"),
        (b'{"charter_cache": 3}\n', "upgrade charter"),
        (b'{"charter_cache": 1}\n', "no longer made"),
        (gzip.compress(b"text\n", mtime=0), "charter_cache"),
    ],
)
def test_what_is_no_export_is_wrong_input(tmp_path, data, said):
    source = tmp_path / "in.jsonl"
    source.write_bytes(data)
    with pytest.raises(InputError, match=said):
        import_into(tmp_path / "c.sqlite", [str(source)], silent, silent)
    with pytest.raises(InputError, match="no such file"):
        import_into(tmp_path / "c.sqlite", [str(tmp_path / "none")], silent, silent)


@pytest.mark.parametrize("name", ["calls", "failures"])
def test_a_view_of_rows_without_end_is_no_cache(tmp_path, name):
    path = tmp_path / "made.db"
    CallCache(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"DROP TABLE {name}")
        db.execute(
            f"CREATE VIEW {name} AS WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id + 1 "
            "FROM c) SELECT id, zeroblob(32) AS key FROM c"
        )
    with pytest.raises(Failure, match="no call cache"):
        import_into(tmp_path / "own.db", [str(path)], Told(), silent)


def test_others_write_while_an_import_goes_on(tmp_path):
    source = filled(tmp_path / "a.sqlite", some(6000))
    path = tmp_path / "c.sqlite"
    CallCache(path).close()
    waits = []
    done = threading.Event()

    def write():
        cache = CallCache(path)
        while not done.is_set():
            started = time.perf_counter()
            cache.put([Entry(key(f"w{len(waits)}"), "w", Answer("x"))])
            waits.append(time.perf_counter() - started)
            time.sleep(0.005)
        cache.close()

    writer = threading.Thread(target=write)
    writer.start()
    merged = import_into(path, [str(source)], silent, silent)
    done.set()
    writer.join()
    assert merged.new == 6000 and waits
    assert len(held_by(path, [key(f"w{i}") for i in range(len(waits))])) == len(waits)
