from __future__ import annotations

import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_argilla import Indexed

from charter.review.embedded.inside.filters import All, Between, OneOf, Scope, WrongFilter
from charter.review.embedded.inside.search import Text
from charter.review.embedded.inside.sorting import Order

ANN, BOB = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


@pytest.fixture
def answered(reviewed: Indexed) -> tuple[Indexed, list[str]]:
    """Four records: both answered, Ann alone, a draft of Bob's, nobody."""
    ids = [reviewed.add(f"record {place}") for place in range(4)]
    argilla = reviewed.argilla
    argilla.answer(ids[0], ANN, better="A", labels=["x", "y"], stars=5)
    argilla.answer(ids[0], BOB, better="B", labels=["z"], stars=1)
    argilla.answer(ids[1], ANN, "discarded", better="B", stars=2)
    argilla.answer(ids[2], BOB, "draft", stars=4, comment="free text")
    reviewed.writer.refresh(ids)
    return reviewed, ids


@pytest.mark.parametrize(
    ("values", "user", "places"),
    [
        (["pending"], ANN, [2, 3]),
        (["pending"], BOB, [1, 3]),
        (["pending"], None, [3]),
        (["submitted"], ANN, [0]),
        (["submitted"], None, [0]),
        (["draft"], ANN, []),
        (["draft", "discarded"], None, [1, 2]),
        (["pending", "submitted"], BOB, [0, 1, 3]),
        (["pending", "draft"], ANN, [2, 3]),
    ],
)
def test_status_of_responses_is_that_of_the_person(
    answered: tuple[Indexed, list[str]], values: list[str], user: str | None, places: list[int]
) -> None:
    index, ids = answered
    wanted = OneOf(Scope("status", user=user), values)
    assert index.find(wanted=wanted) == [ids[place] for place in places]
    assert wanted.values == values


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (OneOf(Scope("response", "better"), ["B"]), [0, 1]),
        (OneOf(Scope("response", "better", ANN), ["B"]), [1]),
        (OneOf(Scope("response", "labels"), ["y", "nothing"]), [0]),
        (OneOf(Scope("response", "stars"), ["4"]), [2]),
        (Between(Scope("response", "stars"), 2, 4), [1, 2]),
        (Between(Scope("response", "stars", BOB), ge=2), [2]),
        (OneOf(Scope("response", "comment"), ["free text"]), []),
        (OneOf(Scope("response", "no \"such' one"), ["A"]), []),
        (All([Between(Scope("response", "stars"), le=1), OneOf(Scope("status"), ["pending"])]), []),
    ],
)
def test_values_of_responses(
    answered: tuple[Indexed, list[str]], wanted: OneOf, places: list[int]
) -> None:
    index, ids = answered
    assert index.find(wanted=wanted) == [ids[place] for place in places]


def test_sort_by_responses_puts_those_without_last(answered: tuple[Indexed, list[str]]) -> None:
    index, ids = answered
    stars = Scope("response", "stars")
    assert index.find(sort=[Order(stars)])[-1] == ids[3]
    assert index.find(sort=[Order(stars)]) == [ids[1], ids[0], ids[2], ids[3]]  # 2, mean 3, 4
    assert index.find(sort=[Order(stars, True)]) == [ids[2], ids[0], ids[1], ids[3]]
    mine = Scope("response", "stars", ANN)
    assert index.find(sort=[Order(mine, True)]) == [ids[0], ids[1], ids[2], ids[3]]
    label = Scope("response", "better", BOB)
    assert index.find(sort=[Order(label)])[0] == ids[0]


def test_progress_counts_a_persons_own_answers(answered: tuple[Indexed, list[str]]) -> None:
    index, ids = answered
    index.argilla.change(ids[0], status="completed")
    index.writer.refresh(ids[:1])
    dataset = index.argilla.dataset
    assert index.reader.progress(dataset) == {"completed": 1, "pending": 3}
    assert index.reader.progress(dataset, ANN) == {"submitted": 1, "discarded": 1}
    assert index.reader.progress(dataset, BOB) == {"submitted": 1, "draft": 1}
    assert index.reader.progress(str(uuid.uuid4())) == {}


