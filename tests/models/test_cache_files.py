"""Cache files: read and counted."""

from __future__ import annotations

import sqlite3
import time

import pytest
from caches import change, filled, key, silent, some

from charter.errors import Failure, InputError
from charter.models import cache_files
from charter.models.cache_files import count_damaged, read_cache, stats
from charter.models.call import Answer


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
