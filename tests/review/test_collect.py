"""Answers come back from the real server: each once, whatever happens to either side."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import uuid
from datetime import timedelta

import httpx
import pytest

from charter.errors import CharterError, Failure, InputError
from charter.review import collect as collect_module
from charter.review.collect import collect
from charter.review.fields import dataset_name
from charter.review.questions import review_settings
from charter.review.spot_check import Human, Sure
from charter.review.store import ReviewStore

pytestmark = pytest.mark.xdist_group("argilla")

TEXTS = "ab" * 32


@pytest.fixture
def space(argilla):
    """A workspace of its own, and a repo whose rows are in it."""
    import argilla as rg

    client = argilla.client()
    name = f"w{uuid.uuid4().hex[:8]}"
    rg.Workspace(name=name, client=client).create()
    with contextlib.closing(client.http_client):
        yield Space(argilla, client, name, f"me/{name}")


class Space:
    def __init__(self, server, client, name, repo):
        self.server, self.client, self.name, self.repo = server, client, name, repo
        self.http = client.http_client

    def dataset(self, kind="preference", shown=False):
        import argilla as rg

        name = dataset_name(self.repo, kind) + "--shown" * shown
        settings = review_settings(
            kind, critiques=False, overlap=2, guidelines="Judge.", client=self.client
        )
        made = rg.Dataset(name=name, workspace=self.name, settings=settings, client=self.client)
        return made.create()

    def send(self, dataset, *rows):
        """Records of rows, by (row id, changes of its metadata); their ids."""
        items = [self.record(*row) for row in rows]
        for start in range(0, len(items), 500):
            done = self.server.request(
                "POST",
                f"datasets/{dataset.id}/records/bulk",
                json={"items": items[start : start + 500]},
            )
            assert done.ok, done.text
        page = self.server.request("GET", f"datasets/{dataset.id}/records?limit=1000").json()
        return {each["external_id"]: each["id"] for each in page["items"]}

    def record(self, row_id, changes=None, external_id=None):
        about = {
            "repo": self.repo,
            "version": "v0.1.0",
            "row_id": row_id,
            "prompt_id": row_id.partition("#")[0],
            "category": "made up",
            "first": "chosen",
            "share": "uniform",
            "stratum": "kind/made up/0.6",
            "inclusion": 0.25,
            "saw_ai": "no",
            "texts": TEXTS,
            "p_chosen": 0.75,
        } | (changes or {})
        said = [{"role": "user", "content": "?"}]
        return {
            "fields": {"principle": "kind", "prompt": said, "response_a": said, "response_b": said},
            "external_id": external_id or f"{row_id}@{TEXTS[:8]}",
            "metadata": {name: value for name, value in about.items() if value is not None},
        }

    def answer(self, record_id, status="submitted", key=None, **values):
        """Say something of a record; the response's id."""
        done = self.server.request(
            "POST",
            f"records/{record_id}/responses",
            key=key,
            json={"status": status, "values": {n: {"value": v} for n, v in values.items()}},
        )
        assert done.ok, done.text
        return done.json()["id"]

    def change(self, response_id, status="submitted", **values):
        done = self.server.request(
            "PUT",
            f"responses/{response_id}",
            json={"status": status, "values": {n: {"value": v} for n, v in values.items()}},
        )
        assert done.ok, done.text

    def collect(self, data, **options):
        with ReviewStore.open(self.repo, data) as store:
            found = collect(self.http, self.repo, store, workspace=self.name, **options)
            return found, {each.row_id: each for each in store.spot_checks()}


