"""The shipped tasks: true, whole, and what lm-eval reads."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from charter.evals.tax_names import BENCHMARKS, SHIPPED, SHIPPED_FOLDER, benchmark_of, plain_name
from charter.evals.tax_tasks import _faults


def _items(name: str) -> list[dict[str, Any]]:
    text = (SHIPPED_FOLDER / f"{name.removeprefix('charter_')}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


ITEMS = {name: _items(name) for name in SHIPPED}
ALLOWED = {"sum": sum, "range": range, "gcd": math.gcd, "lcm": math.lcm}


def _right(item: dict[str, Any]) -> str:
    return item["choices"][item["answer"]]


def test_there_are_enough_and_each_is_whole():
    assert sum(map(len, ITEMS.values())) >= 200
    for items in ITEMS.values():
        assert len({item["id"] for item in items}) == len(items)
        asked = [(item.get("passage"), item.get("question"), item.get("code")) for item in items]
        assert len(set(asked)) == len(items)
        for item in items:
            assert len(item["choices"]) == len(set(item["choices"])) == 4
            assert all(choice == choice.strip() != "" for choice in item["choices"])
        # Nobody gains by always choosing one place.
        places = Counter(item["answer"] for item in items)
        assert max(places.values()) <= 0.4 * len(items) and len(places) == 4


@pytest.mark.parametrize("item", ITEMS["charter_arithmetic"], ids=lambda item: item["id"])
def test_sums_are_right(item: dict[str, Any]):
    tree = ast.parse(item["expression"], mode="eval")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names <= ALLOWED.keys()
    value = eval(compile(tree, item["id"], "eval"), {"__builtins__": {}}, ALLOWED)
    assert str(value) == _right(item)


def test_programs_print_what_is_said():
    programs = {item["id"]: item["code"] for item in ITEMS["charter_code"]}
    run = (
        "import contextlib, io, json, sys\n"
        "said = {}\n"
        "for key, code in json.load(sys.stdin).items():\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        exec(code, {'__name__': key})\n"
        "    said[key] = out.getvalue().strip()\n"
        "print(json.dumps(said))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", run],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == {item["id"]: _right(item) for item in ITEMS["charter_code"]}


def test_each_has_a_task_that_names_its_file():
    for name in SHIPPED:
        task = yaml.safe_load((SHIPPED_FOLDER / f"{name}.yaml").read_text())
        assert task["task"] == name and task["dataset_path"] == "json"
        assert (SHIPPED_FOLDER / task["dataset_kwargs"]["data_files"]["test"]).is_file()
    said = (SHIPPED_FOLDER / "README.md").read_text()
    assert "Apache License 2.0" in said
    for name, items in ITEMS.items():
        assert f"| `{name}` | {len(items)} |" in said


def test_the_known_benchmarks_are_tasks_of_the_installed_harness():
    import importlib.util

    (root,) = importlib.util.find_spec("lm_eval").submodule_search_locations
    for name, known in BENCHMARKS.items():
        folder = Path(root) / "tasks" / known.folder
        texts = [path.read_text() for path in folder.glob("*.yaml")]
        assert any(
            text.startswith((f"task: {known.task}\n", f"group: {known.task}\n"))
            or f"\ntask: {known.task}\n" in text
            for text in texts
        )
        assert benchmark_of(known.task) == benchmark_of(name.lower()) == known
        assert any("unsafe_code: true" in text for text in texts) == known.runs_code
    assert plain_name("mine") == "mine" and benchmark_of("mine") is None


def test_a_group_or_a_tag_that_runs_code_is_known_before_it_is_loaded():
    def entry(cfg=None, tags=()):
        return SimpleNamespace(cfg=cfg, tags=set(tags))

    index = {
        "kind": entry({"task": "kind"}),
        "runs": entry({"task": "runs", "unsafe_code": True}),
        "tag": entry(tags=["kind", "runs"]),
        "kind-tag": entry(tags=["kind", "not there"]),
        "group": entry({"group": "group", "task": ["kind", {"group": "inner", "task": ["runs"]}]}),
        "inner": entry({"group": "inner", "task": [{"task": "runs"}]}),
        "round": entry({"group": "round", "task": ["round", "kind", {"task": ["odd"]}, 3]}),
    }
    found = {name for name in index if list(_faults(name, index, run_code=False))}
    assert found == {"runs", "tag", "group", "inner"}
    assert not any(list(_faults(name, index, run_code=True)) for name in index)
