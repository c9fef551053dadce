from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

import pytest
from written_argilla import Indexed

from charter.review.embedded.inside.mend import Mended, rebuild_if_stale
from charter.review.embedded.inside.schema import VERSION, open_index
from charter.review.embedded.inside.search import IndexReader, Text

ANN = str(uuid.UUID(int=1))


def mend(index: Indexed) -> Mended:
    return rebuild_if_stale(index.argilla.path, index.index)


def found(index: Indexed, query: str) -> list[str]:
    connection = open_index(index.index)
    try:
        items = IndexReader(connection).search(index.argilla.dataset, text=Text(query)).items
    finally:
        connection.close()
    return [record for record, _ in items]


def test_an_index_that_was_told_all_is_left_alone(reviewed: Indexed) -> None:
    record = reviewed.add("one", metadata={"topic": "t"})
    reviewed.argilla.answer(record, ANN, better="A")
    reviewed.argilla.suggest(record, "stars", 4)
    reviewed.argilla.vector(record, str(uuid.uuid4()), [1.0])
    reviewed.writer.refresh([record])
    assert mend(reviewed) == Mended(0, 0, 0)
    assert not mend(reviewed)


CHANGES = {
    "a record": lambda argilla, record: argilla.record({"text": "late"}),
    "its text": lambda argilla, record: argilla.change(record, fields='{"text": "late"}'),
    "its status": lambda argilla, record: argilla.db.execute("UPDATE records SET status = 'done'"),
    "an answer": lambda argilla, record: argilla.answer(record, ANN, better="A"),
    "a suggestion": lambda argilla, record: argilla.suggest(record, "stars", 4),
    "a vector": lambda argilla, record: argilla.vector(record, str(uuid.uuid4()), [1.0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_change_that_the_index_was_not_told_is_found(reviewed: Indexed, change: str) -> None:
    reviewed.add("untouched")
    record = reviewed.add("one")
    CHANGES[change](reviewed.argilla, record)
    mended = mend(reviewed)
    assert mended.indexed == (2 if change == "its status" else 1)
    assert not mend(reviewed)


def test_a_changed_answer_among_as_many_is_found(reviewed: Indexed) -> None:
    record = reviewed.add("one")
    reviewed.argilla.answer(record, ANN, better="A")
    reviewed.writer.refresh([record])
    reviewed.argilla.answer(record, ANN, better="B")
    assert mend(reviewed) == Mended(1, 0, 0)


def test_what_was_deleted_is_taken_out(reviewed: Indexed) -> None:
    kept, gone = reviewed.add("kept"), reviewed.add("gone")
    reviewed.argilla.delete(gone)
    assert mend(reviewed) == Mended(0, 1, 0)
    assert found(reviewed, "kept | gone") == [kept]
    reviewed.argilla.db.execute("DELETE FROM datasets")
    assert mend(reviewed).datasets == 1
    assert found(reviewed, "kept") == []


def test_draft_datasets_are_not_indexed(reviewed: Indexed) -> None:
    reviewed.argilla.db.execute("UPDATE datasets SET status = 'draft'")
    reviewed.argilla.record({"text": "one"})
    assert mend(reviewed).indexed == 0


def spoil_nothing_there(path: Path) -> None:
    path.unlink()


def spoil_no_database(path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be taken for one" * 100)


def spoil_cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


def spoil_other_version(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()


@pytest.mark.parametrize(
    "spoil", [spoil_nothing_there, spoil_no_database, spoil_cut_short, spoil_other_version]
)
def test_a_spoilt_index_is_made_anew(reviewed: Indexed, spoil: object) -> None:
    ids = [reviewed.add(f"text {place}") for place in range(3)]
    order = reviewed.find(user=ANN)
    for connection in (reviewed.writer._index, reviewed.reader._index):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    for end in ("-wal", "-shm"):
        reviewed.index.with_name(reviewed.index.name + end).unlink(missing_ok=True)
    spoil(reviewed.index)
    assert mend(reviewed) == Mended(3, 0, 1)
    assert found(reviewed, "text") == ids
    assert reviewed.index.stat().st_mode & 0o777 == 0o600
    connection = open_index(reviewed.index)
    anew = IndexReader(connection).search(reviewed.argilla.dataset, user=ANN)
    connection.close()
    assert [record for record, _ in anew.items] == order


def test_the_database_is_only_read(reviewed: Indexed) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reviewed.writer._source.execute("DELETE FROM records")