def test_answers_come_back_in_the_rows_own_words(space, tmp_path):
    pairs, shown = space.dataset(), space.dataset(shown=True)
    ids = space.send(
        pairs, ("p1#a~b",), ("p2#a~b", {"first": "rejected"}), ("p3#a~b",), ("p4#a~b",), ("p5#a~b",)
    )
    known = {name.partition("#")[0]: at for name, at in ids.items()}
    space.answer(known["p1"], better="A", sure="GUESS", comment=" <b>fine</b>\n")
    space.answer(known["p2"], better="A")
    space.answer(known["p3"], better="BOTH_BAD")
    space.answer(known["p4"], status="draft", better="A")
    space.answer(known["p5"], status="discarded")
    (seen,) = space.send(shown, ("p1#a~b", {"saw_ai": "yes"})).values()
    space.answer(seen, better="B")
    found, rows = space.collect(tmp_path)
    counts = (found.collected, found.new, found.changed, found.removed)
    assert counts == (4, 4, 0, 0)
    assert (found.drafts, found.discarded, found.rejected) == (1, 1, {})
    assert list(found.reviewers.values()) == [{"submitted": 4, "drafts": 1, "discarded": 1}]
    assert (rows["p2#a~b"].verdict, rows["p2#a~b"].first) == (Human.REJECTED, "rejected")
    assert rows["p3#a~b"].verdict is Human.BOTH_BAD
    with ReviewStore.open(space.repo, tmp_path) as store:
        blind, saw = sorted(
            (c for c in store.spot_checks() if c.row_id == "p1#a~b"), key=lambda c: c.saw_ai
        )
    assert (blind.verdict, blind.sure, blind.comment) == (Human.CHOSEN, Sure.GUESS, "<b>fine</b>")
    assert (saw.verdict, saw.saw_ai) == (Human.REJECTED, True)
    assert (blind.p_chosen, blind.inclusion, blind.texts) == (0.75, 0.25, TEXTS)
    assert blind.reviewer == next(iter(found.reviewers))
    user = space.server.request("GET", "me").json()
    assert user["id"].replace("-", "")[:16] != blind.reviewer


def test_only_what_changed_is_read_and_each_answer_is_there_once(space, tmp_path, monkeypatch):
    ids = [*space.send(space.dataset(), ("p1#a~b",), ("p2#a~b",)).values()]
    first = space.answer(ids[0], better="A")
    second = space.answer(ids[1], better="TIE")
    assert space.collect(tmp_path)[0].new == 2
    # The server's clock states whole seconds: only later is it sure that nothing is behind.
    monkeypatch.setattr(collect_module, "_SETTLED", timedelta(seconds=-5))
    found, _ = space.collect(tmp_path)
    assert (found.new, found.changed, found.collected) == (0, 0, 2)
    assert found.datasets == {dataset_name(space.repo, "preference"): True}
    found, _ = space.collect(tmp_path)
    assert found.datasets == {dataset_name(space.repo, "preference"): False}
    assert found.collected == 2
    assert list(found.reviewers.values()) == [{"submitted": 2, "drafts": 0, "discarded": 0}]
    space.change(first, better="B")
    found, rows = space.collect(tmp_path)
    assert (found.new, found.changed, found.removed) == (0, 1, 0)
    assert rows["p1#a~b"].verdict is Human.REJECTED
    # Taken back in each of the three ways that there are.
    space.change(second, status="discarded")
    found, rows = space.collect(tmp_path)
    assert (found.removed, found.discarded, set(rows)) == (1, 1, {"p1#a~b"})
    assert space.server.request("DELETE", f"responses/{first}").ok
    assert space.collect(tmp_path)[0].removed == 1
    space.answer(ids[0], better="A")
    assert space.collect(tmp_path)[0].collected == 1
    dataset = space.client.datasets(dataset_name(space.repo, "preference"), workspace=space.name)
    assert space.server.request("DELETE", f"datasets/{dataset.id}/records?ids={ids[0]}").ok
    found, rows = space.collect(tmp_path)
    assert (found.removed, rows) == (1, {})


