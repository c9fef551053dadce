"""Damaged cache files: what is saved, and which are left alone."""

from __future__ import annotations

import random
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from caches import change, filled, held_by, key, silent, some

from charter.errors import Failure, InputError
from charter.models.cache import CallCache, Entry
from charter.models.cache_exchange import export_cache, import_into
from charter.models.cache_repair import repair
from charter.models.call import Answer


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
