"""Sending to the real server: blind, each row once, resumable after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from versions import version_of

from charter.errors import CharterError, Failure, Fault, InputError
from charter.review import remote
from charter.review.client import Server, connect
from charter.review.plan import SendOptions
from charter.review.send import plan_only, send_rows
from charter.review.store import ReviewStore
from charter.run.progress import Silent

pytestmark = pytest.mark.xdist_group("argilla")
N = 34


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    def change(rows):
        evil = '<img src="//t.example/x.png" onerror="x()">'
        rows["preference"][0]["chosen"][0]["content"] += evil

    return version_of(tmp_path_factory.mktemp("sent"), N, change)


@pytest.fixture
def store(tmp_path):
    with ReviewStore.open("me/small", tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def options(request):
    name = request.node.name.replace("[", "-").rstrip("]")[:60]
    return SendOptions(
        n=10,
        uncertain=0.5,
        gold=None,
        gold_share=0.1,
        overlap=1,
        critiques=False,
        shown=False,
        again=False,
        seed=1,
        split=None,
        workspace=name,
    )


@pytest.fixture
def send(argilla, version, store):
    client = connect(Server(argilla.url, argilla.api_key))

    def sent(options, kind="preference", store=store):
        return send_rows(version, kind, options, client, store, Silent())

    yield sent
    client.http_client.close()


def dataset_of(found):
    return found["url"].split("/dataset/")[1].split("/")[0]


def records(argilla, found):
    path = f"datasets/{dataset_of(found)}/records?limit=500&include=suggestions"
    return argilla.get(path)["items"]


def test_each_row_once_until_there_is_none(argilla, send, options, store):
    first = send(options)
    assert (first["sent"], first["already"], first["by_share"]["gold"]) == (10, 0, 0)
    second = send(options)
    assert (second["sent"], second["already"]) == (10, 10)
    third = send(replace(options, n=99, seed=5))
    assert third["sent"] == third["population"] == 12
    none = send(options)
    assert (none["sent"], none["already"], none["drawn"]) == (0, 32, 0)
    ids = Counter(each["metadata"]["row_id"] for each in records(argilla, first))
    assert len(ids) == 32
    assert set(ids.values()) == {1}
    assert len(store.sent()) == 32


def test_a_lost_log_sends_nothing_twice(send, options, tmp_path):
    send(options)
    with ReviewStore.open("me/small", tmp_path / "other") as other:
        again = send(replace(options, n=99), store=other)
    assert (again["sent"], again["already"]) == (22, 10)


def test_what_is_on_another_server_is_not_sent_to_this_one(send, options):
    send(options)
    again = send(replace(options, n=99, workspace=f"{options.workspace}-2"))
    assert (again["sent"], again["already"]) == (22, 10)


def test_two_at_once_are_one_after_the_other(argilla, version, tmp_path, options):
    found, faults = [], []

    def run(seed):
        client = connect(Server(argilla.url, argilla.api_key))
        try:
            with ReviewStore.open("me/small", tmp_path / "data") as store:
                wanted = replace(options, seed=seed)
                found.append(send_rows(version, "preference", wanted, client, store, Silent()))
        except CharterError as error:
            faults.append(error)
        finally:
            client.http_client.close()

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted((each["sent"], each["already"]) for each in found) == [
        (10, 0),
        (10, 10),
        (10, 20),
    ]
    assert len({each["metadata"]["row_id"] for each in records(argilla, found[0])}) == 30


def test_again_sends_what_was_sent(argilla, send, options):
    send(replace(options, n=99))
    again = send(replace(options, n=5, again=True))
    assert (again["drawn"], again["sent"], again["population"]) == (5, 5, 32)
    # In the other order, so that no answer on the earlier record is read the wrong way round.
    rows = Counter(each["metadata"]["row_id"] for each in records(argilla, again))
    assert Counter(rows.values()) == {1: 27, 2: 5}


def test_people_do_not_see_what_the_ai_said(argilla, send, options):
    found = send(options)
    person = argilla.user("send-person", options.workspace)
    path = f"me/datasets/{dataset_of(found)}/records/search?limit=500&include=suggestions"
    page = argilla.post(path, {}, key=person)["items"]
    assert len(page) == 10
    for each in (item["record"] for item in page):
        assert not each["suggestions"]
        assert set(each["metadata"]) <= {"principle_id", "category"}
    for each in records(argilla, found):
        assert each["metadata"]["saw_ai"] == "no"
        assert each["metadata"]["inclusion"] > 0
    sides = {each["metadata"]["first"] for each in records(argilla, found)}
    assert sides == {"chosen", "rejected"}


def test_the_label_is_shown_where_that_is_asked_for(argilla, send, options):
    found = send(replace(options, shown=True))
    assert found["dataset"] == "me--small--preference--shown"
    for each in records(argilla, found):
        (suggestion,) = each["suggestions"]
        assert suggestion["value"] == ("A" if each["metadata"]["first"] == "chosen" else "B")
        assert suggestion["agent"] == "tiny-135m"
        assert each["metadata"]["saw_ai"] == "yes"


def test_markup_reaches_the_server_as_text(argilla, send, options):
    found = send(replace(options, n=99))
    texts = json.dumps([each["fields"] for each in records(argilla, found)])
    assert "&lt;img" in texts
    assert "<img" not in texts


def test_sft_rows(argilla, send, options):
    found = send(replace(options, n=99), kind="sft")
    assert found["sent"] == len(records(argilla, found)) > 10
    assert found["by_share"]["uncertain"] == 0


def test_gold_rows_are_their_share(argilla, send, options, tmp_path):
    path = tmp_path / "gold.jsonl"
    own = [
        {"prompt": f"Why {i}?", "chosen": "So.", "rejected": "No.", "answer": "CHOSEN"}
        for i in range(5)
    ]
    lines = [*own, {"row_id": "p5#a~b", "answer": "TIE"}]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    found = send(replace(options, gold=path, gold_share=0.6))
    assert found["by_share"]["gold"] == 6
    assert found["sent"] == 10
    gold = [e["metadata"] for e in records(argilla, found) if e["metadata"]["share"] == "gold"]
    assert {each["inclusion"] for each in gold} == {1.0}
    assert Counter(each["gold"] for each in gold) == {"CHOSEN": 5, "TIE": 1}


def test_the_number_of_reviewers_is_that_of_the_last_command(argilla, send, options):
    send(replace(options, n=3))
    found = send(replace(options, n=3, overlap=2))
    assert argilla.get(f"datasets/{dataset_of(found)}")["distribution"]["min_submitted"] == 2


@pytest.mark.parametrize("seed", [1, 2])  # the other draw shows some rows in the other order
def test_a_draw_that_goes_on_leaves_out_what_was_sent_since(
    argilla, send, options, store, monkeypatch, seed
):
    inner, room = remote.Remote.put, [1, 2]

    def put(self, batch):
        if not room:
            raise Failure(Fault(self.place, "", "it is not reached", "run it again"))
        room.pop()
        inner(self, batch)

    monkeypatch.setattr(remote, "_MOST", 2)
    with monkeypatch.context() as patch, pytest.raises(Failure):
        patch.setattr(remote.Remote, "put", put)
        send(options)
    assert len(store.sent()) == 4  # what the server has taken, and no more
    other = send(replace(options, shown=True, n=20, seed=seed))
    found = send(options)
    ids = [each["metadata"]["row_id"] for sent in (other, found) for each in records(argilla, sent)]
    assert len(ids) == len(set(ids)) < 30
    assert 0 < found["already"] < 10 and found["sent"] + found["already"] == 10


def test_who_may_not_send_is_told_so(argilla, version, store, send, options):
    name = options.workspace
    client = connect(Server(argilla.url, argilla.user("send-annotator", name)))
    for _ in range(2):  # where there is no dataset yet, and where there is one
        with pytest.raises(InputError, match="use the key of an owner, or of an admin"):
            send_rows(version, "preference", options, client, store, Silent())
        send(replace(options, n=2))
    client.http_client.close()


def test_a_rationale_is_not_blind(send, options):
    with pytest.raises(InputError, match="--show-ai"):
        send(replace(options, critiques=True))
    found = send(replace(options, critiques=True, shown=True, n=2))
    assert found["sent"] == 2
    with pytest.raises(InputError, match="rationale"):
        send(replace(options, shown=True, n=2))


def test_a_dry_run_draws_the_same_and_sends_nothing(argilla, version, store, send, options):
    dry = plan_only(version, "preference", options, store)
    assert (dry["sent"], dry["url"], len(dry["rows"])) == (0, None, 10)
    found = send(options)
    assert {each["metadata"]["row_id"] for each in records(argilla, found)} == set(dry["rows"])


def test_killed_at_any_batch_the_same_command_sends_the_rest(argilla, version, tmp_path, options):
    """A client that dies after some batches; SIGKILL, as a power cut would."""
    data = tmp_path / "data"
    arguments = ["review", "send", str(version.path), "--n", "20", "--data", str(data)]
    arguments += ["--workspace", options.workspace, "--seed", "1", "--json"]
    script = "import charter.review.remote as r; r._MOST = 2\nfrom charter.cli import main; main()"
    kept = {
        "url": argilla.url,
        "username": argilla.username,
        "password": argilla.password,
        "api_key": argilla.api_key,
    }
    data.mkdir()
    (data / "credentials.json").write_text(json.dumps(kept))
    command = [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for _ in range(600):
        with ReviewStore.open("me/small", data) as opened:
            if len(opened.sent()) >= 6 or process.poll() is not None:
                break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with ReviewStore.open("me/small", data) as opened:
        before = len(opened.sent())
    assert 6 <= before < 20, "it was not killed midway"
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(done.stdout.splitlines()[-1])
    there = records(argilla, found)
    assert len(there) == 20 == len({each["metadata"]["row_id"] for each in there})
    assert 20 - before - 2 <= found["sent"] <= 20 - before
    assert found["sent"] + found["already"] == 20
