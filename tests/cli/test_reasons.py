"""What users met: reasons of rejects, places of faults, and what is found before any work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charter.cli import main
from charter.cli.retract import _placed
from charter.errors import Fault

NOWHERE = "http://127.0.0.1:1/v1"


def charter(*arguments):
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    return end.value.code


def spoil(recipe):
    """Fourteen records that are no prompts beside two that are."""
    file = recipe.parent / "prompts.jsonl"
    file.write_text(file.read_text("utf-8") + '{"no": 1}\n' * 13 + "{\n", "utf-8")


def test_plan_says_why_records_are_rejected(recipe_file, capsys):
    path = recipe_file(NOWHERE, 2)
    spoil(path)
    assert not charter("plan", path, "--json")
    out, err = capsys.readouterr()
    found = json.loads(out)["rejects"]
    assert found["total"] == 14 and sorted(found["by_reason"].values()) == [1, 13]
    assert all(reason in err for reason in found["by_reason"])
    assert "prompts.jsonl:3" in "".join(err.split())
    assert "warning: 14 of 16 records were turned away" in err


def test_preview_run_and_show_say_why_too(
    serve, good_script, recipe_file, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = recipe_file(serve(good_script).url, 2)
    spoil(path)
    assert not charter("preview", path, "-n", 5)
    assert "warning: 14 of 16" in capsys.readouterr().out
    out = tmp_path / "a folder"
    assert not charter("run", path, "--out", out)
    told = capsys.readouterr().out
    assert "NO_PROMPT" in told
    assert f"charter show '{out}" in told
    version = next((out / "versions").rglob("charter.json")).parent
    assert not charter("show", version)
    told = capsys.readouterr().out
    assert "NO_PROMPT" in told and "13" in told


def test_train_values_have_a_line_beside_other_faults(recipe_file, capsys):
    path = recipe_file(NOWHERE, 2, train={"dpo": {"lora": "perhaps"}}, sft={"round": 2})
    assert charter("check", path) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any("train.dpo.lora" in line and f"{path}:" in line for line in lines), lines
    assert any("sft.round" in line for line in lines)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_full_stdout_is_no_fault_of_ours(recipe_file):
    code = "from charter.cli import main; main()"
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "plan", str(recipe_file(NOWHERE, 2))],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("standard output: cannot be written: No space left on device;")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_run_goes_on_to_its_end_with_closed_streams(
    serve, good_script, recipe_file, tmp_path, closed
):
    path = recipe_file(serve(good_script).url, 2)
    code = "from charter.cli import main; main()"
    run = [sys.executable, "-c", code, "run", str(path), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *run],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    assert list((tmp_path / "out" / "versions").rglob("charter.json"))


@pytest.mark.parametrize(
    ("gone", "options"),
    [(["stdout"], []), (["stderr"], ["--json"]), (["stdout", "stderr"], [])],
)
def test_a_run_goes_on_to_its_end_when_its_reader_has_seen_enough(
    serve, good_script, recipe_file, tmp_path, gone, options
):
    path = recipe_file(serve(good_script).url, 2)
    code = "from charter.cli import main; main()"
    run = [sys.executable, "-c", code, "run", str(path), "--out", str(tmp_path / "out"), *options]
    reading, writing = os.pipe()
    os.close(reading)
    streams = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE) | dict.fromkeys(gone, writing)
    done = subprocess.run(run, **streams, text=True, check=False)
    os.close(writing)
    assert done.returncode == 0, done
    assert "Broken pipe" not in (done.stderr or "")
    assert list((tmp_path / "out" / "versions").rglob("charter.json"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
@pytest.mark.parametrize("full", [True, False])
def test_faults_that_nobody_reads_have_their_exit_code(tmp_path, full):
    code = "from charter.cli import main; main()"
    reading, writing = os.pipe()
    os.close(reading)
    with Path("/dev/full").open("w", encoding="utf-8") as device:
        done = subprocess.run(
            [sys.executable, "-c", code, "check", "nowhere.yaml", "nowhere-else.yaml"],
            stderr=device if full else writing,
            check=False,
        )
    os.close(writing)
    assert done.returncode == 2


def test_an_unknown_id_is_told_at_its_line(tmp_path):
    file = tmp_path / "ids.txt"
    file.write_text("one\nnope\n", "utf-8")
    fault = Fault("me/a@v0.1.0", "--id", 'no id "nope"', "see it")
    assert str(_placed(fault, file, ())) == f'{file}:2: no id "nope"; see it'
    assert _placed(fault, file, ("nope",)) is fault


@pytest.mark.parametrize("words", [["versions"], ["review", "collect"], ["review", "publish"]])
def test_a_wrong_repo_goes_by_the_name_of_the_argument(words, capsys):
    assert charter(*words, "foo") == 2
    assert capsys.readouterr().err.startswith('REPO: "foo" is no name of a repo;')


def test_a_wrong_repo_to_push_to_goes_by_the_name_of_the_option(capsys):
    words = ["--dataset", "me/x@v0.1.0", "--out", "model", "--push", "foo"]
    assert charter("train", "sft", *words) == 2
    assert capsys.readouterr().err.startswith('--push: "foo" is no name of a repo;')


def test_a_wrong_tag_is_told_before_any_call(recipe_file, capsys):
    assert charter("run", recipe_file(NOWHERE, 2), "--version", "1.0.0") == 2
    assert '--version: "1.0.0" is no version tag' in capsys.readouterr().err


@pytest.mark.parametrize("address", ["localhost:8765/v1", "http://", "http://a:b/v1", ""])
@pytest.mark.parametrize("evaluation", ["refusal", "tax"])
def test_what_is_no_address_is_refused_at_once(evaluation, address, capsys):
    assert charter("eval", evaluation, "--model", "m", "--base-url", address) == 2
    assert capsys.readouterr().err.startswith("--base-url: is no address of a server;")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["eval", "refusal", "--model"], "--model"),
        (["audit", "injections", "--model"], "--model"),
        (["guard", "answers.jsonl", "--judge"], "--judge"),
        (["eval", "winrate", "local", "nowhere=n.jsonl", "--judge"], "--judge"),
    ],
)
def test_the_home_of_nobody_is_no_folder(words, option, capsys):
    assert charter(*words, "~nobody-of-that-name/model") == 2
    said = f'{option}: there is no folder "~nobody-of-that-name/model"; '
    assert capsys.readouterr().err.startswith(said)
