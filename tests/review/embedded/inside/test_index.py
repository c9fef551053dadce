from __future__ import annotations

import sqlite3
import uuid

import pytest
from written_argilla import Indexed

from charter.review.embedded.inside.filters import OneOf, Scope
from charter.review.embedded.inside.index import unit

ANN, BOB = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def counts(index: Indexed) -> dict[str, int]:
    db = sqlite3.connect(index.index)
    names = ("records", "facts", "responses", "answers", "vectors", "datasets", "keys", "columns")
    try:
        return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    finally:
        db.close()


def test_a_changed_record_is_found_by_its_new_text_alone(reviewed: Indexed) -> None:
    record = reviewed.add("an old text", metadata={"topic": "before"})
    reviewed.argilla.change(record, fields='{"text": "a new text"}', metadata='{"topic": "after"}')
    reviewed.writer.refresh([record])
    assert reviewed.find("old") == []
    assert reviewed.find("new") == [record]
    topic = Scope("metadata", "topic")
    assert reviewed.find(wanted=OneOf(topic, ["before"])) == []
    assert reviewed.find(wanted=OneOf(topic, ["after"])) == [record]


def test_what_is_gone_from_the_database_is_taken_out_whole(reviewed: Indexed) -> None:
    empty = counts(reviewed)
    settings = str(uuid.uuid4())
    record = reviewed.argilla.record({"text": "short-lived"}, {"topic": "t", "length": 3})
    reviewed.argilla.answer(record, ANN, better="A", labels=["x", "y"])
    reviewed.argilla.suggest(record, "stars", 4, 0.5, "judge", "model")
    reviewed.argilla.vector(record, settings, [1.0, 2.0])
    reviewed.writer.refresh([record])
    full = counts(reviewed)
    assert (full["facts"], full["answers"], full["vectors"]) == (6, 3, 1)
    reviewed.argilla.delete(record)
    reviewed.writer.refresh([record])
    assert reviewed.find("short") == []
    assert {**counts(reviewed), "keys": 0} == {**empty, "keys": 0}
    reviewed.writer.remove([record])  # nothing is there: nothing happens


def test_dropped_dataset_leaves_nothing(reviewed: Indexed) -> None:
    reviewed.add("text", metadata={"topic": "t"})
    reviewed.writer.drop_dataset(reviewed.argilla.dataset)
    assert set(counts(reviewed).values()) == {0}
    assert reviewed.find("text") == []
    reviewed.writer.drop_dataset(reviewed.argilla.dataset)


def test_refresh_of_the_same_records_changes_nothing(reviewed: Indexed) -> None:
    ids = [reviewed.add(f"text {place}", metadata={"topic": "t"}) for place in range(5)]
    before = counts(reviewed), reviewed.find("text")
    for _ in range(3):
        reviewed.writer.refresh(ids)
    assert (counts(reviewed), reviewed.find("text")) == before


def test_a_failed_batch_leaves_the_index_as_it_was(reviewed: Indexed) -> None:
    kept = reviewed.add("kept")
    broken = reviewed.argilla.record({"text": "x"})
    reviewed.argilla.change(broken, fields="no json")
    with pytest.raises(ValueError, match="Expecting value"):
        reviewed.writer.refresh([kept, broken])
    assert reviewed.find("kept") == [kept]
    assert reviewed.add("another") in reviewed.find("another")


def test_numbers_are_kept_as_numbers_though_sqlite_stores_json_so_too(reviewed: Indexed) -> None:
    # A column declared JSON turns the text 4 into the number 4.
    record = reviewed.add("x")
    reviewed.argilla.suggest(record, "stars", 4, [0.25, 0.75])
    reviewed.writer.refresh([record])
    assert reviewed.find(wanted=OneOf(Scope("value", "stars"), ["4"])) == [record]
    assert reviewed.find(wanted=OneOf(Scope("score", "stars"), ["0.75"])) == [record]


def test_text_that_utf8_cannot_hold_is_indexed_and_searched(reviewed: Indexed) -> None:
    record = reviewed.add("half \ud800 pair", metadata={"topic": "\ud800", "length": 2**70})
    assert reviewed.find("pair \ud800") == [record]
    assert reviewed.find(wanted=OneOf(Scope("metadata", "topic"), ["\ud800"])) == [record]
    assert reviewed.find(wanted=OneOf(Scope("metadata", "length"), [str(2**70)])) == [record]


def test_chats_are_searched_by_what_was_said_and_pictures_not(reviewed: Indexed) -> None:
    talk = [
        {"role": "user", "content": "what is a heron"},
        {"role": "assistant", "content": "bird"},
    ]
    record = reviewed.add({"talk": talk, "text": "plain", "picture": "https://example.org/cat.png"})
    assert reviewed.find("heron bird plain") == [record]
    assert reviewed.find("assistant") == []
    assert reviewed.find("cat") == []
    assert reviewed.find("heron", "talk") == [record]
    assert reviewed.find("heron", "text") == []
    with pytest.raises(LookupError, match="picture"):
        reviewed.find("cat", "picture")


def test_custom_fields_are_searched_by_all_that_stands_in_them(reviewed: Indexed) -> None:
    record = reviewed.add({"text": "x", "other": {"title": "Crane", "parts": ["beak", {"n": 7}]}})
    assert reviewed.find("title crane beak 7") == [record]


def test_metadata_configured_later_finds_what_was_there(reviewed: Indexed) -> None:
    late = reviewed.add("x", metadata={"late": ["a", "b"], "never": 1})
    reviewed.add("y", metadata={"late": "c"})
    scope = Scope("metadata", "late")
    assert reviewed.find(wanted=OneOf(scope, ["b"])) == []
    reviewed.argilla.property("late")
    for _ in range(2):
        reviewed.writer.configure_metadata(reviewed.argilla.dataset, "late")
    assert reviewed.find(wanted=OneOf(scope, ["b"])) == [late]
    assert reviewed.reader.terms(reviewed.argilla.dataset, "late", 9)[0] == 3


def test_a_megabyte_in_one_field(reviewed: Indexed) -> None:
    record = reviewed.add("start " + "word " * 200_000 + "end")
    assert reviewed.find("start end") == [record]
    one_word = reviewed.add("x" * 1_000_000)
    assert reviewed.find("x" * 1_000_000) == [one_word]


def test_unit_vectors() -> None:
    assert unit([3.0, 4.0]).tolist() == pytest.approx([0.6, 0.8])
    assert unit([0, 0]).tolist() == [0, 0]
    assert unit([1e300, 0]).tolist() == [1, 0]
