"""`charter report` from its options to its page and its gates, on a tiny model that refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from drafts import draft
from taught import asked_file, taught_model

from charter.cli.output import Output
from charter.cli.report import command, end_unless_reached, report_release
from charter.cli.report_parts import Asked, _given, _held, read_settings
from charter.errors import Failure, InputError
from charter.hub import publish_local
from charter.recipes import load_recipe


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught_model(tmp_path_factory.mktemp("taught"))


def test_the_report_the_card_and_what_is_kept(
    taught: Path, tmp_path: Path, recipe_file: Any
) -> None:
    recipe = recipe_file("http://127.0.0.1:9", evaluate={"max_over_refusal": 0.5})
    (taught / "README.md").write_text("# taught\n")
    arguments = [
        *(str(taught), "--base", str(taught.parent / "start"), "--out", str(tmp_path / "out")),
        *("--prompts", str(asked_file(tmp_path / "asked.jsonl")), "--recipe", str(recipe)),
        *("--set", "refusal.max_tokens=12", "--set", "refusal.per-category=6", "--card", "--json"),
    ]
    done = CliRunner().invoke(command, arguments)
    # It refuses the harmless as well, which the recipe forbids: all is written, then exit code 1.
    assert "evaluate.max_over_refusal" in str(done.exception)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["missed"] == ["max_over_refusal"] and found["parts"] == ["refusal"]
    figures = found["models"]["taught"]
    assert figures["refused"]["value"] == figures["over_refusal"]["value"] == 1.0
    assert figures["base_figures"]["refused"]["value"] == 0.0
    assert figures["missed"][0]["gate"] == "max_over_refusal"
    assert json.loads((taught / "evaluation.json").read_text()) == figures
    card = (taught / "README.md").read_text()
    assert card.startswith("# taught\n") and card.count("## Evaluation") == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert "1 of 1 not reached" in page and (tmp_path / "out" / "refusal.html").is_file()
    assert "what the model was trained on is not known" in done.output
    # Again: nothing is measured anew, the card has the section once.
    kept = (tmp_path / "out" / "parts" / "refusal.json").stat().st_mtime_ns
    again = CliRunner().invoke(command, arguments)
    assert "measured already" in again.output
    assert kept == (tmp_path / "out" / "parts" / "refusal.json").stat().st_mtime_ns
    assert (taught / "README.md").read_text() == card


def test_a_file_that_an_option_names_is_a_part_of_what_was_measured(tmp_path: Path) -> None:
    tasks, examples, judge = tmp_path / "tasks", tmp_path / "own.jsonl", tmp_path / "judge"
    for folder in (tasks, tasks / "__pycache__", judge):
        folder.mkdir()
    files = [tasks / "a.yaml", examples, judge / "model.safetensors"]
    settings = read_settings(
        [f"tax.task-folder={tasks}", f"tamper.data={examples}", "tamper.examples=0,2"],
        ("tax", "tamper"),
    )
    asked = Asked("local", (), (), examples, tmp_path, ("--judge", str(judge)), settings=settings)

    def given() -> list[dict[str, str]]:
        return [_given(asked, part) for part in ("tax", "tamper", "winrate")]

    for file in files:
        file.write_text("before")
    before = given()
    assert [list(each) for each in before] == [[str(tasks)], [str(examples)], [str(judge)]]
    (tasks / "__pycache__" / "own.pyc").write_text("compiled")
    assert given() == before
    for at, file in enumerate(files):
        file.write_text("after")
        assert [one == other for one, other in zip(given(), before, strict=True)][at] is False


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["nowhere"], "there is no such folder"),
        (["local", "--base", "nowhere"], "there is no such folder"),
        (["local", "--base", "tests", "--with", "refusals"], 'there is no part "refusals"'),
        (["tests", "tests"], "a model is named twice"),
        (["tests", "--set", "tax.limit"], "is no setting"),
        (["tests", "--set", "tax.json=true"], "is said by the report itself"),
        (["tests", "--with", "tax", "--set", "depth.limit=3"], '"depth" is not measured here'),
        (["tests", "--prompts", "nowhere.jsonl"], "no such file"),
        (["tests", "--held-out-from", "me/none@v1.0.0", "--local"], "me/none"),
    ],
)
def test_wrong_input_is_told_before_anything_is_measured(
    arguments: list[str], what: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, InputError)
    assert any(what in str(fault) for fault in done.exception.faults)
    assert not (tmp_path / "out").exists()


def test_a_page_that_has_no_place_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    done = CliRunner().invoke(command, ["tests", "--out", str(tmp_path)])
    assert isinstance(done.exception, InputError)
    assert "--out: cannot be written: it is a folder" in str(done.exception.faults[0])
    assert not (tmp_path / "parts").exists()


def test_a_card_that_cannot_be_read_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"\xff\xfe odd")
    arguments = [str(tmp_path), "--out", str(tmp_path / "out"), "--card"]
    done = CliRunner().invoke(command, arguments)
    assert isinstance(done.exception, InputError)
    assert "README.md:1:1: is not UTF-8" in str(done.exception.faults[0])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kept", ["", "[]", '{"key": {}}', '{"key": {}, "found": 1}'])
def test_a_part_that_holds_no_figures_is_measured_again(kept: str, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "tax.html").touch()
    part = tmp_path / "parts" / "tax.json"
    part.write_text(kept)
    assert _held(part, {}) is None
    part.write_text('{"key": {}, "found": {"models": {}}}')
    assert _held(part, {}) == {"models": {}}


def test_prompts_that_are_none_are_left_to_the_part_that_reads_them(
    taught: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "asked.jsonl"
    prompts.write_text('{"prompt": 3, "category": "harmful"}\n[]\n{"prompt": "a\u2028b"}\n')
    version = publish_local(draft(), tmp_path / "versions").path
    arguments = [str(taught), "--with", "refusal", "--prompts", str(prompts)]
    arguments += ["--held-out-from", str(version), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(command, arguments)
    assert isinstance(done.exception, InputError) and done.exception.exit_code == 2
    assert "prompts.jsonl:2" in capfd.readouterr().err


def test_a_part_that_refuses_ends_the_report_with_its_exit_code(
    taught: Path, tmp_path: Path
) -> None:
    arguments = [str(taught), "--out", str(tmp_path / "out"), "--with", "refusal"]
    done = CliRunner().invoke(command, [*arguments, "--set", "refusal.per-category=none"])
    assert isinstance(done.exception, InputError) and done.exception.exit_code == 2
    assert "`charter eval refusal` ended with exit code 2" in str(done.exception)


def test_a_run_measures_the_gates_of_its_last_model(
    taught: Path,
    tmp_path: Path,
    recipe_file: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = asked_file(tmp_path / "asked.jsonl")
    monkeypatch.setenv("HOME", str(taught.parent))
    recipe = recipe_file(
        "",
        models={"generator": {"llm": "local", "model": "~/start"}},
        train={"sft": {}},
        evaluate={"refusal": {"path": str(asked)}, "min_refused": 0.9, "max_over_refusal": 0.5},
    )
    loaded = load_recipe(recipe)
    published = publish_local(draft(), tmp_path / "versions")
    output = Output(as_json=False)
    found, missed = report_release(output, loaded, published, {"sft": taught}, tmp_path)
    assert [name for name, _, _ in missed] == ["max_over_refusal"]
    assert found["base"] == "start" and found["parts"] == ["refusal"]
    assert (taught / "evaluation.json").is_file()
    assert (tmp_path / "reports" / "me" / "small" / published.tag / "report.html").is_file()
    with pytest.raises(Failure, match="max_over_refusal"):
        end_unless_reached("me/small@v0.1.0", missed)
    end_unless_reached("me/small@v0.1.0", ())
    assert report_release(output, loaded, published, {"reward": taught}, tmp_path) == ({}, ())
    assert "none that writes was trained" in capsys.readouterr().out


def test_the_gates_of_a_run_are_judged_as_it_was_told_to(
    taught: Path, tmp_path: Path, recipe_file: Any, serve: Any, good_script: Any
) -> None:
    server = serve(good_script)
    judge = {"llm": "openai", "model": "scripted", "base_url": "http://127.0.0.1:1/v1"}
    recipe = recipe_file(
        "",
        models={
            "generator": {"llm": "local", "model": str(taught.parent / "start")},
            "judge": judge,
        },
        preference={"mode": "verdict"},
        train={"sft": {}},
        evaluate={
            "refusal": {"path": str(asked_file(tmp_path / "asked.jsonl"))},
            "min_win_rate": 0.01,
        },
    )
    overrides = (f"models.judge.base_url={server.url}",)
    published = publish_local(draft(), tmp_path / "versions")
    found, _ = report_release(
        Output(as_json=False),
        load_recipe(recipe, overrides),
        published,
        {"sft": taught},
        tmp_path,
        overrides,
    )
    assert found["parts"] == ["winrate"] and server.requests


def test_the_command_line_can_be_run_as_a_module() -> None:
    import subprocess

    line = [sys.executable, "-m", "charter.cli", "report", "--help"]
    said = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "exit code 1" in said.stdout
