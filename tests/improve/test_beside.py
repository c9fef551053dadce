"""Loops side by side: only such as can be compared, and what was set otherwise in them."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest
from click.testing import CliRunner
from scipy.stats import binomtest
from tiny_llama import tiny_llama

from charter.cli.improve import command
from charter.errors import InputError
from charter.evals.refusal import Refusal
from charter.improve.beside import Beside, Loop, read_loop, subject
from charter.improve.evaluate import asked_prompts
from charter.improve.figures import RoundFigures
from charter.improve.helpful import read_helpful
from charter.improve.run import improve
from charter.recipes import load_recipe
from charter.run.progress import Silent


@contextlib.contextmanager
def silent():
    yield Silent()


def test_a_weaker_penalty_beside_a_stronger_one(serve, good_script, rounds_file, tmp_path):
    path, out = rounds_file(serve(good_script).url), tmp_path / "out"
    first = improve(
        load_recipe(path, ("improve.rounds=1", "improve.beta=0.4")), out, lambda _: None, silent
    )
    assert first.beside is None
    assert "Beside other loops" not in (first.folder / "report.html").read_text()

    told = CliRunner().invoke(
        command,
        [
            *(str(path), "--out", str(out), "--set", "improve.beta=0.01"),
            *("--rounds", "1", "--beside", str(first.folder)),
        ],
    )
    assert told.exit_code == 0, told.output
    folder = next(each for each in (out / "improve").iterdir() if each.name != first.folder.name)
    found = json.loads((folder / "report.json").read_text())
    beside = found["beside"]
    assert beside["loops"] == [folder.name, first.folder.name]
    assert beside["differing"] == {"improve.beta": ["0.01", "0.4"]}
    assert [(each["round"], each["category"]) for each in beside["paired"]] == [
        (1, "harmful"),
        (1, "benign"),
        (1, "sounds-harmful"),
    ]
    assert all(each["difference"]["n"] == 3 for each in beside["paired"])
    page = (folder / "report.html").read_text()
    for text in (told.output, page):
        assert "improve.beta" in text
        assert f"{found['rounds'][1]['last_kl']:.3g}" in text
        assert f"{first.found['rounds'][1]['last_kl']:.3g}" in text
        assert "McNemar" in text
    assert page.count(first.folder.name) == 5  # settings, figures, and three categories


def test_refusals_are_compared_prompt_by_prompt(tmp_path):
    # Of 20 harmful prompts the other loop refuses the first 10, this one all but the first.
    said = {"here": [False] + [True] * 19, "there": [True] * 10 + [False] * 10}
    said_as = {True: Refusal.FULL.value, False: Refusal.COMPLIANCE.value}
    loops = []
    for name, refused in said.items():
        folder = tmp_path / name
        folder.mkdir()
        answers = [
            {"id": f"h{i}", "category": "harmful", "outcome": said_as[each]}
            for i, each in enumerate(refused)
        ]
        # An answer that failed is compared with none.
        answers.append({"id": "x", "category": "harmful", "outcome": None})
        lines = "\n".join(map(json.dumps, answers))
        (folder / "answers-1.jsonl").write_text(lines + "\n")
        loops.append(Loop.from_json(loop(name, rounds=[round_of(1)]), folder))
    (change,) = Beside(loops).paired()
    assert (change.loop, change.round, change.category) == ("there", 1, "harmful")
    assert change.difference.value == pytest.approx(0.45) and change.difference.n == 20
    assert change.p == pytest.approx(binomtest(1, 11).pvalue)
    assert "+0.45 [" in Beside(loops).section()


def test_answers_that_are_gone_are_compared_with_none(tmp_path):
    loops = [Loop.from_json(loop(name, rounds=[round_of(1)]), tmp_path) for name in "ab"]
    assert Beside(loops).paired() == []
    assert "McNemar" not in Beside(loops).section()
    assert "the answers of round 1 of b are gone" in Beside(loops).section()


def test_a_loop_that_was_cut_off_is_marked(tmp_path):
    said = "round 2 was cut off in `judge` (<the disk is full>); the same command goes on"
    whole, cut = loop("a"), {**loop("b"), "end": "CUT_OFF", "ends": ["CUT_OFF"], "said": [said]}
    beside = Beside([Loop.from_json(each, tmp_path) for each in (whole, cut)])
    assert beside.missing() == [f"b: {said}"]
    assert "b: round 2 was cut off in `judge` (&lt;the disk is full&gt;)" in beside.section()


def test_contents_that_changed_behind_a_path_are_a_difference(rounds_file, tiny_model, tmp_path):
    helpful, judge = tmp_path / "helpful.jsonl", tmp_path / "judge"
    override = [
        f"improve.helpful={{path: {helpful}}}",
        f"models.judge={{llm: local, model: {judge}}}",
    ]
    found = []
    for seed in (5, 9):
        path = rounds_file("http://127.0.0.1:1/v1", prompts=seed)
        helpful.write_text(json.dumps({"prompt": "q", "completion": f"answer {seed}"}) + "\n")
        shutil.rmtree(judge, ignore_errors=True)
        tiny_llama(judge, ["yes", "no"], seed=seed)
        loaded = load_recipe(path, override)
        mixed = read_helpful(loaded.recipe.improve.helpful, tmp_path)
        found.append(subject(loaded, asked_prompts(loaded), mixed))
    one, other = (
        Loop.from_json(loop(name, **each), tmp_path) for name, each in zip("ab", found, strict=True)
    )
    assert one.evaluated == other.evaluated
    _, rows = Beside((one, other)).differing()
    assert [row[0] for row in rows] == [f"contents.{n}" for n in ("prompts", "helpful", "models")]


def test_what_cannot_be_compared_is_told_before_any_round(
    serve, good_script, rounds_file, tmp_path
):
    path = rounds_file(serve(good_script).url)
    other = tmp_path / "other"
    other.mkdir()
    (other / "report.json").write_text(json.dumps(loop("a", evaluated="other prompts")))
    both = (other, tmp_path / "none")
    with pytest.raises(InputError) as caught:
        improve(load_recipe(path), tmp_path / "out", lambda _: None, silent, both)
    said = [fault.what for fault in caught.value.faults]
    assert said[0].startswith("was measured on other prompts")
    assert said[1:] == ["is not there"]
    assert not (tmp_path / "out").exists()


def test_a_plan_has_nothing_beside_it(rounds_file, tmp_path):
    path = rounds_file("http://127.0.0.1:1/v1")
    told = CliRunner().invoke(command, [str(path), "--plan", "--beside", str(tmp_path)])
    assert told.exit_code == 2 and "--plan makes none" in told.output


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rounds": 1, "best": {"round": 0}}', "\x00"])
def test_what_is_no_report(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match="no report of rounds"):
        read_loop(tmp_path, "sha")


def test_texts_of_another_loop_stay_texts(tmp_path):
    evil = "<script>alert(1)</script>"
    loops = [
        Loop.from_json(loop(name, recipe={"prompts.path": name}), tmp_path) for name in ("a", evil)
    ]
    page = Beside(loops).section()
    assert evil not in page
    assert "&lt;script&gt;" in page


def test_loops_that_differ_in_nothing(tmp_path):
    loops = [Loop.from_json(loop(name), tmp_path) for name in "ab"]
    assert Beside(loops).differing()[1] == []
    assert "set otherwise.</p>" in Beside(loops).section()


def round_of(number):
    figures = RoundFigures(
        number=number, categories={}, refuse=(), length=None, diversity=None, cut=0.0
    )
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    return {**figures.as_json(), "last_kl": None, "helpful": None, "quality": nothing}


def loop(name, evaluated="sha", recipe=None, rounds=()):
    return {
        "loop": name,
        "evaluated": evaluated,
        "recipe": recipe or {},
        "best": {"round": 0},
        "rounds": list(rounds),
    }
