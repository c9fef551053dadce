"""What changes the index: records, answers, suggestions and settings, through SDK and HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from running_argilla import RunningArgilla, checked

pytestmark = pytest.mark.xdist_group("argilla")


@pytest.fixture
def sdk(argilla: RunningArgilla) -> Iterator[Any]:
    """The SDK's client, made before anything of the SDK: its fields take the last one made."""
    client = argilla.client()
    yield client
    client.http_client.close()  # it never does so itself


def searched(
    argilla: RunningArgilla, dataset: str, text: str | None = None, **more: Any
) -> list[str]:
    """External ids that the web UI's search gives a person (`key`)."""
    body: dict[str, Any] = {"query": {"text": {"q": text}}} if text else {}
    status = more.pop("status", None)
    if status:
        scope = {"entity": "response", "property": "status"}
        body["filters"] = {"and": [{"type": "terms", "scope": scope, "values": status}]}
    said = argilla.post(
        f"me/datasets/{dataset}/records/search", body, params={"limit": 1000}, **more
    )
    names = [item["record"]["external_id"] for item in said["items"]]
    assert said["total"] == len(names)
    return names


def records_of(argilla: RunningArgilla, dataset: str) -> dict[str, str]:
    listed = argilla.get(f"datasets/{dataset}/records", params={"limit": 1000})["items"]
    return {one["external_id"]: one["id"] for one in listed}


def answer(
    argilla: RunningArgilla, record: str, key: str, value: str, status: str = "submitted"
) -> str:
    body = {"status": status, "values": {"better": {"value": value}}}
    return argilla.post(f"records/{record}/responses", body, key=key)["id"]


def test_upsert_changes_what_is_found_and_keeps_the_rest(argilla: RunningArgilla, sdk: Any) -> None:
    import argilla as rg

    argilla.workspace("upserts")
    settings = rg.Settings(
        fields=[rg.TextField(name="text")],
        questions=[rg.LabelQuestion(name="better", labels=["A", "B"])],
        metadata=[rg.TermsMetadataProperty(name="topic")],
    )
    dataset = rg.Dataset(name="upserts", workspace="upserts", settings=settings, client=sdk)
    dataset.create()
    for text, topic in (("first words", "old"), ("second words", "new")):
        dataset.records.log([rg.Record(id="one", fields={"text": text}, metadata={"topic": topic})])
    assert [record.id for record in dataset.records(query="second")] == ["one"]
    assert list(dataset.records(query="first")) == []
    assert list(dataset.records(query=rg.Query(filter=("metadata.topic", "==", "old")))) == []
    assert len(list(dataset.records(query=rg.Query(filter=("metadata.topic", "==", "new"))))) == 1

    record = next(iter(dataset.records(query="second")))
    record.suggestions.add(rg.Suggestion("better", "A", agent="judge"))
    record.update()
    assert len(list(dataset.records(query=rg.Query(filter=("better.agent", "==", "judge"))))) == 1
    exported = dataset.records(with_suggestions=True).to_list(flatten=True)
    assert [row["better.suggestion"] for row in exported] == ["A"]
    record.delete()
    assert list(dataset.records) == []
    assert list(dataset.records(query="second")) == []
    dataset.delete()


def test_metadata_and_vectors_declared_later(argilla: RunningArgilla, sdk: Any) -> None:
    import argilla as rg

    argilla.workspace("later")
    settings = rg.Settings(
        fields=[rg.TextField(name="text")],
        questions=[rg.LabelQuestion(name="better", labels=["A", "B"])],
        allow_extra_metadata=True,
    )
    dataset = rg.Dataset(name="later", workspace="later", settings=settings, client=sdk)
    dataset.create()
    dataset.records.log([rg.Record(id="one", fields={"text": "x"}, metadata={"size": 7})])
    dataset.settings.metadata.add(rg.IntegerMetadataProperty(name="size"))
    dataset.settings.vectors.add(rg.VectorField(name="shape", dimensions=2))
    dataset.settings.update()
    assert len(list(dataset.records(query=rg.Query(filter=("metadata.size", ">=", 7))))) == 1
    dataset.records.log([rg.Record(id="two", fields={"text": "y"}, vectors={"shape": [0.0, 1.0]})])
    similar = rg.Similar("shape", [0.1, 1.0])
    assert [one.id for one, _ in dataset.records(query=rg.Query(similar=similar))] == ["two"]
    dataset.delete()


def test_suggestions_one_by_one(argilla: RunningArgilla) -> None:
    dataset = argilla.dataset("suggested", ["a text"], workspace="suggested")
    record = records_of(argilla, dataset)["r0"]
    question = argilla.get(f"datasets/{dataset}/questions")["items"][0]["id"]

    def with_value(value: str) -> int:
        scope = {"entity": "suggestion", "question": "better"}
        body = {"filters": {"and": [{"type": "terms", "scope": scope, "values": [value]}]}}
        return argilla.post(f"datasets/{dataset}/records/search", body)["total"]

    for value in ("A", "B"):
        body = {"question_id": question, "value": value, "score": 0.5}
        made = checked(argilla.request("PUT", f"records/{record}/suggestions", json=body))
        assert {one: with_value(one) for one in "AB"} == {"A": value == "A", "B": value == "B"}
    checked(argilla.request("DELETE", f"suggestions/{made['id']}"))
    assert with_value("B") == 0
    assert searched(argilla, dataset, "text") == ["r0"]


