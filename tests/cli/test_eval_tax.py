"""`charter eval tax`: published scores, and the real lm-eval on models of two small layers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_llama import tiny_llama

from charter.cli.eval_tax import command
from charter.errors import Failure, InputError
from charter.evals.tax_plan import TaxPlan, model_plan
from charter.evals.tax_run import LOG

BASE = {"MMLU": 65.2, "HumanEval": 42.1, "GSM8K": 56.8, "TruthfulQA": 38.5, "HellaSwag": 78.3}
AFTER = {"MMLU": 63.8, "HumanEval": 40.5, "GSM8K": 58.2, "TruthfulQA": 52.1, "HellaSwag": 76.9}


def _run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)


def _json(*arguments: str | Path) -> dict[str, Any]:
    return json.loads(_run(*arguments, "--json").stdout.splitlines()[-1])


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "base.json", tmp_path / "aligned.json"
    for path, scores in zip(paths, (BASE, AFTER), strict=True):
        path.write_text(json.dumps(scores))
    return paths


def test_published_scores(published: tuple[Path, Path], tmp_path: Path):
    found = _json("--scores", *published, "--out", tmp_path / "new" / "tax.html")
    values = {name: round(each["value"], 1) for name, each in found["tax"].items()}
    assert values == {"MMLU": 2.1, "HumanEval": 3.8, "GSM8K": -2.5, "TruthfulQA": -35.3,
                      "HellaSwag": 1.8}  # fmt: skip
    assert round(found["average"]["value"], 1) == -6.0 and found["average"]["n"] == 5
    assert found["tax"]["MMLU"]["low"] is found["tax"]["MMLU"]["n"] is None
    assert found["models"]["aligned"]["average"] == found["average"]
    assert "hides a trade" in found["notes"][0]
    page = (tmp_path / "new" / "tax.html").read_text()
    assert "-35.3 %" in page and "hides a trade" in page and "<svg" in page


def test_the_table_says_the_same(published: tuple[Path, Path]):
    said = _run("--scores", *published).output
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line}
    assert [rows[name][3] for name in BASE] == ["2.1", "3.8", "-2.5", "-35.3", "1.8"]
    assert rows["average"][1] == "-6.0" and "of 5 unlike benchmarks" in said
    assert "read them one by one" in said and "page:" not in said


def test_several_files_and_texts_that_are_no_markup(published: tuple[Path, Path], tmp_path: Path):
    odd = tmp_path / "odd.json"
    odd.write_text(json.dumps({"<b>MMLU</b>": {"score": 60, "stderr": 1, "n": 9}, "MMLU": 65.2}))
    found = _json("--scores", *published, odd, "--html", tmp_path / "t.html")
    assert list(found["models"]) == ["aligned", "odd"]
    assert found["models"]["odd"]["tax"]["MMLU"]["value"] == 0.0
    assert found["models"]["odd"]["tax"]["GSM8K"]["value"] is None
    page = (tmp_path / "t.html").read_text()
    assert "<b>MMLU" not in page and "&lt;b&gt;MMLU" in page


FAULTS = [
    (["--scores", "{base}"], "there is one file"),
    (["{base}", "--model", "local", "--base", "local"], "belongs to no option"),
    (["--model", "local"], "--base"),
    (["--scores", "{base}", "{base}", "--limit", "3"], "--limit"),
    (["--base", "{dir}/no", "--model", "local"], "no such folder"),
    (["--base", "local", "--model", "local", "--task-folder", "{dir}/no"], "no such folder"),
    (["--base", "local", "--model", "local", "--metric", "MMLU"], "has no ="),
    (["--base", "local", "--model", "local", "--tasks", ","], "names no task"),
    (["--base", "local", "--model", "local", "--batch-size", "0"], "is no number"),
    (["--base", "local", "--model", "local", "--batch-size", "²"], "is no number"),
    (["--scores", "{base}", "{base}", "--shots", "0"], "--shots"),
    (["--base", "local", "--model", "local", "--chat"], "there is no --base-url"),
    (["--base", "m", "--model", "n", "--base-url", "here"], "is no address"),
    (["--base", "m", "--model", "n", "--base-url", "http://h/v1", "--api-key-env", "NO_SUCH"],
     "is not set"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), FAULTS, ids=range(len(FAULTS)))
def test_wrong_input_is_told(arguments: list[str], said: str, published: Any, tmp_path: Path):
    given = [each.format(base=published[0], dir=tmp_path) for each in arguments]
    with pytest.raises(InputError) as raised:
        _run(*given)
    assert said in str(raised.value)
    assert _run().exit_code == 2  # neither models nor scores


# With models


WORDS = ["red", "green", "blue", "sky", "grass", "blood", "is", "the", "what", "colour", "of", "?"]
ITEMS = [("sky", 2), ("grass", 1), ("blood", 0), ("the sky", 2), ("the grass", 1), ("green", 1)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    top = tmp_path_factory.mktemp("models")
    return tiny_llama(top / "before", WORDS, 0), tiny_llama(top / "after", WORDS, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks of a user's own, their data beside them, and a group in a group."""
    top = tmp_path_factory.mktemp("tasks")
    rows = [{"q": q, "choices": WORDS[:3], "answer": a} for q, a in ITEMS]
    (top / "colours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("colours", "hues"):
        (top / f"{name}.yaml").write_text(
            f"task: {name}\ndataset_path: json\ntest_split: test\n"
            "dataset_kwargs: {data_files: {test: colours.jsonl}}\n"
            'output_type: multiple_choice\ndoc_to_text: "what colour is {{q}} ?"\n'
            "doc_to_choice: choices\ndoc_to_target: answer\n"
            "metric_list: [{metric: acc}, {metric: acc_norm}]\n"
        )
    for group, members in (("both", "[colours, inner]"), ("inner", "[hues]")):
        (top / f"{group}.yaml").write_text(
            f"group: {group}\ntask: {members}\n"
            "aggregate_metric_list: [{metric: acc, weight_by_size: true}]\n"
        )
    return top


def _killed(plan: TaxPlan, after: int) -> None:
    """Start a plan in another process, which is stopped after so many results."""
    code = (
        "import sys\n"
        "from charter.evals.tax_plan import TaxPlan\n"
        "from charter.evals.tax_run import evaluate_plan\n"
        "def tell(model, benchmark, done, total):\n"
        f"    if done == {after}:\n        raise KeyboardInterrupt\n"
        "evaluate_plan(TaxPlan.model_validate_json(sys.argv[1]), tell)\n"
    )
    given = [sys.executable, "-c", code, plan.model_dump_json()]
    done = subprocess.run(given, capture_output=True, text=True, timeout=300)
    assert done.stderr.rstrip().endswith("KeyboardInterrupt"), done.stderr


def test_models_are_measured_once_whatever_stops_it(
    models: tuple[Path, Path], folder: Path, tmp_path: Path
):
    before, after = models
    out = tmp_path / "t"
    plan = TaxPlan(
        models=(model_plan("m", str(before)),),
        tasks=("both", "charter_code"),
        folders=(str(folder),),
        limit=5,
        results=str(out / "results"),
    )
    _killed(plan, 1)
    first = {path: path.stat().st_mtime_ns for path in (out / "results").glob("*.json")}
    assert first
    arguments = ["--base", before, "--model", after, "--model", before, "--limit", "5"]
    arguments += ["--tasks", "both,charter_code", "--task-folder", folder, "--out", out]
    found = _json(*arguments)
    kept = {path: path.stat().st_mtime_ns for path in (out / "results").glob("*.json")}
    assert len(kept) == 4  # the base measured twice is one result
    assert first.items() <= kept.items()
    assert list(found["models"]) == ["after", "before (2)"] and found["base"] == "before"
    assert list(found["tax"]) == ["both", "charter_code"] and (out / "tax.html").is_file()
    assert [each["n"] for each in found["tax"].values()] == [10, 5]
    for each in found["models"]["before (2)"]["tax"].values():
        # A base without one right answer has no percentage.
        same = (0.0, 0.0, 0.0) if each["base"]["value"] else (None, None, None)
        assert (each["value"], each["low"], each["high"]) == same
    assert _json(*arguments) == found
    assert kept == {path: path.stat().st_mtime_ns for path in (out / "results").glob("*.json")}
    assert "loglikelihood" not in (out / "results" / LOG).read_text()


def test_what_stops_before_any_model_is_loaded(
    models: tuple[Path, Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    common = ["--base", models[0], "--model", models[1], "--out", tmp_path / "t"]
    own = ["--task-folder", folder]
    with pytest.raises(InputError) as raised:
        _run(*common, "--tasks", "HumanEval,MMLU")
    assert "HumanEval: executes code" in str(raised.value)
    assert "--run-generated-code" in str(raised.value)
    with pytest.raises(Failure) as failed:
        _run(*common, "--tasks", "HellaSwag,TruthfulQA,colours", *own)
    assert [fault.path for fault in failed.value.faults] == ["HellaSwag", "TruthfulQA"]
    assert "neither in the cache nor reached" in str(failed.value)
    assert not list((tmp_path / "t" / "results").glob("*.json"))


@pytest.mark.slow
@pytest.mark.model
def test_the_embedded_model_on_the_shipped_tasks(tmp_path: Path):
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    found = _json("--base", "local", "--model", "local", "--limit", "24", "--out", tmp_path)
    assert len(found["tax"]) == 4 and found["average"]["value"] == 0.0
    for each in found["tax"].values():
        assert (each["value"], each["low"], each["high"]) == (0.0, 0.0, 0.0) and each["n"] == 24
    # A guess is right in a quarter of the cases; it knows more than that.
    scores = [each["base"]["value"] for each in found["tax"].values()]
    assert sum(scores) / 4 > 0.3 and found["tax"]["charter_knowledge"]["base"]["value"] > 0.35
