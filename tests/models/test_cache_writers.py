"""The call cache under several writers, and under one that is killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from cache_entries import entry, key

from charter.errors import Failure
from charter.models.cache import CallCache, connect
from charter.models.call import Answer


def test_a_second_opening_sees_what_the_first_has_kept(tmp_path):
    path = tmp_path / "c.sqlite"
    one, two = CallCache(path), CallCache(path)
    one.put([entry("a", Answer("x"))])
    assert two.get([key("a")]) == {key("a"): Answer("x")}
    two.put([entry("b", Answer("y"))])
    assert set(one.get([key("a"), key("b")])) == {key("a"), key("b")}
    one.close()
    two.close()
    with closing(sqlite3.connect(path)) as db:
        (text,) = db.execute("SELECT text FROM calls WHERE key = ?", (key("a"),)).fetchone()
    assert text == "x"  # readable with the sqlite3 tool


WRITER = """
import sys
from pathlib import Path
from charter.models.cache import CallCache, Entry
from charter.models.call import Answer

def key(name):
    return name.encode().rjust(32, b"-")

cache = CallCache(Path(sys.argv[1]))
me = sys.argv[2]
for i in range(40):
    cache.put([Entry(key(f"{me}-{i}-{k}"), me, Answer("x" * 100)) for k in range(5)])
    before = cache.put([Entry(key("shared"), me, Answer(me))])
    assert i == 0 or len(before) == 1
assert len(cache.get([key(f"{me}-{i}-0") for i in range(40)])) == 40
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
    keys = [key(f"{i}-{j}-{k}") for i in range(4) for j in range(40) for k in range(5)]
    assert len(cache.get(keys)) == len(keys)
    assert cache.get([key("shared")])[key("shared")].text in "0123"
    cache.close()


def test_several_processes_make_the_file_at_once(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom charter.models.cache import CallCache\n"
        "print('here', flush=True)\nsys.stdin.readline()\n"
        "for i in range(40):\n    CallCache(Path(sys.argv[1], str(i))).close()\n"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "made"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for maker in makers:
        assert maker.stdout.readline() == b"here\n"
    for maker in makers:
        maker.stdin.write(b"\n")
        maker.stdin.flush()
    for maker in makers:
        _, said = maker.communicate(timeout=120)
        assert maker.returncode == 0, said.decode()


@pytest.mark.parametrize("patience", [0.0, 0.05, 0.2])
def test_a_process_that_is_killed_while_it_writes_leaves_a_cache_that_opens(tmp_path, patience):
    path = tmp_path / "c.sqlite"
    code = WRITER.replace("range(40)", "range(10**9)").replace("assert", "print('x')\nassert", 0)
    writer = subprocess.Popen([sys.executable, "-c", code, path, "w"])
    try:
        while not (path.exists() and path.stat().st_size) and writer.poll() is None:
            pass
        time.sleep(patience)
    finally:
        writer.kill()
        writer.wait()
    cache = CallCache(path)
    cache.put([entry("a", Answer("x"))])
    found = cache.get([key(f"w-{i}-{k}") for i in range(500) for k in range(5)])
    assert len(found) % 5 == 0  # whole batches
    assert cache.get([key("a")]) == {key("a"): Answer("x")}
    cache.close()


def test_a_lock_that_stays_is_a_failure(tmp_path, monkeypatch):
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    cache._db.execute("PRAGMA busy_timeout=10")
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Failure, match="another process"):
            cache.put([entry("a", Answer("x"))])
    cache.put([entry("a", Answer("x"))])
    cache.close()
