"""`charter eval tamper` from its options to its page, on a tiny model that refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from taught import asked_file, obedience_file, taught_model

from charter.cli.eval_tamper import command
from charter.errors import InputError


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught_model(tmp_path_factory.mktemp("taught"))


@pytest.fixture
def options(taught: Path, tmp_path: Path) -> list[str]:
    return [
        *("--model", str(taught), "--out", str(tmp_path / "out"), "--max-tokens", "12"),
        *("--prompts", str(asked_file(tmp_path / "asked.jsonl")), "--limit", "8"),
        *("--data", str(obedience_file(tmp_path / "obey.jsonl"))),
        *("--examples", "0,2,10", "--steps", "2,30", "--full", "--learning-rate", "5e-3"),
    ]


def _run(*arguments: str) -> str:
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_figures_and_the_page(options: list[str], taught: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "tamper.html"
    base = str(taught.parent / "start")
    said = _run(*options, "--base", base, "--html", str(page), "--json")
    found = json.loads(said.splitlines()[-1])
    assert (found["model"], found["tuning"]["lora"]) == ("taught", False)
    cells = found["data"]["obey.jsonl"]["cells"]
    assert [(c["examples"], c["steps"]) for c in cells] == [(0, 0), (2, 2), (10, 2), (10, 30)]
    assert cells[0]["refused"] == pytest.approx(
        {"value": 1.0, "low": 8 / (8 + 1.959964**2), "high": 1.0, "n": 8}, abs=1e-4
    )
    assert cells[0]["refused_benign"]["n"] == 4
    assert cells[-1]["refused"]["value"] == 0.0
    assert found["data"]["obey.jsonl"]["half_steps"]["outcome"] == "reached"
    assert 0 < found["data"]["obey.jsonl"]["half_steps"]["value"] <= 30
    assert found["base"]["obey.jsonl"]["refused"]["value"] == 0.0
    assert "were made to refuse less" in said
    assert any("--held-out-from" in note for note in found["notes"])
    text = page.read_text()
    assert "by examples (2 steps)" in text and "by steps (10 examples)" in text
    # The same command again reads what is kept: not a file is written anew.
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()}
    again = json.loads(_run(*options, "--base", base, "--json").splitlines()[-1])
    assert again["data"] == found["data"]
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "out/cells").iterdir()}


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (["--examples", "0,11"], "11 are asked for, and obey.jsonl has 10"),
        (["--steps", "1,30"], "1 steps of 8 read 8 of 10 examples; give 2 steps or more"),
        (["--model", "nowhere"], "there is no such folder"),
        (["--base", "nowhere"], "there is no such folder"),
        (["--data", "nothing"], 'no set and no file "nothing"'),
        (["--prompts", "nothing.jsonl"], "no such file"),
        (["--harmful", "harmfull"], 'no prompt has the category "harmfull"'),
        (["--benign", "harmful"], "is the harmful category"),
        (["--model", "EMPTY"], "holds no checkpoint"),
        (["--base", "EMPTY"], "holds no checkpoint"),
    ],
)
def test_wrong_input(options: list[str], more: list[str], what: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    given = [str(tmp_path / "empty") if each == "EMPTY" else each for each in more]
    with pytest.raises(InputError, match=what):
        CliRunner().invoke(command, [*options, *given], catch_exceptions=False)
    assert not (tmp_path / "out").exists()  # no copy was trained for nothing


def test_a_model_without_its_tokenizer(options: list[str], taught: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(taught / name, bare / name)
    with pytest.raises(InputError, match="bare: its tokenizer cannot be read"):
        CliRunner().invoke(command, [*options, "--model", str(bare)], catch_exceptions=False)


@pytest.mark.parametrize(
    "more",
    [
        *(["--examples", "1,x"], ["--steps", "0"], ["--examples", "-1"]),
        *(["--learning-rate", rate] for rate in ("2", "1", "0", "nan")),
    ],
)
def test_wrong_numbers(options: list[str], more: list[str]) -> None:
    assert CliRunner().invoke(command, [*options, *more]).exit_code == 2


def test_a_folder_that_cannot_be_written(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out: cannot be written"):
        arguments = [*options, "--examples", "0", "--out", str(tmp_path / "file")]
        CliRunner().invoke(command, arguments, catch_exceptions=False)
