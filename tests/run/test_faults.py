"""Whole runs against faults of disk, cache, clock and server."""

from __future__ import annotations

import errno
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from charter.errors import Failure
from charter.models.cache import default_cache_path
from charter.recipes import load_recipe
from charter.run import run_recipe
from charter.run.progress import Silent


def version(out):
    """What a run into `out` published, file by file, but for card and manifest."""
    (path,) = (out / "versions" / "me" / "small").glob("v*")
    return contents(path)


def published(result):
    return contents(result.published.path)


def contents(path):
    files = (p for p in sorted(path.rglob("*")) if p.is_file())
    skip = ("README.md", "charter.json")
    return {str(p.relative_to(path)): p.read_bytes() for p in files if p.name not in skip}


def test_two_runs_at_once_have_the_same_answers(
    serve, good_script, recipe_file, replies, tmp_path, charter, zygote
):
    """A model that never says the same twice: the first answer of a call is everyone's."""
    count = iter(range(10**6))

    def script(body):
        replies.sleep(0.003)
        if replies.role_of(body) == "judge":
            return good_script(body)
        return replies.say(f"answer {next(count)}")

    server = serve(script)
    path = str(recipe_file(server.url, 30))
    pids = [charter("run", path, "--no-train", "--out", name) for name in ("one", "two")]
    assert [zygote.end(pid) for pid in pids] == [0, 0], (tmp_path / "log").read_text()[-3000:]
    asked = len(server.requests)
    assert zygote.end(charter("run", path, "--no-train", "--out", "three")) == 0
    assert len(server.requests) == asked
    one, two, three = (version(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two == three


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(
    serve, good_script, recipe_file, tmp_path, monkeypatch
):
    from charter.hub.stored import RowWriter

    server = serve(good_script)
    path = recipe_file(server.url, 20)
    add = RowWriter.add

    def full(self, config, rows):
        if config == "sft":
            raise OSError(errno.ENOSPC, "No space left on device")
        add(self, config, rows)

    with monkeypatch.context() as patch:
        patch.setattr(RowWriter, "add", full)
        with pytest.raises(Failure, match=r"No space left.*make room"):
            run_recipe(load_recipe(path), tmp_path / "out")
    before = len(server.requests)
    result = run_recipe(load_recipe(path), tmp_path / "out")
    assert result.counts["sft"] == 20
    assert len(server.requests) == 20 * 6 and before <= 20 * 6


@pytest.mark.parametrize("writing", ["set_state", "log"])
def test_a_disk_that_takes_not_even_the_end_of_a_run_is_told(
    serve, good_script, recipe_file, tmp_path, monkeypatch, writing
):
    from charter.run.folder import RunFolder

    def full(self, *args, **facts):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = recipe_file(serve(good_script).url, 6)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, writing, full)
        with pytest.raises(Failure, match=r"No space left.*make room"):
            run_recipe(load_recipe(path), tmp_path / "out")
    assert run_recipe(load_recipe(path), tmp_path / "out").counts["sft"] == 6


def test_a_disk_without_room_for_rows_is_told_by_the_folder_they_lie_in(tmp_path, monkeypatch):
    from charter.run.spool import Spool

    def full(data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with closing(Spool(tmp_path)) as spool, monkeypatch.context() as patch:
        patch.setattr(spool, "_file", SimpleNamespace(write=full, close=spool._file.close))
        with pytest.raises(Failure, match=rf"{tmp_path}: rows cannot be written \(No space left"):
            spool.add({"prompt_id": "p"})


def test_a_full_disk_under_the_cache_is_told(
    serve, good_script, recipe_file, tmp_path, monkeypatch
):
    from charter.models.cache import CallCache

    def full(self, kept, failed):
        raise sqlite3.OperationalError("database or disk is full")

    path = recipe_file(serve(good_script).url, 6)
    monkeypatch.setattr(CallCache, "_put", full)
    with pytest.raises(Failure, match="full"):
        run_recipe(load_recipe(path), tmp_path / "out")


def test_a_disk_that_fills_under_the_cache_costs_the_calls_in_flight_alone(
    serve, good_script, recipe_file, tmp_path, monkeypatch
):
    from charter.models.cache import CallCache

    server = serve(good_script)
    path = recipe_file(server.url, 30, run={"in_flight": 8, "timeout": 5.0})
    put = CallCache._put
    kept = []

    def fills(self, entries, failed):
        if len(kept) == 40:
            raise sqlite3.OperationalError("database or disk is full")
        kept.extend(entries)
        return put(self, entries, failed)

    monkeypatch.setattr(CallCache, "_put", fills)
    with pytest.raises(Failure, match="full"):
        run_recipe(load_recipe(path), tmp_path / "out")
    assert len(server.requests) <= 40 + 8


def test_an_entry_with_changed_bytes_is_made_again(serve, good_script, recipe_file, tmp_path):
    server = serve(good_script)
    path = recipe_file(server.url, 10)
    first = run_recipe(load_recipe(path), tmp_path / "one")
    asked = len(server.requests)
    with sqlite3.connect(default_cache_path()) as db:
        db.execute("UPDATE calls SET text = 'poison' WHERE id IN (2, 3)")
    said = []

    class Listener(Silent):
        def say(self, line):
            said.append(line)

    second = run_recipe(load_recipe(path), tmp_path / "two", Listener())
    assert len(server.requests) == asked + 2
    assert "2 damaged entries of the call cache were not used" in said
    assert published(first) == published(second)
    run_recipe(load_recipe(path), tmp_path / "three")
    assert len(server.requests) == asked + 2


def test_a_refused_key_ends_a_run_before_rows_are_spent(serve, recipe_file, tmp_path):
    server = serve(lambda body: (401, {}, b"bad key"))
    with pytest.raises(Failure, match="OPENAI_API_KEY"):
        run_recipe(load_recipe(recipe_file(server.url, 200)), tmp_path / "out")
    assert len(server.requests) <= 8  # what was in flight


def test_people_are_told_of_a_server_that_goes_and_comes_and_of_an_old_cache(
    serve, good_script, recipe_file, tmp_path, own_cache
):
    with sqlite3.connect(default_cache_path()) as db:
        db.executescript("CREATE TABLE calls (key TEXT, answer TEXT); PRAGMA user_version=1")
    asked, said = iter(range(10**6)), []

    class Listener(Silent):
        def say(self, line):
            said.append(line)

    def script(body):
        away = next(asked) > 4 and not any("waiting, then trying again" in line for line in said)
        return (503, {}, b"busy") if away else good_script(body)

    server = serve(script)
    path = recipe_file(server.url, 12, run={"retries": 9, "in_flight": 8})
    run_recipe(load_recipe(path), tmp_path / "out", Listener())
    lane = f"{server.url}/chat/completions scripted: "
    told = [line.removeprefix(lane)[:5] for line in said if line.startswith(lane)]
    assert told == ["fails", "answe"]
    assert any(line.startswith("a call cache of an older charter is now ") for line in said)


@pytest.mark.parametrize(
    "reply",
    [
        (200, {}, b"<html>It works!</html>"),
        (200, {}, b'{"error": {"message": "overloaded"}}'),
        (200, {}, b'{"choices": "none"}'),
        (500, {}, b""),
    ],
    ids=["html", "error-body", "wrong-json", "500"],
)
def test_a_server_that_answers_nonsense_alone_ends_a_run(serve, recipe_file, tmp_path, reply):
    path = recipe_file(serve(lambda body: reply).url, 60, run={"retries": 0, "in_flight": 4})
    with pytest.raises(Failure):
        run_recipe(load_recipe(path), tmp_path / "out")
    assert not list((tmp_path / "out").glob("versions/*/*/v*"))


def test_what_a_filter_holds_back_is_a_reject_of_its_own_reason(
    serve, good_script, recipe_file, replies, tmp_path
):
    import polars as pl

    def script(body):
        if "number 3 " in body["messages"][0]["content"] and replies.role_of(body) == "respond":
            return replies.say("half of it", finish_reason="content_filter")
        return good_script(body)

    server = serve(script)
    result = run_recipe(load_recipe(recipe_file(server.url, 12)), tmp_path / "out")
    rejects = pl.concat(
        [pl.read_parquet(p) for p in sorted(result.published.path.glob("rejects/*.parquet"))]
    )
    lost = rejects.filter(pl.col("prompt_id") == "p3")["reason"].to_list()
    assert "CONTENT_FILTERED" in lost and result.counts["sft"] == 11


def test_a_clock_that_goes_backwards_changes_nothing(
    serve, good_script, recipe_file, tmp_path, monkeypatch
):
    path = recipe_file(serve(good_script).url, 8)
    first = run_recipe(load_recipe(path), tmp_path / "one")
    now = time.time()
    backwards = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: now - next(backwards) * 3600)
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "other"))
    second = run_recipe(load_recipe(path), tmp_path / "two")
    assert published(first) == published(second)


def test_a_text_that_does_not_fit_leaves_no_part_of_itself(tmp_path, monkeypatch):
    from charter.run.folder import write_whole

    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "report.html").write_text("before")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(Path, "replace", full)
        write_whole(tmp_path / "report.html", "after")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "before"
