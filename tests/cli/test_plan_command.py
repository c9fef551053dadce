"""`charter plan` as a user meets it: what it prints, and how little it takes to answer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from charter.cli import main

HEAVY = {"torch", "distilabel", "trl", "argilla", "transformers", "datasets", "pyarrow", "polars"}


def charter(*arguments):
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    return end.value.code


def test_the_json_has_steps_principles_time_and_money(recipe_file, capsys):
    price = {"prompt": 1.0, "completion": 2.0}
    model = {"llm": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "price": price}
    path = recipe_file("", 6, models={"generator": model}, constitution="hhh")
    assert not charter("plan", path, "--json")
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert {"rows", "calls", "cached_calls", "tokens", "cost", "steps"} <= set(found)
    assert (found["rows"], found["calls"], found["cached_calls"]) == (6, 36, 0)
    assert found["minutes"] is None and found["measured"] == {} and found["cost"] > 0
    assert [step["step"] for step in found["steps"]][:3] == ["respond", "critique-1", "revise-1"]
    assert len(found["principles"]) == 16
    assert set(found["principles"][0]) == {"principle", "calls", "cached_calls"}
    assert sum(entry["calls"] for entry in found["principles"]) == 6 * 4
    assert "at most 36 to make" in err and "cost: at most $" in err


def test_people_are_told_what_is_not_known(recipe_file, capsys):
    assert not charter("plan", recipe_file("http://127.0.0.1:1/v1", 6))
    out = capsys.readouterr().out
    assert "cost: not known; give models.ROLE.price" in out
    assert "time: not known" in out


def test_what_a_preview_measured_tells_the_time(serve, good_script, recipe_file, replies, capsys):
    def slow(body):
        replies.sleep(0.02)
        return good_script(body)

    path = recipe_file(serve(slow).url, 200)
    assert not charter("preview", path, "-n", 2)
    capsys.readouterr()
    assert not charter("plan", path, "--json")
    out, err = capsys.readouterr()
    found = json.loads(out)
    seconds = [found["measured"][step["step"]]["seconds"] for step in found["steps"]]
    assert all(0.02 <= each < 2 for each in seconds)
    calls = [step["calls"] - step["cached_calls"] for step in found["steps"]]
    at_once = sum(n * each for n, each in zip(calls, seconds, strict=True)) / 8
    assert found["minutes"] == pytest.approx(at_once / 60, rel=0.01)
    assert "12 answers to this recipe's own steps in the cache, 8 calls at once" in err


def test_a_plan_imports_nothing_heavy_also_where_the_cache_answers(serve, good_script, recipe_file):
    path = recipe_file(serve(good_script).url, 6)
    charter("preview", path, "-n", 3)
    code = (
        "import sys\n"
        "from charter.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("command", ["plan", "preview", "run", "improve"])
def test_a_home_of_nobody_is_no_folder_of_a_model(
    command, recipe_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    path = recipe_file("", 6, models={"generator": {"llm": "local", "model": "~no-such-user/x"}})
    assert charter(command, path) == 2
    assert "~no-such-user/x: no such folder" in capsys.readouterr().err
