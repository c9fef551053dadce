"""The hidden folder of a training: what is seen at `out`, what is kept, and for whom."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from charter.errors import Failure, InputError
from charter.trainers.work import WorkFolder

IDENTITY = {"method": "sft", "limit": None}


def checkpoint(work, step):
    """A whole one, as the trainer leaves it."""
    folder = work.checkpoints / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "optimizer.pt").write_bytes(b"moments")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return folder


def finish(work):
    (work.model / "config.json").write_text("{}")
    work.publish()


def left_behind(place, *steps):
    """What a training that was interrupted after these checkpoints leaves."""
    with pytest.raises(KeyboardInterrupt), WorkFolder(place / "out", IDENTITY) as work:
        for step in steps:
            checkpoint(work, step)
        raise KeyboardInterrupt
    return work


@pytest.mark.parametrize("there", [True, False], ids=["a-folder", "nothing-yet"])
def test_a_link_leads_to_the_model(place, there):
    if there:
        (place / "disk").mkdir()
    (place / "out").symlink_to(place / "disk")
    with WorkFolder(place / "out", IDENTITY) as work:
        finish(work)
    assert (place / "out").is_symlink()
    assert (place / "out" / "config.json").is_file()
    assert sorted(path.name for path in place.iterdir()) == ["disk", "out"]


def test_folders_above_the_model_are_made(place):
    with WorkFolder(place / "a" / "b" / "out", IDENTITY) as work:
        finish(work)
    assert (place / "a" / "b" / "out" / "config.json").is_file()


def test_a_folder_with_other_things_is_no_model_to_resume(place):
    (place / "out").mkdir()
    (place / "out" / "precious").touch()
    with (
        pytest.raises(InputError, match="is not empty"),
        WorkFolder(place / "out", IDENTITY, resume=True),
    ):
        pass


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_comes_to_the_models_place_meanwhile_costs_no_model(place, kind):
    out = place / "out"
    with (
        pytest.raises(Failure, match=r"out: cannot be replaced by the model: .*; it is whole in "),
        WorkFolder(out, IDENTITY) as work,
    ):
        if kind == "file":
            out.touch()
        else:
            out.mkdir()
            (out / "precious").touch()
        finish(work)
    assert (work.model / "config.json").is_file()
    assert out.is_file() or (out / "precious").exists()


def test_the_folder_one_stands_in_is_not_replaced(place, monkeypatch):
    monkeypatch.chdir(place)
    with (
        pytest.raises(InputError, match="is the folder this command runs in; give a folder inside"),
        WorkFolder(place / ".", IDENTITY),
    ):
        pass
    assert list(place.parent.glob(".*")) == []


def test_the_root_of_all_folders_is_taken():
    with pytest.raises(InputError, match="is not empty"), WorkFolder(Path("/"), IDENTITY):
        pass


def test_the_last_checkpoint_is_that_of_most_steps(place):
    left_behind(place, 2, 10)
    with WorkFolder(place / "out", IDENTITY) as work:
        assert work.checkpoint() == str(work.checkpoints / "checkpoint-10")


@pytest.mark.parametrize(
    ("end", "new", "known"),
    [
        (None, False, False),
        (InputError("wrong"), False, True),
        (Failure("broken"), True, True),
    ],
    ids=["done", "wrong-input", "failure"],
)
def test_what_is_left_for_the_same_training(place, end, new, known):
    """Of one that made its first checkpoint now, and of one that found an earlier one's."""

    def run(out, step):
        expected = pytest.raises(type(end)) if end else nullcontext()
        with expected, WorkFolder(out, IDENTITY) as work:
            checkpoint(work, step)
            if end:
                raise end
        return work.folder.exists()

    assert run(place / "new", 1) is new
    left_behind(place, 1)
    assert run(place / "out", 2) is known


def test_a_failure_before_any_checkpoint_leaves_nothing(place):
    with pytest.raises(Failure), WorkFolder(place / "out", IDENTITY):
        raise Failure("broken")
    assert list(place.iterdir()) == []


def test_another_training_clears_what_it_finds_and_the_same_one_keeps_it(place):
    for identity, kept in ((IDENTITY, True), ({**IDENTITY, "limit": 5}, False)):
        work = left_behind(place, 3)
        work.runs.mkdir(exist_ok=True)
        with pytest.raises(Failure), WorkFolder(place / "out", identity) as again:
            assert (again.checkpoint() is not None, again.runs.exists()) == (kept, kept)
            assert list(again.model.iterdir()) == []
            raise Failure("broken")
        assert work.folder.exists() is kept
        shutil.rmtree(work.folder, ignore_errors=True)


def test_killed_before_any_checkpoint_it_begins_anew_whoever_comes(place):
    for identity in (IDENTITY, {**IDENTITY, "limit": 5}):
        with WorkFolder(place / "out", IDENTITY) as work:
            work.runs.mkdir()
            kept = shutil.copytree(work.folder, place / "kept")
        kept.rename(work.folder)
        with WorkFolder(place / "out", identity, resume=True) as again:
            assert again.checkpoint() is None and not again.runs.exists()


@pytest.mark.parametrize(
    ("name", "whole"),
    [("optimizer_0", True), ("global_step3", True), ("scheduler.pt", False)],
)
def test_a_checkpoint_is_whole_with_what_the_optimizer_knew(place, name, whole):
    with pytest.raises(KeyboardInterrupt), WorkFolder(place / "out", IDENTITY) as work:
        checkpoint(work, 2)
        (checkpoint(work, 3) / "optimizer.pt").rename(work.checkpoints / "checkpoint-3" / name)
        (checkpoint(work, 4) / "trainer_state.json").write_text('{"global_step": 4')
        raise KeyboardInterrupt
    with WorkFolder(place / "out", IDENTITY) as again:
        left = sorted(path.name for path in again.checkpoints.iterdir())
        assert left == ["checkpoint-2", "checkpoint-3"][: 2 if whole else 1]
        assert again.checkpoint() == str(again.checkpoints / left[-1])


def test_resume_refuses_what_one_identity_has_and_the_other_lacks(place):
    left_behind(place, 3)
    for wanted in ({"method": "sft"}, {**IDENTITY, "seed": 1}):
        with (
            pytest.raises(InputError, match=r"(?m)^.*(limit|seed): its checkpoint is of"),
            WorkFolder(place / "out", wanted, resume=True),
        ):
            pass
    with WorkFolder(place / "out", IDENTITY, resume=True) as work:
        assert work.checkpoint() is not None


def _open():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_refusal_lets_go_of_the_folder(place):
    before = _open()
    left_behind(place, 3)
    with pytest.raises(InputError), WorkFolder(place / "out", {}, resume=True):
        pass
    with (
        WorkFolder(place / "out", IDENTITY),
        pytest.raises(Failure, match="another training"),
        WorkFolder(place / "out", IDENTITY),
    ):
        pass
    assert _open() == before


def test_all_may_read_the_weights_who_may_read_the_rest(place):
    with WorkFolder(place / "out", IDENTITY) as work:
        weights = work.model / "model.safetensors"
        weights.write_bytes(b"w")
        weights.chmod(0o600)
        (work.model / "config.json").write_text("{}")
        (work.model / "config.json").chmod(0o644)
        work.publish()
    assert (place / "out" / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_process_beside_the_first_one_touches_nothing(place):
    with WorkFolder(place / "out", IDENTITY, owner=False) as work:
        work.publish()
        assert list(place.iterdir()) == []
    with WorkFolder(place / "out", IDENTITY) as first:
        with WorkFolder(place / "out", IDENTITY, owner=False):
            pass
        assert first.folder.exists()
