"""The command line as a user meets it: help, faults, JSON, exit codes, interruption."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charter.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
CHARTER = [sys.executable, "-c", "from charter.cli import main; main()"]


def charter(*arguments, **options):
    return subprocess.run(
        [*CHARTER, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=options.pop("cwd", ROOT),
        timeout=120,
        **options,
    )


def last_json(done):
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    done = charter(name, "--help")
    assert done.returncode == 0, done.stderr
    if name != "eval":
        assert "Example:" in done.stdout and f"charter {name}" in done.stdout
    if name not in ("eval", "guard", "hub", "review"):  # groups, whose commands have it
        assert "--json" in done.stdout


def test_no_command_is_help(tmp_path):
    assert "Commands:" in charter().stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runn"], 'did you mean "run"?'),
        (["run"], "RECIPE"),
        (["run", "nowhere.yaml"], "no such file"),
        (["run", "recipes/quickstart.yml"], 'did you mean "quickstart.yaml"?'),
        (["run", "recipes/quickstart.yaml", "--limit", "0"], "--limit"),
        (["run", "recipes/quickstart.yaml", "--max-cost", "nan"], "no finite number"),
        (["run", "recipes/quickstart.yaml", "--max-cost", "inf"], "no finite number"),
        (["diff", "a", "b", "--moved", "nan"], "no finite number"),
        (["review", "send", "a", "--uncertain", "nan"], "no finite number"),
        (["review", "report", "a", "--min-gold", "nan"], "no finite number"),
        (["run", "recipes/quickstart.yaml", "--set", "sft.round=2"], 'did you mean "rounds"?'),
        (["run", "recipes/quickstart.yaml", "--set", "models.generator.llm=gpt"], "'openai'"),
        (["run", "recipes/quickstart.yaml", "--set", "prompts.path=no.jsonl"], "no such file"),
        (["plan", "recipes"], "is a folder"),
        (["check", "pyproject.toml"], "pyproject.toml:"),
        (["show", "me/none@v0.1.0"], "me/none"),
        (["versions", "me/none"], "me/none"),
        (["train", "sft", "--dataset", "nowhere", "--out", "x"], "nowhere"),
        (["schema", "recipes"], "recipe"),
        (["verify", "x" * 300], "too long for a path"),
        (
            ["plan", "recipes/quickstart.yaml", "--set", f"models.judge.model={'x' * 300}"],
            "too long",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_told_in_one_line_with_exit_2(arguments, said, tmp_path):
    done = charter(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert all("; " in line for line in done.stderr.splitlines())


def test_check_reports_every_fault_of_every_file(tmp_path):
    constitution = tmp_path / "c.yaml"
    constitution.write_text("name: x\nversion: '1.0'\nlicence: MIT\nprinciples: []\n")
    recipe = tmp_path / "r.yaml"
    recipe.write_text("constitution: hhh\nprompts: {path: none.jsonl}\nmodel: {}\n")
    done = charter("check", constitution, recipe, "--json")
    assert done.returncode == 2
    places = [line.split("  ")[0] for line in done.stderr.splitlines()]
    assert f"{constitution}:2:1" in places and f"{constitution}:4:1" in places
    assert f"{recipe}:3:1" in places
    assert len(last_json(done)["faults"]) == len(done.stderr.splitlines())


def test_schema_is_a_json_schema_that_knows_every_block():
    for kind in ("recipe", "constitution"):
        schema = json.loads(charter("schema", kind).stdout)
        assert schema["additionalProperties"] is False
        assert all(
            "description" in p or "$ref" in json.dumps(p) for p in schema["properties"].values()
        )


def test_init_writes_what_check_finds_sound_and_never_overwrites(tmp_path):
    done = charter("init", tmp_path / "mine", "--json")
    assert done.returncode == 0
    commands = last_json(done)["next"]
    assert len(commands) == 3
    again = charter("init", tmp_path / "mine")
    assert again.returncode == 2 and "is there already" in again.stderr
    checked = charter(*commands[0].split()[1:])
    assert checked.returncode == 0, checked.stderr


def test_plan_run_preview_and_show_agree(serve, good_script, recipe_file, tmp_path):
    server = serve(good_script)
    path = recipe_file(server.url, 8)
    out = tmp_path / "out"
    plan = last_json(charter("plan", path, "--json"))
    assert (plan["rows"], plan["calls"], plan["cached_calls"]) == (8, 48, 0)
    assert not server.requests
    preview = charter("preview", path, "-n", "2", "--json")
    assert preview.returncode == 0 and not (tmp_path / "out").exists()
    assert last_json(preview)["calls"] == 12
    plan = last_json(charter("plan", path, "--json"))
    assert (plan["calls"], plan["cached_calls"]) == (48, 12)
    run = charter("run", path, "--out", out, "--json")
    assert run.returncode == 0, run.stderr
    account = last_json(run)
    assert len(run.stdout.splitlines()) == 1
    assert account["cached_calls"] == 12 and account["version"] == "v0.1.0"
    assert len(account["review"]) == min(20, account["counts"]["preference"])
    assert len(server.requests) == 48
    plan = last_json(charter("plan", path, "--json"))
    # Pairs whose two texts are the same are never judged; the plan knows that now.
    assert plan["calls"] == plan["cached_calls"] == account["calls"]

    store = ("--store", out / "versions")
    listed = last_json(charter("versions", "me/small", *store, "--json"))
    assert listed["versions"] == ["v0.1.0"]
    for where in (account["path"], "me/small@v0.1.0", "me/small@>=0.1,<1"):
        shown = last_json(charter("show", where, *store, "--json"))
        assert shown["tag"] == "v0.1.0" and shown["rows"]
    row = charter("show", account["path"], "p0")
    assert row.returncode == 0 and "critique 1" in row.stdout and "verdict" in row.stdout
    trace = last_json(charter("show", account["path"], shown["rows"][0], "--json"))
    assert trace["sft"][0]["revisions"] and trace["judgments"]
    none = charter("show", account["path"], "p999")
    assert none.returncode == 2 and "no row or prompt" in none.stderr


def test_text_of_models_cannot_steer_the_terminal(serve, recipe_file, replies, tmp_path):
    evil = "\x1b[2J\x1b]0;owned\x07 [bold red]markup[/] \r fin"
    path = recipe_file(serve(lambda body: replies.say(evil)).url, 2)
    done = charter("preview", path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout
    assert "[bold red]markup[/]" in done.stdout


def test_ctrl_c_exits_130_and_the_next_run_goes_on(
    serve, good_script, recipe_file, replies, tmp_path
):
    def slow(body):
        replies.sleep(0.05)
        return good_script(body)

    server = serve(slow)
    path = recipe_file(server.url, 60, run={"in_flight": 4})
    process = subprocess.Popen(
        [*CHARTER, "run", str(path), "--out", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while len(server.requests) < 40:
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command again" in errors and "Traceback" not in errors
    (state,) = (tmp_path / "out").glob("runs/*/state.json")
    assert json.loads(state.read_text())["status"] == "interrupted"
    asked = len(server.requests)
    done = charter("run", path, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    # Calls in flight at the interruption were waited for, so nothing is paid for twice.
    assert last_json(done)["cached_calls"] == asked
    assert len(server.requests) == last_json(done)["calls"]


def test_a_killed_run_comes_back(serve, good_script, recipe_file, replies, tmp_path):
    def slow(body):
        replies.sleep(0.02)
        return good_script(body)

    server = serve(slow)
    path = recipe_file(server.url, 40, run={"in_flight": 4})
    process = subprocess.Popen([*CHARTER, "run", str(path), "--out", str(tmp_path / "out")])
    while len(server.requests) < 60:
        time.sleep(0.05)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = charter("run", path, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    account = last_json(done)
    assert account["counts"]["sft"] == 40
    # At most the calls in flight when it was killed are asked again.
    assert len(server.requests) - account["calls"] <= 4


def test_no_traceback_for_a_fault_of_our_own(monkeypatch, capsys):
    from charter.cli import main, plan

    def broken(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr(plan, "load", broken)
    with pytest.raises(SystemExit) as end:
        main(["plan", "recipes/quickstart.yaml"])
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert re.search(r"a fault of charter itself: RuntimeError: boom; .*--debug", said)


def test_a_traceback_that_was_asked_for_cannot_steer_the_terminal(tmp_path):
    (tmp_path / "a\x1b[2J\u202e.yaml").write_text("schema_version: [\n")
    done = charter("check", *tmp_path.iterdir(), "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr and "a\ufffd[2J\ufffd.yaml" in done.stderr
    assert "\x1b" not in done.stderr and "\u202e" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.sft.max_steps=many", "max_steps"),
        ("train.dpo.lora_r=0", "lora_r"),
        ("train.sft.output_dir=here", "output_dir"),
        ("evaluate.refusal.path=none.jsonl", "evaluate.refusal.path"),
    ],
)
def test_what_would_fail_after_the_run_is_said_before_it(setting, said, tmp_path):
    out = tmp_path / "out"
    done = charter("run", "recipes/quickstart.yaml", "--set", setting, "--out", out)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not out.exists()