def test_suggestions_by_each_of_their_parts(reviewed: Indexed) -> None:
    ids = [reviewed.add(f"record {place}") for place in range(3)]
    reviewed.argilla.suggest(ids[0], "better", "A", 0.9, "judge v2", "model")
    reviewed.argilla.suggest(ids[1], "labels", ["x", "y"], [0.2, 0.6], "ann", "human")
    reviewed.argilla.suggest(ids[1], "comment", "some text", None)
    reviewed.writer.refresh(ids)
    for wanted, place in (
        (OneOf(Scope("value", "better"), ["A"]), 0),
        (OneOf(Scope("value", "labels"), ["y"]), 1),
        (OneOf(Scope("agent", "better"), ["judge v2"]), 0),
        (OneOf(Scope("type", "labels"), ["human", "model"]), 1),
        (Between(Scope("score", "better"), 0.9, 0.9), 0),
        (Between(Scope("score", "labels"), 0.5, 0.7), 1),
    ):
        assert reviewed.find(wanted=wanted) == [ids[place]], wanted
    assert reviewed.find(wanted=OneOf(Scope("value", "comment"), ["some text"])) == []
    by_score = [Order(Scope("score", "labels"), True), Order(Scope("score", "better"), True)]
    assert reviewed.find(sort=by_score) == [ids[1], ids[0], ids[2]]
    reviewed.argilla.suggest(ids[0], "better", "B")
    reviewed.writer.refresh(ids[:1])
    assert reviewed.find(wanted=OneOf(Scope("agent", "better"), ["judge v2"])) == []


def test_metadata_terms_ranges_orders_and_metrics(reviewed: Indexed) -> None:
    given = [
        {"topic": "b", "length": 10, "share": 0.5},
        {"topic": ["a", "c"], "length": 2, "share": 1},
        {"topic": "10", "length": -3},
        None,
    ]
    ids = [reviewed.add("x", metadata=metadata) for metadata in given]
    topic, length = Scope("metadata", "topic"), Scope("metadata", "length")
    assert reviewed.find(wanted=OneOf(topic, ["c", "z"])) == [ids[1]]
    assert reviewed.find(wanted=OneOf(topic, ["10"])) == [ids[2]]
    assert reviewed.find(wanted=OneOf(length, ["10", "2.0"])) == ids[:2]
    assert reviewed.find(wanted=Between(length, -3, 2)) == ids[1:3]
    assert reviewed.find(wanted=Between(length, "9", None)) == [ids[0]]
    assert reviewed.find(wanted=Between(length, "a", None)) == []
    assert reviewed.find(wanted=Between(topic, "a", "b")) == ids[:2]
    assert reviewed.find(sort=[Order(length)]) == [ids[2], ids[1], ids[0], ids[3]]
    assert reviewed.find(sort=[Order(topic, True)]) == [ids[1], ids[0], ids[2], ids[3]]
    dataset = reviewed.argilla.dataset
    assert reviewed.reader.bounds(dataset, "length") == (-3, 10)
    assert reviewed.reader.bounds(dataset, "share") == (0.5, 1)
    assert reviewed.reader.bounds(dataset, "nothing") == (None, None)
    total, counted = reviewed.reader.terms(dataset, "topic", 2)
    assert (total, counted) == (4, [("10", 1), ("a", 1)])


def test_columns_of_records(reviewed: Indexed) -> None:
    ids = [reviewed.add("x", external=name) for name in ("r2", "r1", None)]
    assert reviewed.find(wanted=OneOf(Scope("record", "id"), [ids[1].upper()])) == [ids[1]]
    assert reviewed.find(wanted=OneOf(Scope("record", "external_id"), ["r2"])) == [ids[0]]
    assert reviewed.find(wanted=OneOf(Scope("record", "status"), ["pending"])) == ids
    external = [Order(Scope("record", "external_id"))]
    assert reviewed.find(sort=external) == [ids[1], ids[0], ids[2]]
    newest = [Order(Scope("record", "inserted_at"), True)]
    assert reviewed.find(sort=newest) == ids[::-1]
    inserted = Scope("record", "inserted_at")
    year = Between(inserted, "2026", "2026-01-01")  # a day, to its end
    assert reviewed.find(wanted=year) == ids
    assert reviewed.find(wanted=Between(inserted, ge="2026-01-02")) == []
    assert reviewed.find(wanted=Between(inserted, le="2025-12-31T23:59:59Z")) == []
    reviewed.argilla.change(ids[0], status="completed")
    reviewed.writer.refresh(ids[:1])
    assert reviewed.find(sort=[Order(Scope("record", "updated_at"), True)])[0] == ids[0]
    with pytest.raises(WrongFilter, match="no date"):
        reviewed.find(wanted=Between(inserted, ge="yesterday; DROP TABLE records"))
    with pytest.raises(WrongFilter):
        reviewed.find(wanted=OneOf(Scope("record", "1=1 --"), ["x"]))
    with pytest.raises(WrongFilter):
        reviewed.find(sort=[Order(Scope("record", "doc"))])


