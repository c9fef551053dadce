"""The order of the steps, what ends the rounds, and going on after a kill, with scripted steps."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap

import pytest

from charter.errors import Failure, Fault, InputError, Interrupted
from charter.improve.figures import RoundFigures
from charter.improve.loop import cut_off, run_rounds
from charter.improve.rules import End
from charter.improve.state import STEPS, LoopFolder, Step, read_done
from charter.recipes.improve import ImproveSettings, StopSettings

ORDER = [(0, Step.EVALUATE), *((n, step) for n in (1, 2) for step in STEPS)]
TWO = ImproveSettings(rounds=2)


RUN = {"train_rows": 4, "version": "me/small@v0.1.0", "path": "versions/v0.1.0"}
TRAINED = {"model": "m", "dataset": "me/small@v0.1.0", "metrics": {"steps": 2, "rows": 4}}


class Scripted:
    """Steps that only say that they were done; one of them may end the process instead."""

    def __init__(self, figures, wins=(0.5, 0.6, 0.7), dies_at=None, error=KeyboardInterrupt):
        self.figures, self.wins, self.dies_at, self.error = figures, wins, dies_at, error
        self.asked = []

    def do(self, number, step, done):
        assert list(done) == ORDER[: len(done)], "every step before is done, in order"
        self.asked.append((number, step))
        if (number, step) == self.dies_at:
            raise self.error
        if step is Step.EVALUATE:
            return {"figures": self.figures(number, win=self.wins[number]).as_json()}
        return dict(RUN if step in (Step.GENERATE, Step.JUDGE) else TRAINED)


def run(path, work, settings=TWO):
    with LoopFolder(path, "small", "0123456789abcdef") as folder:
        return run_rounds(folder, work, settings, lambda line: None)


def test_every_step_in_its_order(figures, tmp_path):
    work = Scripted(figures)
    outcome = run(tmp_path, work)
    assert work.asked == ORDER
    assert outcome.ends == (End.ROUNDS_DONE,)
    assert outcome.best == 2
    assert [each.number for each in outcome.rounds] == [0, 1, 2]


@pytest.mark.parametrize("at", range(len(ORDER)))
def test_cut_off_in_any_step_the_same_command_goes_on_there(figures, tmp_path, at):
    first = Scripted(figures, dies_at=ORDER[at])
    with pytest.raises(Interrupted) as caught:
        run(tmp_path, first)
    assert caught.value.exit_code == 130
    second = Scripted(figures)
    outcome = run(tmp_path, second)
    assert second.asked == ORDER[at:]
    assert outcome.rounds == run(tmp_path / "other", Scripted(figures)).rounds


def test_a_step_that_fails_is_not_done(figures, tmp_path):
    with pytest.raises(OSError, match="full"):
        run(tmp_path, Scripted(figures, dies_at=(1, Step.DPO), error=OSError("full")))
    again = Scripted(figures)
    run(tmp_path, again)
    assert again.asked[0] == (1, Step.DPO)


KILLED = """
    import os, sys, time
    from pathlib import Path
    from charter.improve.figures import RoundFigures
    from charter.improve.loop import run_rounds
    from charter.improve.state import LoopFolder, Step
    from charter.recipes.improve import ImproveSettings

    class Work:
        def do(self, number, step, done):
            if (number, str(step)) == (int(sys.argv[2]), sys.argv[3]):
                print("here", flush=True)
                time.sleep(60)
            if step is Step.EVALUATE:
                return {"figures": RoundFigures(number, {}, ()).as_json()}
            run = {"train_rows": 1, "version": "v", "path": "p"}
            return {**run, "model": "m", "dataset": "v", "metrics": {"steps": 1, "rows": 1}}

    with LoopFolder(Path(sys.argv[1]), "small", "0123456789abcdef") as folder:
        run_rounds(folder, Work(), ImproveSettings(rounds=2), lambda line: None)
