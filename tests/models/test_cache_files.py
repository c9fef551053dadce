"""Cache files: read, counted, pruned, exported, imported and repaired."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure, InputError
from charter.models import cache_files, cache_prune
from charter.models.cache import CallCache, Entry
from charter.models.cache_exchange import export_cache, import_into
from charter.models.cache_files import count_damaged, read_cache, stats
from charter.models.cache_prune import Which, age, prune
from charter.models.cache_repair import repair
from charter.models.call import Answer


def silent(*_):
    pass


def key(name) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def filled(path, answers, model="m"):
    cache = CallCache(path)
    cache.put(Entry(k, model, answer) for k, answer in answers.items())
    cache.close()
    return path


def some(count=40, start=0):
    made = {}
    for i in range(start, start + count):
        text = ["short", "ü" * 300, "x" * 3900, "packed \x00" * 900][i % 4] + str(i)
        labels = {"A": -0.25 * i, "B": float("-inf")} if i % 3 == 0 else {}
        made[key(i)] = Answer(text, labels, "stop", i, i * 2, seconds=i / 7)
    return made


def held_by(path, keys):
    cache = CallCache(path)
    found = cache.get(list(keys))
    cache.close()
    return found


def change(path, sql, *values):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql, values)


# Read and count


def test_reading_makes_and_changes_nothing(tmp_path):
    with pytest.raises(InputError, match="no such"), read_cache(tmp_path / "c.sqlite"):
        pass
    with pytest.raises(InputError, match="folder"), read_cache(tmp_path):
        pass
    assert not list(tmp_path.glob("c.*"))
    path = filled(tmp_path / "c.sqlite", some())
    before = path.read_bytes()
    with read_cache(path) as db:
        assert stats(path, db).entries == 40
        with pytest.raises(sqlite3.OperationalError):
            db.execute("DELETE FROM calls")
    assert path.read_bytes() == before


def test_a_cache_where_nothing_can_be_written_is_read(tmp_path, monkeypatch):
    """SQLite refuses a file beside which it can make no log; refused here by hand, for root."""
    path = filled(tmp_path / "ü c?.sqlite", some())
    real = sqlite3.connect

    def connect(where, **options):
        if "mode=ro" in where:
            where = where.replace("c%3F.sqlite", "none.sqlite")
        return real(where, **options)

    monkeypatch.setattr(cache_files.sqlite3, "connect", connect)
    with read_cache(path) as db:
        assert count_damaged(db, silent) == 0 and cache_files.count(db) == 40
    # What stands in a log alone must not be passed over.
    path.with_name(f"{path.name}-wal").write_bytes(b"x")
    with pytest.raises(Failure, match="unable to open"), read_cache(path):
        pass


def test_stats_by_model(tmp_path):
    path = filled(tmp_path / "c.sqlite", some(10), "a")
    filled(path, some(5, 100), "b")
    filled(path, {key("bad"): Answer(error="down")})
    with read_cache(path) as db:
        found = stats(path, db)
    assert (found.entries, found.failures) == (15, 1)
    assert found.bytes >= path.stat().st_size
    a = found.models["a"]
    assert (a.answers, a.prompt_tokens, a.completion_tokens) == (10, 45, 90)
    assert a.seconds == pytest.approx(45 / 7) and abs(a.last - time.time()) < 60
    assert a.first <= a.last <= found.models["b"].first


def test_every_damaged_entry_is_counted(tmp_path):
    path = filled(tmp_path / "c.sqlite", some())
    for sql in (
        "text = 'x' WHERE id = 1",
        "text = CAST(x'ff' AS TEXT) WHERE id = 2",
        "model = CAST(x'ff' AS TEXT) WHERE id = 3",
        "made = 9e999 WHERE id = 4",
        "key = x'00' WHERE id = 5",
        "seconds = 'x' WHERE id = 6",
    ):
        change(path, f"UPDATE calls SET {sql}")
    with read_cache(path) as db:
        assert count_damaged(db, silent) == 6
        stats(path, db)


# Prune


def aged(tmp_path):
    """Ten entries of each of two models, made at 0, 1, 2, ... days ago."""
    path = filled(tmp_path / "c.sqlite", some(10), "a")
    filled(path, some(10, 100), "b")
    filled(path, {key("bad"): Answer(error="down")}, "a")
    for i in range(10):
        for k in (key(i), key(100 + i)):
            change(path, "UPDATE calls SET made = ? WHERE key = ?", time.time() - i * 86400 - 60, k)
    return path


def run_folder(folder, keys, tail=b""):
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{}")
    (folder / "calls.keys").write_bytes(b"".join(keys) + tail)


def test_criteria_combine_by_and(tmp_path):
    path = aged(tmp_path)
    which = Which(before=age("5d"), model="a")
    would = prune(path, which, True, silent)
    assert (would.pruned, would.kept) == (5, 15)
    assert len(held_by(path, [*some(10), *some(10, 100)])) == 20
    did = prune(path, which, False, silent)
    assert (did.pruned, did.kept, did.held) == (5, 15, False)
    assert set(held_by(path, some(10))) == {key(i) for i in range(5)}
    assert len(held_by(path, some(10, 100))) == 10
    assert prune(path, which, False, silent).pruned == 0


def test_what_runs_refer_to_is_kept(tmp_path):
    path = aged(tmp_path)
    runs = tmp_path / "out" / "runs"
    run_folder(runs / "one", [key(0), key(1), key(1), key("unknown")])
    run_folder(runs / "two", [key(105)], key(7)[:31])  # killed while it wrote
    (runs / "notes").mkdir()
    did = prune(path, Which(runs=(runs,)), False, silent)
    assert did.pruned == 16
    assert set(held_by(path, [*some(10), *some(10, 100)])) == {
        key(0),
        key(1),
        key(105),
        key(7),
    }
    assert prune(path, Which(runs=(runs / "one",)), True, silent).pruned == 2


def test_runs_of_which_nothing_is_known_are_a_fault(tmp_path):
    path = aged(tmp_path)
    runs = tmp_path / "runs"
    run_folder(runs / "one", [key(0)])
    run_folder(runs / "old", [])
    (runs / "old" / "calls.keys").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        prune(path, Which(runs=(runs, tmp_path / "none", tmp_path / "empty")), False, silent)
    assert [fault.place for fault in caught.value.faults] == [
        str(runs / "old"),
        str(tmp_path / "none"),
        str(tmp_path / "empty"),
    ]
    assert len(held_by(path, some(10))) == 10


def test_failures_are_pruned_by_themselves(tmp_path):
    path = aged(tmp_path)
    assert prune(path, Which(failures=True, model="b"), False, silent).pruned == 0
    assert prune(path, Which(failures=True, before=age("1d")), False, silent).pruned == 0
    assert prune(path, Which(failures=True), False, silent).pruned == 1
    assert len(held_by(path, some(10))) == 10


def test_space_is_given_back_unless_another_process_holds_the_file(tmp_path, monkeypatch):
    path = filled(tmp_path / "c.sqlite", some(2000))
    monkeypatch.setattr(cache_prune, "_VACUUM_WAIT", 0.05)
    monkeypatch.setattr(cache_prune, "_STEP", 300)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM calls").fetchone()
        did = prune(path, Which(before=time.time() + 5), False, silent)
        assert did.held and (did.pruned, did.kept) == (2000, 0)
    filled(path, some(3))
    did = prune(path, Which(model="m"), False, silent)
    assert not did.held and did.pruned == 3
    assert path.stat().st_size < 50_000


def test_ages():
    assert age("30d", 1e9) == 1e9 - 30 * 86400
    assert age("12h", 1e9) == 1e9 - 12 * 3600
    for text in ("", "d", "30", "-3d", "3 d", "3y", "²d", "1.5d"):
        with pytest.raises(ValueError):
            age(text)


# Export and import


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
        *("prompt_tokens", "completion_tokens", "seconds", "made"),
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


# Repair


def test_a_sound_cache_is_left_alone(tmp_path):
    path = filled(tmp_path / "c.sqlite", some())
    before = path.read_bytes()
    found = repair(path, silent)
    assert not found.repaired and found.saved == 40 and found.damaged is None
    assert path.read_bytes() == before
    with pytest.raises(InputError):
        repair(tmp_path / "none.sqlite", silent)


def test_what_can_be_read_is_saved(tmp_path):
    answers = some(400)
    path = filled(tmp_path / "c.sqlite", answers)
    filled(path, {key("bad"): Answer(error="down")})
    data = bytearray(path.read_bytes())
    for page in range(20, 30):
        data[page * 2048 : (page + 1) * 2048] = b"\xff" * 2048
    path.write_bytes(data)
    found = repair(path, silent)
    assert found.repaired and found.damaged == f"{path}.damaged-1"
    assert 300 < found.saved < 400 and found.saved + found.lost == 400 and found.failures == 1
    assert (tmp_path / "c.sqlite.damaged-1").read_bytes() == data
    held = held_by(path, answers)
    assert len(held) == found.saved and all(answers[k] == held[k] for k in held)
    assert not repair(path, silent).repaired
    cache = CallCache(path)
    cache.put(Entry(k, "m", answer) for k, answer in answers.items())
    assert cache.get(list(answers)) == answers
    cache.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not [p for p in tmp_path.iterdir() if "repaired" in p.name]


def test_any_flipped_byte_loses_little(tmp_path):
    answers = some(120)
    whole = filled(tmp_path / "whole.sqlite", answers).read_bytes()
    draw = random.Random(5)
    places = [draw.randrange(len(whole)) for _ in range(25)]
    places += [*range(16, 24), *range(28, 68, 4), 100, 103, 105, 108, 109, 2048, 4096]
    for place in places:
        data = bytearray(whole)
        data[place] ^= draw.randrange(1, 256)
        path = tmp_path / f"{place}.sqlite"
        path.write_bytes(data)
        found = repair(path, silent)
        held = held_by(path, answers)
        assert all(answers[k] == held[k] for k in held), place
        # No page holds more than some forty of these.
        assert len(held) == found.saved >= 80, place
        if not found.repaired:
            # A version number, a counter: or a byte that SQLite and we do not read.
            assert found.saved == 120, place


def test_a_first_page_that_is_gone_costs_nothing(tmp_path):
    answers = some(120)
    path = filled(tmp_path / "c.sqlite", answers)
    data = bytearray(path.read_bytes())
    data[:2048] = bytes(2048)
    path.write_bytes(data)
    found = repair(path, silent)
    assert (found.saved, found.lost) == (120, 0)
    assert held_by(path, answers) == answers


def killed_while_writing(path, count=200):
    """A file whose entries are all in its log."""
    code = (
        "import hashlib, os, sys\nfrom pathlib import Path\n"
        "from charter.models.cache import CallCache, Entry\n"
        "from charter.models.call import Answer\n"
        "cache = CallCache(Path(sys.argv[1]))\n"
        "for i in range(int(sys.argv[2])):\n"
        "    k = hashlib.sha256(str(i).encode()).digest()\n"
        "    cache.put([Entry(k, 'm', Answer(f'answer {i} ' * 40))])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(count)], check=False)
    return {key(i): Answer(f"answer {i} " * 40) for i in range(count)}


def test_what_stands_in_the_log_alone_is_saved(tmp_path):
    path = tmp_path / "c.sqlite"
    answers = killed_while_writing(path)
    log = tmp_path / "c.sqlite-wal"
    assert log.stat().st_size > 100_000
    data = bytearray(log.read_bytes())
    # One damaged frame near the start: SQLite passes over all that follows.
    data[32 + 30 * 4120 + 2000] ^= 0xFF
    log.write_bytes(data)
    damaged = tmp_path / "copy.sqlite"
    damaged.write_bytes(path.read_bytes())
    (tmp_path / "copy.sqlite-wal").write_bytes(data)
    assert len(held_by(damaged, answers)) < 50
    found = repair(path, silent)
    assert found.repaired and found.saved >= 190
    held = held_by(path, answers)
    assert len(held) == found.saved and all(answers[k] == held[k] for k in held)
    assert (tmp_path / "c.sqlite.damaged-1-wal").read_bytes() == data


def test_a_sound_log_is_no_damage(tmp_path):
    path = tmp_path / "c.sqlite"
    answers = killed_while_writing(path, 50)
    found = repair(path, silent)
    assert not found.repaired and found.saved == 50
    assert held_by(path, answers) == answers


def test_what_was_taken_out_does_not_come_back(tmp_path):
    answers = some(400)
    path = filled(tmp_path / "c.sqlite", answers)
    cache = CallCache(path)
    cache.forget(list(answers)[:300])
    cache.close()
    change(path, "UPDATE calls SET text = 'x' WHERE id = 400")
    found = repair(path, silent)
    assert (found.saved, found.lost) == (99, 1)


@pytest.mark.parametrize("data", [b"", b"text" * 5000, bytes(50_000), b"SQLite format 3\0" * 999])
def test_a_file_without_entries_is_left_where_it_is(tmp_path, data):
    path = tmp_path / "c.sqlite"
    path.write_bytes(data)
    with pytest.raises(Failure, match="move it away"):
        repair(path, silent)
    assert [p.name for p in tmp_path.glob("*") if p.name.startswith(("c.", ".c"))] == ["c.sqlite"]
    assert path.read_bytes() == data


def test_a_newer_cache_is_not_repaired(tmp_path):
    path = tmp_path / "c.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE calls (id, key, more); PRAGMA user_version=3")
    with pytest.raises(Failure, match="upgrade charter"):
        repair(path, silent)


def test_a_second_repair_keeps_both_damaged_files(tmp_path):
    path = filled(tmp_path / "c.sqlite", some())
    for number in (1, 2):
        change(path, "UPDATE calls SET text = 'x' WHERE id = (SELECT min(id) FROM calls)")
        found = repair(path, silent)
        assert found.damaged == f"{path}.damaged-{number}"
        assert (found.saved, found.lost) == (40 - number, 1)


def test_a_file_in_use_is_not_repaired(tmp_path):
    path = filled(tmp_path / "c.sqlite", some())
    change(path, "UPDATE calls SET text = 'x' WHERE id = 3")
    code = (
        "import sys\nfrom pathlib import Path\nfrom charter.models.cache import CallCache\n"
        "cache = CallCache(Path(sys.argv[1]))\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"open\n"
    with pytest.raises(Failure, match="another process uses"):
        repair(path, silent)
    holder.communicate()
    assert repair(path, silent).saved == 39


def test_a_file_changed_meanwhile_is_not_replaced(tmp_path):
    path = filled(tmp_path / "c.sqlite", some())
    change(path, "UPDATE calls SET text = 'x' WHERE id = 3")

    def meddle(_):
        change(path, "UPDATE calls SET model = 'y' WHERE id = 4")

    with pytest.raises(Failure, match="changed"):
        repair(path, meddle)
    assert not list(tmp_path.glob("*.damaged-*")) and not list(tmp_path.glob(".c*"))


def test_memory_does_not_grow_with_the_cache(tmp_path):
    path = filled(tmp_path / "c.sqlite", {key(i): Answer("x" * 4000) for i in range(15_000)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    export_cache(path, str(tmp_path / "out.jsonl"), None, silent, silent)
    import_into(tmp_path / "d.sqlite", [str(tmp_path / "out.jsonl")], silent, silent)
    change(path, "UPDATE calls SET text = 'x' WHERE id = 3")
    assert repair(path, silent).saved == 14_999
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60_000  # KiB; the file has as many