def test_answers_of_a_deleted_user_go_with_them(space, tmp_path, monkeypatch):
    monkeypatch.setattr(collect_module, "_SETTLED", timedelta(seconds=-5))
    dataset = space.dataset()
    ids = [*space.send(dataset, ("p1#a~b",), ("p2#a~b",)).values()]
    space.answer(ids[0], better="A")
    key = space.server.user(f"{space.name}-leaver", space.name)
    for record in ids:
        space.answer(record, key=key, better="B")
    assert space.collect(tmp_path)[0].collected == 3
    leaver = space.server.request("GET", "me", key=key).json()["id"]
    assert space.server.request("DELETE", f"users/{leaver}").ok
    found, rows = space.collect(tmp_path)
    assert (found.removed, found.collected, len(found.reviewers)) == (2, 1, 1)
    assert rows["p1#a~b"].verdict is Human.CHOSEN
    dataset.delete()  # Argilla tells its search engine nothing of a user's end


def test_what_cannot_be_read_is_counted_and_named(space, tmp_path):
    wrong = [
        ("m1#a~b", {"repo": None}),
        ("m2#a~b", {"first": None}),
        ("o1#a~b", {"repo": "other/one"}),
        ("b1#a~b", {"inclusion": 0.0}),
        ("b2#a~b", {"saw_ai": "yes"}),
        ("b3#a~b", {"share": "gold"}),
        ("b4#a~b", None, "b5#a~b@00000000"),
        ("b6#a~b", {"first": "left"}),
        ("b7#a~b", {"version": "main"}),
    ]
    ids = space.send(space.dataset(), *wrong)
    for record in ids.values():
        space.answer(record, better="A")
    found, rows = space.collect(tmp_path)
    assert rows == {}
    assert found.rejected == {"NO_METADATA": 2, "OTHER_REPO": 1, "BAD_METADATA": 6}
    assert list(found.reviewers.values()) == [{"submitted": 9, "drafts": 0, "discarded": 0}]


def test_many_pages_are_all_read(space, tmp_path, monkeypatch):
    monkeypatch.setattr(collect_module, "_PAGE", 7)
    ids = space.send(space.dataset(), *((f"p{k}#a~b",) for k in range(30)))
    for record in ids.values():
        space.answer(record, better="B")
    found, rows = space.collect(tmp_path)
    assert found.new == len(rows) == 30


def test_a_deleted_dataset_takes_no_answer_with_it(space, tmp_path):
    dataset = space.dataset()
    (record,) = space.send(dataset, ("p1#a~b",)).values()
    space.answer(record, better="A")
    space.collect(tmp_path)
    dataset.delete()
    found, rows = space.collect(tmp_path)
    assert (found.collected, found.removed, set(rows)) == (1, 0, {"p1#a~b"})


class Flaky(httpx.BaseTransport):
    """Passes requests on, and fails by a list: an exception, a status, or None to pass."""

    def __init__(self, http, plan):
        self.http, self.plan = http, list(plan)

    def handle_request(self, request):
        fault = self.plan.pop(0) if self.plan else None
        if isinstance(fault, Exception):
            raise fault
        if fault:
            return httpx.Response(fault, request=request)
        answer = self.http.get(request.url.raw_path.decode())
        return httpx.Response(
            answer.status_code, headers={"date": answer.headers["date"]}, content=answer.content
        )


def flaky(space, plan):
    return httpx.Client(transport=Flaky(space.http, plan), base_url=space.server.url)


def test_a_server_that_restarts_is_asked_again(space, tmp_path, monkeypatch):
    monkeypatch.setattr(collect_module, "_WAITS", (0.0,) * 4)
    (record,) = space.send(space.dataset(), ("p1#a~b",)).values()
    space.answer(record, better="A")
    gone = httpx.ConnectError("refused")
    told = []
    with ReviewStore.open(space.repo, tmp_path) as store:
        http = flaky(space, [gone, None, 503, None, gone, gone, 502, None])
        found = collect(http, space.repo, store, workspace=space.name, say=told.append)
    assert found.new == 1
    assert "does not answer" in told[0]


