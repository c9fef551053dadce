"""`charter improve`: what it plans, prints and refuses, without a round."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from charter.cli.improve import _show_depth, command
from charter.cli.main import main
from charter.cli.output import Output
from charter.evals.depth import Prefilled, depth_figures
from charter.improve.figures import RoundFigures
from charter.improve.loop import Outcome
from charter.stats import wilson

MODEL = {"llm": "local", "max_tokens": 8}


@pytest.fixture
def recipe(recipe_file):
    return recipe_file("http://127.0.0.1:1/v1", models={"generator": MODEL})


def test_the_plan_says_each_step_and_writes_nothing(recipe, tmp_path):
    out = tmp_path / "out"
    arguments = [str(recipe), "--rounds", "2", "--plan", "--json", "--out", str(out)]
    ran = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    found = json.loads(ran.stdout.splitlines()[-1])
    assert [step["step"] for step in found["steps"]] == [
        "evaluate",
        *(["generate", "sft", "judge", "dpo", "evaluate"] * 2),
    ]
    # 6 prompts: an answer, a critique, a revision; then 2 candidates and a pair in both orders.
    # 48 are asked: an answer, and both orders against the base and the round before.
    assert [step["calls"] for step in found["steps"]] == [
        48,
        *(18, 0, 24, 0, 48 * 3),
        *(18, 0, 24, 0, 48 * 5),
    ]
    assert not out.exists()


def test_the_option_for_rounds_comes_before_what_is_set(recipe, tmp_path):
    given = [str(recipe), "--rounds", "2", "--set", "improve.rounds=5", "--plan", "--json"]
    ran = CliRunner().invoke(command, [*given, "--out", str(tmp_path)], catch_exceptions=False)
    assert json.loads(ran.stdout.splitlines()[-1])["rounds"] == 2


def test_the_plan_counts_what_a_depth_takes(recipe, tmp_path):
    arguments = [str(recipe), "--rounds", "1", "--plan", "--json", "--out", str(tmp_path / "out")]
    asked = ["--set", "improve.evaluate.depth={prefill: [0, 5, 9]}"]
    plain, deep = (
        json.loads(CliRunner().invoke(command, [*arguments, *more]).stdout.splitlines()[-1])
        for more in ([], asked)
    )
    more = [b["calls"] - a["calls"] for a, b in zip(plain["steps"], deep["steps"], strict=True)]
    # 16 harmful prompts: an answer of the base and three continuations; then two passes instead.
    assert more == [16 * 4, 0, 0, 0, 0, 16 * 5]
    assert plain["path"] != deep["path"]


def test_a_depth_is_in_the_text_where_it_was_measured(capsys):
    attacked = [Prefilled(0, wilson(1, 9), 0), Prefilled(40, wilson(3, 9), 1)]
    depth = depth_figures(np.ones((9, 6)), attacked)
    base = RoundFigures(0, {}, (), depth=depth, depth_notes=("3 of 12 prompts left out: short",))
    rounds = (base, replace(base, number=1))
    _show_depth(Output(False), Outcome((), (), 1, rounds, {}))
    said = capsys.readouterr().out
    assert "How deep the safety goes" in said and "round 1 *" in said
    assert "complies after 40" in said and "0.333 [0.121, 0.646]" in said
    assert said.count("depth: 3 of 12 prompts left out: short") == 1
    _show_depth(Output(False), Outcome((), (), 0, (RoundFigures(0, {}, ()),), {}))
    assert capsys.readouterr().out == ""


def test_what_is_done_is_in_the_plan(recipe, tmp_path):
    arguments = [str(recipe), "--rounds", "1", "--plan", "--json", "--out", str(tmp_path / "out")]
    first = json.loads(CliRunner().invoke(command, arguments).stdout.splitlines()[-1])
    folder = tmp_path / "out" / "improve" / first["path"].rpartition("/")[2]
    folder.mkdir(parents=True)
    facts = {"figures": RoundFigures(0, {}, ()).as_json(), "seconds": 1.0}
    steps = [{"round": 0, "step": "evaluate", "facts": facts}]
    (folder / "state.json").write_text(json.dumps({"schema_version": 1, "steps": steps}))
    again = json.loads(CliRunner().invoke(command, arguments).stdout.splitlines()[-1])
    assert [step["done"] for step in again["steps"]] == [True, *[False] * 5]


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(["improve", *map(str, arguments)])
    return caught.value.code, capsys.readouterr().err


def test_a_generator_on_a_server_cannot_be_improved(recipe_file, tmp_path, capsys):
    path = recipe_file("http://127.0.0.1:1/v1")
    code, said = fails(capsys, path, "--out", tmp_path / "out")
    assert code == 2
    assert "models.generator" in said
    assert "; " in said
    assert not (tmp_path / "out").exists()


def test_a_card_is_of_a_hub(recipe, tmp_path, capsys):
    code, said = fails(capsys, recipe, "--out", tmp_path / "out", "--card", "keep")
    assert code == 2 and "--card belongs to a Hub" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("improve.judge=folows", "follows"),
        ("improve.stop.over_refusl=0.1", "over_refusal"),
        ("improve.evaluate.path=gone.jsonl", "gone.jsonl"),
        ("improve.evaluate.refuse=[harmfull]", "harmful"),
        ("improve.helpful={path: gone.jsonl}", "gone.jsonl"),
        ("improve.helpful={share: 0.5}", "name one of them"),
        ("improve.quality={behaviour: 0.0, preference: 0.0}", "both weights are 0"),
        ("improve.evaluate={refuse: [harmful], answer: [harmful]}", "leave it in one"),
        ("improve.evaluate.tax={tasks: [humaneval]}", "improve.evaluate.tax.tasks"),
        ("improve.evaluate.tax={tasks: [GSM8K, gsm8k]}", "asked for twice"),
        ("train.sft={recovery: {share: 2}}", "recovery.share"),
        ("improve.evaluate={depth: {}, per_category: 2}", "improve.evaluate.depth"),
        ("improve.evaluate.depth={prefill: [5, 0]}", "rising"),
    ],
)
def test_wrong_settings_are_said_before_anything_is_done(recipe, tmp_path, capsys, override, said):
    code, error = fails(capsys, recipe, "--out", tmp_path / "out", "--set", override)
    assert code == 2
    assert said in error
    assert not (tmp_path / "out").exists()


def test_a_full_out_that_is_a_file_is_a_failure(recipe, tmp_path, capsys):
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "improve").write_text("in the way")
    code, error = fails(capsys, recipe, "--out", tmp_path / "out")
    assert code == 1
    assert "--out" in error


def test_the_block_is_in_the_recipes_schema():
    from charter.recipes import Recipe

    assert "improve" in yaml.safe_load(yaml.safe_dump(Recipe.model_json_schema()))["properties"]
