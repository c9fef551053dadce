"""Answers are kept, each once, whatever is killed; reviewers have names that say nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spot_checks import revision_check, spot_check

from charter.errors import Failure, InputError
from charter.review.reviewers import pseudonym, reviewer_key
from charter.review.spot_check import Human
from charter.review.store import Answer, ReviewStore, spot_check_of

REPO = "me/small"


@pytest.fixture
def store(tmp_path):
    with ReviewStore.open(REPO, tmp_path) as opened:
        yield opened


def answers(*checks, updated="2026-01-01T00:00:00.000001"):
    return [Answer(each, updated) for each in checks]


def read_whole(store, dataset, *checks, mark="m"):
    number = store.start(dataset)
    counts = store.keep(dataset, number, answers(*checks))
    return (*counts, store.finish(dataset, "name", number, mark, {"reviewers": {}, "rejected": {}}))


def test_a_spot_check_comes_back_as_it_was():
    for one in (spot_check(comment="a\0b\n", sure=None), revision_check(still_harmful=False)):
        assert spot_check_of(one.as_row()) == one


def test_readings_add_change_and_take_away(store):
    one, two = spot_check(1), spot_check(2)
    assert read_whole(store, "d", one, two) == (2, 0, 0)
    assert read_whole(store, "d", one, two) == (0, 0, 0)
    other = replace(one, verdict=Human.TIE)
    assert read_whole(store, "d", other) == (0, 1, 1)
    assert store.spot_checks() == [other]
    assert store.gone() == {two.id}
    assert read_whole(store, "d", other, two) == (1, 0, 0)
    assert store.gone() == set()
    # Another dataset's reading says nothing of this one's answers.
    assert read_whole(store, "e", spot_check(3)) == (1, 0, 0)
    assert len(store.spot_checks()) == 3


def test_a_reading_that_was_cut_takes_nothing_away(store):
    read_whole(store, "d", spot_check(1), spot_check(2))
    store.keep("d", store.start("d"), answers(spot_check(1)))
    assert len(store.spot_checks()) == 2
    assert store.reading("d").mark == "m"


def test_what_was_sent_is_known_once(store, tmp_path):
    store.note_sent(["a@1", "b@2"], "v0.1.0")
    store.note_sent(["b@2", "c@3"], "v0.2.0")
    with ReviewStore.open(REPO, tmp_path) as again:
        assert again.sent() == {"a@1", "b@2", "c@3"}
    with ReviewStore.open("me/other", tmp_path) as other:
        assert other.sent() == set()


SAID = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(Human)[:4])), max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(SAID, max_size=5))
def test_after_any_readings_there_is_what_the_last_one_saw(tmp_path_factory, readings):
    with ReviewStore.open(REPO, tmp_path_factory.mktemp("store")) as store:
        ever = set()
        for said in readings:
            now = {row: spot_check(row, verdict=verdict) for row, verdict in said}
            read_whole(store, "d", *now.values())
            assert {c.id: c for c in store.spot_checks()} == {c.id: c for c in now.values()}
            ever |= {c.id for c in now.values()}
            assert store.gone() == ever - {c.id for c in now.values()}


def test_files_are_their_owners_alone(store, tmp_path):
    names = [path for path in (tmp_path / "answers").rglob("*") if path.is_file()]
    assert len(names) >= 2
    assert {path.stat().st_mode & 0o077 for path in names} == {0}
    assert (tmp_path / "answers").stat().st_mode & 0o077 == 0
    assert (tmp_path / "answers" / "reviewers.key").is_file()  # elsewhere all get new names


def test_a_newer_file_another_repos_and_a_broken_one_are_refused(store, tmp_path):
    store._database.execute("UPDATE about SET value = '2' WHERE name = 'scheme'")
    with pytest.raises(InputError, match="scheme 2 is newer than 1"):
        ReviewStore.open(REPO, tmp_path)
    store._database.execute("UPDATE about SET value = '1' WHERE name = 'scheme'")
    store._database.execute("UPDATE about SET value = 'Me/Small' WHERE name = 'repo'")
    with pytest.raises(InputError, match="holds the answers of Me/Small"):
        ReviewStore.open(REPO, tmp_path)
    broken = tmp_path / "answers" / "me" / "broken.sqlite"
    broken.write_bytes(b"no database" * 99)
    with pytest.raises(Failure, match="cannot be read or kept"):
        ReviewStore.open("me/broken", tmp_path)
    with pytest.raises(InputError):
        ReviewStore.open("../etc", tmp_path)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from spot_checks import spot_check
from charter.review.store import Answer, ReviewStore
with ReviewStore.open("me/small", Path(sys.argv[1])) as store:
    print("open", flush=True)
    for number in range(1, 10_000):
        page = [spot_check(row, comment=str(number)) for row in range(20)]
        store.keep("d", number, [Answer(each, f"{number:09}") for each in page])
        store.finish("d", "name", number, str(number), {"reviewers": {}, "rejected": {}})
        print(number, flush=True)
"""


def test_what_was_kept_is_there_after_a_kill_at_any_moment(tmp_path):
    support = str(Path(__file__).parents[1] / "support")
    for k in range(5):
        folder = tmp_path / str(k)
        command = [sys.executable, "-c", WRITER, str(folder), support]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "open\n"
            time.sleep(0.05 + 0.037 * k)
            process.send_signal(signal.SIGKILL)
            said = process.stdout.read().split()
        with ReviewStore.open(REPO, folder) as store:
            found = {int(each.comment) for each in store.spot_checks()}
            assert len(found) <= 1  # a page is there whole
            last = int(said[-1]) if said else 0
            assert max(found, default=0) in (last, last + 1)


def test_a_pseudonym_is_the_users_own_and_says_nothing(tmp_path):
    key = reviewer_key(tmp_path)
    assert key == reviewer_key(tmp_path) and len(key) == 32
    (tmp_path / "other").mkdir()
    other = reviewer_key(tmp_path / "other")
    names = {pseudonym(k, user) for k in (key, other) for user in ("u1", "u2")}
    assert len(names) == 4
    assert all(len(name) == 16 and set(name) <= set("0123456789abcdef") for name in names)


def test_processes_that_start_together_draw_one_key(tmp_path):
    code = (
        "import sys; from pathlib import Path; from charter.review.reviewers import reviewer_key;"
        "sys.stdin.readline(); print(reviewer_key(Path(sys.argv[1])).hex())"
    )
    folder = tmp_path / "answers"
    folder.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    keys = {process.communicate("\n", timeout=60)[0] for process in processes}
    assert keys == {reviewer_key(folder).hex() + "\n"}
    assert [path.name for path in folder.iterdir()] == ["reviewers.key"]


def test_a_damaged_key_is_no_other_key(tmp_path):
    (tmp_path / "reviewers.key").write_text("abc")
    with pytest.raises(Failure, match="is not the key"):
        reviewer_key(tmp_path)


def test_a_store_opened_by_many_at_once_is_made_once(tmp_path):
    def note(number):
        with ReviewStore.open(REPO, tmp_path / str(number // 8)) as store:
            store.note_sent([str(number)], "v1.0.0")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(note, range(160)))
    for group in range(20):
        with ReviewStore.open(REPO, tmp_path / str(group)) as store:
            assert store.sent() == {str(group * 8 + k) for k in range(8)}
