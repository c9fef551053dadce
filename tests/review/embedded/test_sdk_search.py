"""The contract of the search engine, asked through the SDK and the HTTP API of the real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from running_argilla import RunningArgilla

pytestmark = pytest.mark.xdist_group("argilla")

TOPICS = ["harm", "honesty", "help"]
TEXTS = [
    "The heron stands in the shallow water",
    "A heron and a crane",
    "cranes fly south; a crane's neck is long",
    'say "NEAR(heron crane)" AND OR NOT *',
    "我们在北京大学学习中文",
    "good work 👍🏽 indeed",
    "<script>alert('x')</script> [link](https://tracker.example/x.png)",
    "nul \x00 byte and a snake_case name",
    "naïve café",
    "plain and short",
]


@pytest.fixture(scope="module")
def birds(argilla: RunningArgilla) -> Iterator[Any]:
    """Thirty records: three of each text, with metadata, suggestions, vectors and some answers."""
    import argilla as rg

    client = argilla.client()  # first of all: the SDK's fields take the last client made
    argilla.workspace("birds")
    settings = rg.Settings(
        fields=[
            rg.ChatField(name="talk", required=False),
            rg.TextField(name="text"),
            rg.CustomField(
                name="card", template="<b>{{record.fields.card.name}}</b>", required=False
            ),
        ],
        questions=[
            rg.LabelQuestion(name="better", labels=["A", "B", "TIE"]),
            rg.MultiLabelQuestion(name="faults", labels=["short", "false", "rude"], required=False),
            rg.RatingQuestion(name="sure", values=[1, 2, 3, 4, 5], required=False),
            rg.TextQuestion(name="comment", required=False),
        ],
        metadata=[
            rg.TermsMetadataProperty(name="topic"),
            rg.IntegerMetadataProperty(name="place"),
            rg.FloatMetadataProperty(name="share"),
        ],
        vectors=[rg.VectorField(name="shape", dimensions=3)],
    )
    dataset = rg.Dataset(name="birds", workspace="birds", settings=settings, client=client)
    dataset.create()
    owner = client.me.id
    records = []
    for place, text in enumerate(TEXTS * 3):
        responses = [
            rg.Response(question_name="better", value="AB"[place % 2], user_id=owner),
            rg.Response(question_name="faults", value=["short", "rude"], user_id=owner),
            rg.Response(question_name="sure", value=place % 5 + 1, user_id=owner),
        ]
        for response in responses:
            response.status = rg.ResponseStatus.submitted
        records.append(
            rg.Record(
                id=f"bird-{place}",
                fields={
                    "text": text,
                    "talk": [{"role": "user", "content": f"question{place} about birds"}],
                    "card": {"name": f"Card{place}", "size": place},
                },
                metadata={
                    "topic": TOPICS[place % 3] if place % 5 else TOPICS[:2],
                    "place": place - 10,
                    "share": place / 30,
                },
                suggestions=[
                    rg.Suggestion("better", "A" if place < 10 else "B", place / 30, "judge:v1"),
                    rg.Suggestion(
                        "faults", ["short", "false"], [0.1, place / 30], "critic", type="human"
                    ),
                    rg.Suggestion("sure", place % 5 + 1),
                ],
                vectors={"shape": [1.0, place / 30, -((place / 30) ** 2)]},
                responses=responses if place < 12 else [],
            )
        )
    dataset.records.log(records, batch_size=7)
    yield dataset
    dataset.delete()
    client.http_client.close()  # it never does so itself


def found(dataset: Any, **query: Any) -> list[int]:
    """Places of the records that a query finds."""
    import argilla as rg

    given = list(dataset.records(query=rg.Query(**query), batch_size=4))
    # Of a search for similar records the SDK gives pairs: the record and its score.
    records = [one[0] if "similar" in query else one for one in given]
    return [int(record.id.removeprefix("bird-")) for record in records]


def asked(
    argilla: RunningArgilla, dataset: Any, body: dict[str, Any], **more: Any
) -> tuple[list[int], int]:
    """Places and total that the HTTP API gives; `me=True`: as the web UI asks."""
    me = "me/" if more.pop("me", False) else ""
    page = {"limit": 100, **more.pop("page", {})}
    said = argilla.post(f"{me}datasets/{dataset.id}/records/search", body, params=page, **more)
    names = [item["record"]["external_id"] for item in said["items"]]
    return [int(name.removeprefix("bird-")) for name in names], said["total"]


def everything_with(*texts: int) -> set[int]:
    return {place + 10 * copy for place in texts for copy in range(3)}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("heron", everything_with(0, 1, 3)),
        ("HERON crane", everything_with(1, 3)),
        ("heron -crane", everything_with(0)),
        ("heron | short", everything_with(0, 1, 3, 9)),
        ('"heron and a crane"', everything_with(1)),
        ("shal*", everything_with(0)),
        ("herron~1", everything_with(0, 1, 3)),
        ("crane's", everything_with(2)),
        ("NEAR(heron crane)", everything_with(3)),
        ('text:heron OR "', set()),
        ("北京", everything_with(4)),
        ("京大学", everything_with(4)),
        ("学北", set()),
        ("👍", everything_with(5)),
        ("<script>", everything_with(6)),
        ("tracker.example", everything_with(6)),
        ("nul\x00byte", everything_with(7)),
        ("snake_case", everything_with(7)),
        ("CAFÉ", everything_with(8)),
        ("question7", {7}),
        ("card11", {11}),
        ("'; DROP TABLE records; --", set()),
        ("*", set(range(30))),
        ('"', set()),
        ("((((", set()),
    ],
)
def test_text(birds: Any, query: str, expected: set[int]) -> None:
    places = found(birds, query=query)
    assert set(places) == expected
    assert len(places) == len(expected)


def test_text_in_one_field(argilla: RunningArgilla, birds: Any) -> None:
    for field, word, expected in (
        ("text", "heron", everything_with(0, 1, 3)),
        ("talk", "heron", set()),
        ("talk", "birds", set(range(30))),
        ("card", "card3", {3}),
    ):
        body = {"query": {"text": {"q": word, "field": field}}}
        places, total = asked(argilla, birds, body)
        assert (set(places), total) == (expected, len(expected))
    body = {"query": {"text": {"q": "heron", "field": "no such"}}}
    wrong = argilla.request("POST", f"datasets/{birds.id}/records/search", json=body)
    assert wrong.status_code == 422


def test_a_search_that_is_too_large_is_refused_with_the_reason(
    argilla: RunningArgilla, birds: Any
) -> None:
    body = {"query": {"text": {"q": "heron crane " * 1000}}}
    wrong = argilla.request("POST", f"datasets/{birds.id}/records/search", json=body)
    assert wrong.status_code == 422
    assert "1024 words" in wrong.text


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (("metadata.topic", "==", "honesty"), {p for p in range(30) if p % 5 == 0 or p % 3 == 1}),
        (("metadata.topic", "in", ["help"]), {p for p in range(30) if p % 5 and p % 3 == 2}),
        (("metadata.place", "==", -3), {7}),
        (("metadata.place", ">=", 15), set(range(25, 30))),
        (("metadata.share", "<=", 0.1), {0, 1, 2, 3}),
        (("better.suggestion", "==", "A"), set(range(10))),
        (("faults.suggestion", "==", "false"), set(range(30))),
        (("faults.suggestion", "==", "rude"), set()),
        (("sure.suggestion", ">=", 5), {p for p in range(30) if p % 5 == 4}),
        (("better.score", ">=", 0.9), {27, 28, 29}),
        (("faults.score", ">=", 0.9), {27, 28, 29}),
        (("better.agent", "==", "judge:v1"), set(range(30))),
        (("faults.type", "==", "human"), set(range(30))),
        (("faults.type", "==", "model"), set()),
        (("better.response", "==", "B"), {1, 3, 5, 7, 9, 11}),
        (("faults.response", "in", ["rude", "false"]), set(range(12))),
        (("sure.response", "<=", 1), {0, 5, 10}),
        (("response.status", "==", "submitted"), set(range(12))),
        (("response.status", "==", "pending"), set(range(12, 30))),
        (("response.status", "in", ["pending", "submitted"]), set(range(30))),
        (("status", "==", "completed"), set(range(12))),
        (("id", "==", "bird-4"), {4}),
        (("inserted_at", "<=", datetime.now(UTC).replace(year=2000)), set()),
        (("inserted_at", ">=", datetime.now(UTC).replace(year=2000)), set(range(30))),
        (
            [
                ("metadata.place", ">=", 0),
                ("metadata.place", "<=", 2),
                ("better.response", "==", "A"),
            ],
            {10},
        ),
    ],
)
def test_filters(birds: Any, conditions: Any, expected: set[int]) -> None:
    places = found(birds, filter=conditions)
    assert set(places) == expected
    assert len(places) == len(expected)


def test_text_and_filter_together(birds: Any) -> None:
    assert set(found(birds, query="heron", filter=("better.suggestion", "==", "A"))) == {0, 1, 3}


def scope(entity: str, **more: str) -> dict[str, str]:
    return {"entity": entity, **more}


@pytest.mark.parametrize(
    ("by", "order", "expected"),
    [
        (scope("metadata", metadata_property="place"), "desc", [29, 28, 27]),
        (scope("metadata", metadata_property="share"), "asc", [0, 1, 2]),
        (scope("suggestion", question="better", property="score"), "desc", [29, 28, 27]),
        (scope("suggestion", question="better"), "desc", [10, 11, 12]),
        (scope("suggestion", question="sure"), "asc", [0, 5, 10]),
        (scope("response", question="sure"), "desc", [4, 9, 3]),
        (scope("response", question="better"), "desc", [1, 3, 5]),
        (scope("record", property="inserted_at"), "desc", [29, 28, 27]),
        (scope("record", property="external_id"), "asc", [0, 1, 10]),
        (scope("record", property="status"), "desc", [12, 13, 14]),
    ],
)
def test_sorts(
    argilla: RunningArgilla, birds: Any, by: dict[str, str], order: str, expected: list[int]
) -> None:
    for me in (False, True):
        body = {"sort": [{"scope": by, "order": order}]}
        places, total = asked(argilla, birds, body, me=me)
        assert total == 30
        assert places[:3] == expected


def test_second_order_counts_where_the_first_is_equal(argilla: RunningArgilla, birds: Any) -> None:
    sort = [
        {"scope": scope("suggestion", question="better"), "order": "asc"},
        {"scope": scope("metadata", metadata_property="place"), "order": "desc"},
    ]
    places, _ = asked(argilla, birds, {"sort": sort})
    assert places == [*range(9, -1, -1), *range(29, 9, -1)]


def test_pages_join_without_seam(argilla: RunningArgilla, birds: Any) -> None:
    for body, me in itertools.product(
        ({}, {"query": {"text": {"q": "heron"}}}, {"query": {"text": {"q": "*"}}}), (False, True)
    ):
        whole, total = asked(argilla, birds, body, me=me)
        pages = [
            asked(argilla, birds, body, me=me, page={"offset": start, "limit": 7})[0]
            for start in range(0, total, 7)
        ]
        assert [place for page in pages for place in page] == whole
        assert len(set(whole)) == total == len(whole)
    assert asked(argilla, birds, {}, page={"offset": 500}) == ([], 30)


def test_similar_to_a_vector_and_to_a_record(birds: Any) -> None:
    import argilla as rg

    def similar(**more: Any) -> rg.Similar:
        return rg.Similar("shape", **more)

    vector = [1.0, 0.0, 0.0]
    nearest = found(birds, similar=similar(value=vector))
    assert nearest == list(range(30))  # each one turns farther away
    assert found(birds, similar=similar(value=vector, most_similar=False)) == nearest[::-1]
    record = next(iter(birds.records(query=rg.Query(filter=("id", "==", "bird-20")))))
    to_record = found(birds, similar=similar(value=record))
    assert 20 not in to_record
    assert set(to_record[:2]) == {19, 21}
    some = found(
        birds, query="heron", filter=("metadata.place", ">=", 0), similar=similar(value=vector)
    )
    assert some == [10, 11, 13, 20, 21, 23]


def test_similarity_has_scores_and_pages(argilla: RunningArgilla, birds: Any) -> None:
    body = {"query": {"vector": {"name": "shape", "value": [1.0, 0.0, 0.0]}}}
    said = argilla.post(
        f"datasets/{birds.id}/records/search", body, params={"limit": 5, "offset": 5}
    )
    assert [item["record"]["external_id"] for item in said["items"]] == [
        f"bird-{p}" for p in range(5, 10)
    ]
    scores = [item["query_score"] for item in said["items"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0.9 < score < 1 for score in scores)


def test_a_vector_of_another_length_is_refused_with_both(
    argilla: RunningArgilla, birds: Any
) -> None:
    body = {"query": {"vector": {"name": "shape", "value": [1.0, 0.0]}}}
    wrong = argilla.request("POST", f"datasets/{birds.id}/records/search", json=body)
    assert wrong.status_code == 422
    assert "a vector 'shape' has 3 numbers, not 2" in wrong.text


def test_metrics_of_metadata(argilla: RunningArgilla, birds: Any) -> None:
    metrics = {}
    for one in argilla.get(f"me/datasets/{birds.id}/metadata-properties")["items"]:
        metrics[one["name"]] = argilla.get(f"metadata-properties/{one['id']}/metrics")
    assert metrics["place"] == {"type": "integer", "min": -10, "max": 19}
    assert metrics["share"] == {"type": "float", "min": 0.0, "max": 0.96667}
    counts = {one["term"]: one["count"] for one in metrics["topic"]["values"]}
    assert counts == {"harm": 14, "honesty": 14, "help": 8}
    assert metrics["topic"]["total"] == 36


def test_server_names_the_engine(argilla: RunningArgilla, birds: Any) -> None:
    engine = argilla.get("status")["search_engine"]
    assert engine["name"] == "charter"
    assert engine["records"] >= 30
