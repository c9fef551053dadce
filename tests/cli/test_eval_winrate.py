"""`charter eval winrate` on answers that are there, with a scripted judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from charter.cli.eval_winrate import command
from charter.constitutions import find_constitution, load_constitution
from charter.errors import InputError


def _answers(path: Path, length: int, n: int = 12) -> Path:
    rows = [{"id": f"q{i}", "completion": f"{path.stem} {i} " + "word " * length} for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    prompts = tmp_path / "asked.jsonl"
    rows = [
        {"id": f"q{i}", "prompt": f"What is {i}?", "category": "odd" if i % 2 else "even"}
        for i in range(12)
    ]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "prompts": prompts,
        "long": _answers(tmp_path / "long.jsonl", 6),
        "short": _answers(tmp_path / "short.jsonl", 2),
        "mid": _answers(tmp_path / "mid.jsonl", 4, 10),
    }


def test_the_longer_answers_win_and_that_is_said(
    serve: Any, good_script: Any, recipe_file: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    server = serve(good_script)
    recipe = recipe_file(server.url, preference={"mode": "verdict"})
    arguments = [
        *(f"{name}={files[name]}" for name in ("long", "mid", "short")),
        *("--prompts", str(files["prompts"]), "--recipe", str(recipe)),
        *("--html", str(tmp_path / "page.html"), "--json"),
    ]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    found = json.loads(done.output.splitlines()[-1])
    assert found["win_rate"]["value"] == 1.0 and found["win_rate"]["n"] == 10
    assert [pair["against"] for pair in found["pairs"]] == ["mid", "short", "short"]
    assert found["pairs"][1]["win_rate"]["n"] == 12
    assert found["pairs"][1]["longer"]["value"] == 1.0
    assert set(found["pairs"][1]["by_category"]) == {"odd", "even"}
    assert found["unanswered"] == {"mid": 2}
    ratings = [found["elo"][name]["value"] for name in ("long", "mid", "short")]
    assert ratings == sorted(ratings, reverse=True) and ratings[0] == 1000.0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    before = len(server.requests)
    CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert len(server.requests) == before  # every verdict was in the cache


def test_principles_count_as_a_recipe_weighs_them(
    serve: Any, good_script: Any, recipe_file: Any, replies: Any, files: dict[str, Path]
) -> None:
    constitution = load_constitution(find_constitution("concise"))
    longer, shorter = constitution.principles[:2]

    def script(body: dict[str, Any]) -> Any:
        said = json.loads(good_script(body)[2])["choices"][0]["message"]["content"]
        by_second = shorter.comparison.strip() in body["messages"][-1]["content"]
        return replies.say({"A": "B", "B": "A"}[said] if by_second else said)

    asked = {longer.id: 1.0, shorter.id: 3.0, constitution.principles[2].id: 0.0}
    recipe = recipe_file(serve(script).url, preference={"mode": "verdict", "principles": asked})
    arguments = [*(f"{name}={files[name]}" for name in ("long", "short")), "--recipe", str(recipe)]
    arguments += ["--prompts", str(files["prompts"]), "--json"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    found = json.loads(done.output.splitlines()[-1])
    assert (found["win_rate"]["value"], found["soft"]["value"]) == (0.0, 0.25)


FAULTS = [
    (["a={long}"], "name two or more"),
    (["a={long}", "b={short}"], "there is no judge"),
    (["a={long}", "a={short}", "--judge", "local"], 'another model "a"'),
    (["nowhere", "a={short}", "--judge", "local"], "no such folder"),
    (["tests", "./tests", "--judge", "local"], "named twice"),
    (["a={long}", "b={short}", "--judge", "nowhere"], '--judge: there is no folder "nowhere"'),
    (["a={long}", "b={long}x", "--judge", "local"], "no such file"),
    (["={long}", "b={short}", "--judge", "local"], "names no model before its ="),
    (["a=", "b={short}", "--judge", "local"], "names no file behind its ="),
    (["a={long}", "b={short}", "--judge", "local", "--set", "seed=1"], "give --recipe"),
]


@pytest.mark.parametrize(("arguments", "said"), FAULTS, ids=range(len(FAULTS)))
def test_wrong_input_is_told(arguments: list[str], said: str, files: dict[str, Path]) -> None:
    given = [argument.format(**files) for argument in arguments]
    done = CliRunner().invoke(command, [*given, "--prompts", str(files["prompts"])])
    if isinstance(done.exception, InputError):
        assert any(said in str(fault) for fault in done.exception.faults)
    else:
        assert done.exit_code == 2 and said in done.output


@pytest.mark.parametrize("last", ["b={long}x", "{empty}"])
def test_what_cannot_be_read_is_told_before_a_model_is_asked(
    last: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charter.models.local.load_local", lambda *_: pytest.fail("asked"))
    (tmp_path / "empty").mkdir()
    given = ["local", last.format(**files, empty=tmp_path / "empty"), "--judge", "local"]
    done = CliRunner().invoke(command, [*given, "--prompts", str(files["prompts"])])
    assert isinstance(done.exception, InputError), done.exception


def test_a_folder_may_have_the_sign_in_its_name(files: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "lr=1e-4"
    folder.mkdir()
    given = [str(folder), f"a={files['short']}", "--judge", "local"]
    done = CliRunner().invoke(command, [*given, "--prompts", str(files["prompts"])])
    assert isinstance(done.exception, InputError)
    assert "holds no checkpoint" in str(done.exception.faults[0])