def test_a_server_that_goes_for_good_loses_nothing_that_was_read(space, tmp_path, monkeypatch):
    monkeypatch.setattr(collect_module, "_WAITS", (0.0,) * 2)
    monkeypatch.setattr(collect_module, "_PAGE", 2)
    ids = space.send(space.dataset(), *((f"p{k}#a~b",) for k in range(6)))
    for record in ids.values():
        space.answer(record, better="A")
    space.collect(tmp_path)
    # workspaces, datasets, dataset, count, dataset, count, two pages, and then nothing.
    plan = [None] * 8 + [httpx.ReadError("cut")] * 9
    with ReviewStore.open(space.repo, tmp_path) as store:
        with pytest.raises(Failure, match="the server does not answer: ReadError: cut"):
            collect(flaky(space, plan), space.repo, store, workspace=space.name, whole=True)
        assert len(store.spot_checks()) == 6
    assert space.collect(tmp_path)[0].collected == 6


def test_a_record_that_is_deleted_meanwhile_takes_no_other_answer_with_it(
    space, tmp_path, monkeypatch
):
    monkeypatch.setattr(collect_module, "_PAGE", 2)
    dataset = space.dataset()
    ids = space.send(dataset, *((f"p{k}#a~b",) for k in range(6)))
    for record in ids.values():
        space.answer(record, better="A")
    space.collect(tmp_path)
    first = next(iter(ids))

    class Deleting(Flaky):
        """After the first whole page its first record goes."""

        def handle_request(self, request):
            found = super().handle_request(request)
            if "limit=2" in str(request.url) and ids:
                space.server.request("DELETE", f"datasets/{dataset.id}/records?ids={ids[first]}")
                ids.clear()
            return found

    http = httpx.Client(transport=Deleting(space.http, []), base_url=space.server.url)
    with ReviewStore.open(space.repo, tmp_path) as store:
        found = collect(http, space.repo, store, workspace=space.name, whole=True)
        gone = first.rpartition("@")[0]
        assert len(store.spot_checks()) == 5
        assert gone not in {each.row_id for each in store.spot_checks()}
        assert (found.new, found.removed, len(store.gone())) == (0, 1, 1)
    assert [each["submitted"] for each in found.reviewers.values()] == [5]


def test_who_may_not_read_is_told_so(space, tmp_path):
    with ReviewStore.open(space.repo, tmp_path) as store:
        with pytest.raises(InputError, match='no workspace "nobodys"'):
            collect(space.http, space.repo, store, workspace="nobodys")
        for code in (401, 403):
            with pytest.raises(InputError, match="the key may not read all answers"):
                collect(flaky(space, [code]), space.repo, store, workspace=space.name)
        with pytest.raises(Failure, match="it refuses"):
            collect(flaky(space, [418]), space.repo, store, workspace=space.name)


def test_two_collections_at_once_are_one_after_the_other(space, tmp_path):
    ids = space.send(space.dataset(), *((f"p{k}#a~b",) for k in range(12)))
    for record in ids.values():
        space.answer(record, better="A")
    found, faults = [], []

    def run():
        try:
            found.append(space.collect(tmp_path, whole=True)[0])
        except CharterError as error:
            faults.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(each.new for each in found) == [0, 0, 12]


def test_the_command_collects_and_says_what(space, tmp_path):
    (record,) = space.send(space.dataset(), ("p1#a~b",)).values()
    space.answer(record, better="TIE")
    code = "from charter.cli import main; main()"
    arguments = ["review", "collect", space.repo, "--workspace", space.name, "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **space.server.environment, "CHARTER_REVIEW": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["collected"], found["new"], found["rejected"]) == (1, 1, {})
    assert space.server.api_key not in done.stdout + done.stderr
    assert set(found) >= {"repo", "changed", "removed", "drafts", "discarded", "reviewers"}