def test_pages_tell_the_total_and_repeat_nothing(reviewed: Indexed) -> None:
    ids = [reviewed.add("same text" if place % 2 else "other text") for place in range(25)]
    for more in ({"query": "text"}, {"user": ANN}, {"sort": [Order(Scope("record", "status"))]}):
        query = more.pop("query", None)
        pages = [reviewed.find(query, offset=start, limit=10, **more) for start in (0, 10, 20, 30)]
        assert [len(page) for page in pages] == [10, 10, 5, 0]
        assert sorted(record for page in pages for record in page) == sorted(ids)
    beyond = reviewed.reader.search(reviewed.argilla.dataset, offset=30)
    assert (beyond.items, beyond.total) == ([], 25)


def test_each_person_has_an_order_that_answers_do_not_change(reviewed: Indexed) -> None:
    ids = [reviewed.add(f"record {place}") for place in range(40)]
    ann, bob = reviewed.find(user=ANN), reviewed.find(user=BOB)
    assert sorted(ann) == sorted(bob) == sorted(ids)
    assert len({tuple(ann), tuple(bob), tuple(ids)}) == 3
    reviewed.argilla.answer(ann[0], ANN, better="A")
    reviewed.writer.refresh([ann[0]])
    assert reviewed.find(user=ANN) == ann
    pending = OneOf(Scope("status", user=ANN), ["pending"])
    assert reviewed.find(user=ANN, wanted=pending) == ann[1:]
    assert reviewed.find(user=ANN, sort=[Order(Scope("record", "inserted_at"))]) == ids


def test_the_best_match_comes_first_and_has_a_score(reviewed: Indexed) -> None:
    poor = reviewed.add("heron " + "water " * 50)
    good = reviewed.add("heron heron")
    for place in range(8):
        reviewed.add(f"nothing of it {place}")
    found = reviewed.reader.search(reviewed.argilla.dataset, text=Text("heron"))
    assert [record for record, _ in found.items] == [good, poor]
    scores = [score for _, score in found.items]
    assert scores[0] > scores[1] > 0
    assert reviewed.find("hero~1") == [good, poor]
    assert reviewed.find("haron~") == [good, poor]
    assert reviewed.find("hxxxn~2") == []


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_similarity_is_the_cosine(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    from written_argilla import indexed

    numbers = st.integers(-5, 5).map(float)
    vectors = data.draw(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=9))
    asked = data.draw(st.lists(numbers, min_size=3, max_size=3).filter(any))
    space = str(uuid.uuid4())
    with indexed(tmp_path_factory.mktemp("similar")) as index:
        ids = [index.argilla.record({"text": f"t{place % 2}"}) for place in range(len(vectors))]
        for record, vector in zip(ids, vectors, strict=True):
            index.argilla.vector(record, space, vector)
        index.writer.refresh(ids)

        def similar(**more: object) -> list[tuple[str, float | None]]:
            return index.reader.similar(index.argilla.dataset, space, asked, **more).items

        expected = {
            record: (
                1 + np.dot(vector, asked) / (np.linalg.norm(asked) * (np.linalg.norm(vector) or 1))
            )
            / 2
            for record, vector in zip(ids, vectors, strict=True)
        }
        found = similar()
        assert dict(found) == pytest.approx(expected, abs=1e-6)
        scores = [score for _, score in found]
        assert scores == sorted(scores, reverse=True)
        assert similar(limit=2) == found[:2]
        assert {record for record, _ in similar(text=Text("t0"))} == set(ids[::2])
        assert ids[0] not in dict(similar(leave_out=ids[0]))
        assert similar(wanted=OneOf(Scope("record", "id"), [ids[0]]))[0][0] == ids[0]
        kept = similar(threshold=0.5)
        assert kept == [one for one in found if one[1] >= 0.5]


def test_vectors_of_other_settings_are_left_alone(reviewed: Indexed) -> None:
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    record = reviewed.add("x")
    reviewed.argilla.vector(record, one, [1.0, 0.0])
    reviewed.writer.refresh([record])
    reviewed.writer.configure_vectors(reviewed.argilla.dataset, other)
    dataset = reviewed.argilla.dataset
    assert reviewed.reader.similar(dataset, one, [1.0, 0.0]).total == 1
    assert reviewed.reader.similar(dataset, other, [1.0, 0.0, 5.0]).items == []
    assert reviewed.reader.similar(str(uuid.uuid4()), one, [1.0, 0.0]).items == []