def test_answers_changed_and_taken_back(argilla: RunningArgilla) -> None:
    dataset = argilla.dataset("answers", ["one", "two", "three"], workspace="answers")
    ann = argilla.user("answers-ann", "answers")
    records = records_of(argilla, dataset)
    given = answer(argilla, records["r0"], ann, "A", "draft")
    assert searched(argilla, dataset, status=["draft"], key=ann) == ["r0"]
    body = {"status": "discarded"}
    checked(argilla.request("PUT", f"responses/{given}", key=ann, json=body))
    assert searched(argilla, dataset, status=["draft"], key=ann) == []
    assert searched(argilla, dataset, status=["discarded"], key=ann) == ["r0"]
    metrics = argilla.get(f"me/datasets/{dataset}/metrics", key=ann)["responses"]
    assert metrics == {"total": 3, "submitted": 0, "discarded": 1, "draft": 0, "pending": 2}
    checked(argilla.request("DELETE", f"responses/{given}", key=ann))
    assert len(searched(argilla, dataset, status=["pending"], key=ann)) == 3
    assert argilla.get(f"datasets/{dataset}/progress")["completed"] == 0


def test_two_annotators_at_once_lose_nothing(argilla: RunningArgilla) -> None:
    texts = [f"text {place}" for place in range(60)]
    dataset = argilla.dataset("both", texts, workspace="both")
    keys = [argilla.user(f"both-{name}", "both") for name in ("ann", "bob")]
    records = records_of(argilla, dataset)
    orders = [searched(argilla, dataset, key=key) for key in keys]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(records)
    assert orders[0] != orders[1]
    faults: list[AssertionError] = []

    def answers(key: str, names: list[str], value: str) -> None:
        try:
            for name in names:
                answer(argilla, records[name], key, value)
        except AssertionError as fault:
            faults.append(fault)

    # The same 40 records, from both sides, at the same time.
    names = sorted(records)[:40]
    threads = [
        threading.Thread(target=answers, args=(keys[0], names, "A")),
        threading.Thread(target=answers, args=(keys[1], names[::-1], "B")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    for key, order in zip(keys, orders, strict=True):
        assert sorted(searched(argilla, dataset, status=["submitted"], key=key)) == names
        # What is left comes in the order that it had.
        left = [name for name in order if name not in names]
        assert searched(argilla, dataset, status=["pending"], key=key) == left
        metrics = argilla.get(f"me/datasets/{dataset}/metrics", key=key)["responses"]
        assert (metrics["submitted"], metrics["pending"]) == (40, 20)
    progress = argilla.get(f"datasets/{dataset}/progress")
    assert (progress["total"], progress["completed"], progress["pending"]) == (60, 40, 20)


def test_deleted_records_and_datasets_are_not_found(argilla: RunningArgilla) -> None:
    dataset = argilla.dataset("deleted", ["word"] * 5, workspace="deleted")
    records = records_of(argilla, dataset)
    before = argilla.get("status")["search_engine"]
    gone = ",".join(records[name] for name in ("r1", "r3"))
    checked(argilla.request("DELETE", f"datasets/{dataset}/records", params={"ids": gone}))
    checked(argilla.request("DELETE", f"records/{records['r4']}"))
    assert sorted(searched(argilla, dataset, "word")) == ["r0", "r2"]
    assert argilla.get(f"datasets/{dataset}/progress")["total"] == 2
    checked(argilla.request("DELETE", f"datasets/{dataset}"))
    after = argilla.get("status")["search_engine"]
    assert after["records"] == before["records"] - 5
    assert after["datasets"] == before["datasets"] - 1


def test_the_index_says_what_the_database_says_after_changes_of_all_kinds(
    argilla: RunningArgilla,
) -> None:
    from charter.review.embedded.inside.mend import rebuild_if_stale

    dataset = argilla.dataset("told", ["one", "two", "three"], workspace="told")
    ann = argilla.user("told-ann", "told")
    records = records_of(argilla, dataset)
    question = argilla.get(f"datasets/{dataset}/questions")["items"][0]["id"]
    for name, status in (("r0", "submitted"), ("r1", "draft")):
        answer(argilla, records[name], ann, "A", status)
    for name in ("r0", "r2"):
        body = {"question_id": question, "value": "A"}
        checked(argilla.request("PUT", f"records/{records[name]}/suggestions", json=body))
    items = [{"external_id": "r1", "fields": {"text": "changed"}, "metadata": {}}]
    checked(argilla.request("PUT", f"datasets/{dataset}/records/bulk", json={"items": items}))
    checked(argilla.request("DELETE", f"records/{records['r2']}"))
    assert searched(argilla, dataset, "changed") == ["r1"]
    # Nothing was missed by the running server, in this test and those before it.
    assert not rebuild_if_stale(argilla.data / "argilla.db", argilla.data / "index.db")


def test_a_row_of_a_megabyte_is_found_by_its_ends(argilla: RunningArgilla) -> None:
    text = "beginning " + "filler <b>words</b> " * 50_000 + "ending"
    dataset = argilla.dataset("large", [text, "small"], workspace="large")
    assert searched(argilla, dataset, "beginning ending") == ["r0"]