"""


@pytest.mark.parametrize("at", [(1, Step.JUDGE), (1, Step.EVALUATE)])
def test_killed_for_good(figures, tmp_path, at):
    number, step = at
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), str(number), step]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "here\n"
        with pytest.raises(Failure, match="another process"):
            run(tmp_path, Scripted(figures))
        process.send_signal(signal.SIGKILL)
        process.wait()
    again = Scripted(figures)
    run(tmp_path, again)
    assert again.asked == ORDER[ORDER.index(at) :]


def test_more_rounds_go_on_and_fewer_look_back(figures, tmp_path):
    run(tmp_path, Scripted(figures), ImproveSettings(rounds=1))
    more = Scripted(figures)
    assert run(tmp_path, more).best == 2
    assert more.asked == ORDER[6:]
    none = Scripted(figures)
    fewer = run(tmp_path, none, ImproveSettings(rounds=1))
    assert none.asked == []
    assert (fewer.best, len(fewer.rounds)) == (1, 2)
    assert list(fewer.done) == ORDER[:6]


def test_a_rule_ends_the_rounds_and_a_looser_one_lets_them_go_on(figures, tmp_path):
    wins = (0.5, 0.2, 0.9)
    strict = Scripted(figures, wins)
    outcome = run(tmp_path, strict)
    assert outcome.ends == (End.QUALITY_FELL,)
    assert strict.asked == ORDER[:6]
    assert outcome.best == 0
    loose = ImproveSettings(rounds=2, stop=StopSettings(quality_ratio=0.1))
    after = run(tmp_path, Scripted(figures, wins), loose)
    assert after.ends == (End.ROUNDS_DONE,)
    assert after.best == 2
    # With the strict rule again, what lies behind its end does not count.
    back = run(tmp_path, Scripted(figures, wins))
    assert (back.ends, back.best, len(back.rounds)) == ((End.QUALITY_FELL,), 0, 2)


@pytest.mark.parametrize(("step", "config"), [(Step.GENERATE, "sft"), (Step.JUDGE, "preference")])
def test_no_rows_end_the_rounds(figures, tmp_path, step, config):
    class Empty(Scripted):
        def do(self, number, at, done):
            facts = super().do(number, at, done)
            return {**facts, "train_rows": 0} if (number, at) == (2, step) else facts

    outcome = run(tmp_path, Empty(figures))
    assert outcome.ends == (End.NO_ROWS,)
    assert config in outcome.said[0]
    assert [each.number for each in outcome.rounds] == [0, 1]
    # What the round took is known, though it was not measured.
    assert (2, step) in outcome.done
    assert run(tmp_path, Empty(figures)) == outcome


@pytest.mark.parametrize("at", [(1, Step.GENERATE), (2, Step.GENERATE), (2, Step.EVALUATE)])
def test_what_was_measured_before_a_failure_is_known(figures, tmp_path, at):
    failure = Failure(Fault("server", "", "is down", "start it"))
    work = Scripted(figures, dies_at=at, error=failure)
    with LoopFolder(tmp_path, "small", "0123456789abcdef") as folder:
        with pytest.raises(Failure):
            run_rounds(folder, work, TWO, lambda line: None)
        found = cut_off(folder, TWO, failure)
        assert "(OSError)" in cut_off(folder, TWO, OSError("full")).said[0]
    number, step = at
    assert found.ends == (End.CUT_OFF,)
    assert found.said[0].startswith(f"round {number} was cut off in `{step}` (is down)")
    assert [each.number for each in found.rounds] == list(range(number))
    assert list(found.done) == ORDER[: ORDER.index(at)]
    assert all(0 <= facts["seconds"] < 60 for facts in found.done.values())
    assert found.best == number - 1


def test_before_the_base_is_measured_nothing_is_known(figures, tmp_path):
    with LoopFolder(tmp_path, "small", "0123456789abcdef") as folder:
        assert cut_off(folder, TWO, OSError("full")) is None
        work = Scripted(figures, dies_at=ORDER[0], error=OSError("full"))
        with pytest.raises(OSError, match="full"):
            run_rounds(folder, work, TWO, lambda line: None)
        assert cut_off(folder, TWO, OSError("full")) is None


# The state


def test_the_state_is_whole_after_every_step(figures, tmp_path):
    class Watching(Scripted):
        def do(self, number, step, done):
            if done:
                state = json.loads((path / "state.json").read_text())
                assert len(state["steps"]) == len(done)
                assert sorted(p.name for p in path.iterdir()) == ["lock", "state.json"]
            return super().do(number, step, done)

    path = tmp_path / "small-0123456789ab"
    run(tmp_path, Watching(figures))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no state"),
        ("[]", "no state"),
        ('{"schema_version": 1}', "no state"),
        ('{"schema_version": 1, "steps": [{"round": 1, "step": "sing", "facts": {}}]}', "no state"),
        ('{"schema_version": 2, "steps": []}', "format 2"),
    ],
)
def test_a_state_that_cannot_be_read_is_a_fault_and_stays(figures, tmp_path, text, what):
    path = tmp_path / "small-0123456789ab"
    path.mkdir()
    (path / "state.json").write_text(text)
    with pytest.raises(InputError, match=what):
        run(tmp_path, Scripted(figures))
    assert (path / "state.json").read_text() == text


def test_a_state_of_other_bytes_or_that_is_no_file_is_one_too(tmp_path):
    path = tmp_path / "state.json"
    path.mkdir()
    with pytest.raises(Failure, match=r"state.json: cannot be read \(Is a directory\); give"):
        read_done(path)
    path.rmdir()
    path.write_bytes(b"\xff\xfe{")
    assert read_done(path / "state.json") == {}
    with pytest.raises(InputError, match="no state"):
        read_done(path)


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("facts", [None, [], "x", {}, {"seconds": "x"}, {"seconds": 1.0}])
def test_facts_that_are_damaged_are_a_fault_that_names_the_step(figures, tmp_path, at, facts):
    run(tmp_path, Scripted(figures), ImproveSettings(rounds=1))
    path = tmp_path / "small-0123456789ab" / "state.json"
    state = json.loads(path.read_text())
    state["steps"][at]["facts"] = facts
    path.write_text(json.dumps(state))
    number, step = ORDER[at]
    what = f"what round {number} left of its step `{step}` is gone or damaged; move its folder away"
    with pytest.raises(InputError, match=what):
        run(tmp_path, Scripted(figures))


@pytest.mark.parametrize(
    ("step", "key", "value"),
    [
        (Step.GENERATE, "cost", {}),
        (Step.SFT, "metrics", {"steps": 1}),
        (Step.EVALUATE, "figures", {"round": 0}),
        (Step.EVALUATE, "figures", []),
    ],
)
def test_so_are_those_with_a_damaged_part(figures, tmp_path, step, key, value):
    run(tmp_path, Scripted(figures), ImproveSettings(rounds=1))
    path = tmp_path / "small-0123456789ab" / "state.json"
    state = json.loads(path.read_text())
    state["steps"][ORDER.index((1, step))]["facts"][key] = value
    path.write_text(json.dumps(state))
    with pytest.raises(InputError, match="gone or damaged"):
        run(tmp_path, Scripted(figures))


def test_another_identity_is_another_folder(figures, tmp_path):
    run(tmp_path, Scripted(figures))
    with LoopFolder(tmp_path, "small", "fedcba9876543210") as folder:
        assert not folder.done


def test_figures_survive_the_state(figures, tmp_path):
    made = figures(0, win=0.5)
    with LoopFolder(tmp_path, "small", "0123456789abcdef") as folder:
        folder.put(0, Step.EVALUATE, {"figures": made.as_json(), "seconds": 1.0})
    with LoopFolder(tmp_path, "small", "0123456789abcdef") as folder:
        found = folder.done[0, Step.EVALUATE]["figures"]
    assert RoundFigures.from_json(found) == made
