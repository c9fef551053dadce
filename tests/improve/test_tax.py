"""The alignment tax of a round, by the real harness on tiny models; and its tasks, before any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_llama import tiny_llama

from charter.errors import InputError
from charter.improve import tax
from charter.improve.needs import check
from charter.improve.plan import plan
from charter.improve.tax import round_tax, tax_faults
from charter.recipes import load_recipe

URL = "http://127.0.0.1:1/v1"


class Said:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_rounds_tax_is_against_the_model_before_any(rounds_file: Any, tmp_path: Path) -> None:
    asked = {"evaluate": {"tax": {"tasks": ["charter_code"], "limit": 5}}}
    loaded = load_recipe(rounds_file(URL, improve=asked))
    progress: Any = Said()
    folder = tmp_path / "loop"
    assert round_tax(loaded, folder, 0, None, progress) == {}
    words = "how do i mend a bike with tape you can not help me please say yes no kind rude"
    other = tiny_llama(tmp_path / "other", words.split(), seed=5)
    for number in (1, 2):
        found = round_tax(loaded, folder, number, other, progress)
        assert set(found["taxes"]) == {"charter_code"}
        assert found["taxes"]["charter_code"].n in (0, 5)
    # The base is measured once, and so are the same weights under another name.
    kept = list((folder / "tax").glob("*.json"))
    assert len(kept) == 2
    assert any("round 2" in line or "round 1" in line for line in progress.lines)


def asking(rounds_file: Any, *tasks: str, **more: Any) -> Any:
    asked = {"evaluate": {"tax": {"tasks": list(tasks)}}}
    return load_recipe(rounds_file(URL, improve=asked, **more))


def test_names_that_are_known_here_need_no_lm_eval(
    rounds_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(tasks: Any) -> Any:
        raise AssertionError(f"lm-eval is asked about {tasks}")

    monkeypatch.setattr(tax, "task_faults", never)
    assert tax_faults(asking(rounds_file, "MMLU", "gsm8k", "charter_code", "truthful_qa")) == []
    assert tax_faults(load_recipe(rounds_file(URL))) == []
    (twice,) = tax_faults(asking(rounds_file, "MMLU", "mmlu"))
    assert twice.what == '"MMLU": is asked for twice' and twice.fix == "name it once"
    (unsafe,) = tax_faults(asking(rounds_file, "humaneval", "MMLU"))
    assert unsafe.path == "improve.evaluate.tax.tasks" and "executes code" in unsafe.what
    assert "leave it out" in unsafe.fix


def test_a_task_that_is_none_is_said_with_all_else_before_any_round(
    rounds_file: Any, tmp_path: Path
) -> None:
    training = {"sft": {}, "dpo": {"model": "x"}}
    loaded = asking(rounds_file, "gsm8kk", "arc_easy", "humaneval_plus", train=training)
    with pytest.raises(InputError) as caught:
        plan(loaded, tmp_path / "out")
    found = {(fault.path, fault.what): fault.fix for fault in caught.value.faults}
    path = "improve.evaluate.tax.tasks"
    assert found[path, '"gsm8kk": no such benchmark or task'].startswith('did you mean "gsm8k"?')
    assert "leave it out" in found[path, '"humaneval_plus": executes code that a model wrote']
    assert "train.dpo.model" in {path for path, _ in found}
    assert len(found) == 3  # and arc_easy is one
    assert all(fault.place == str(loaded.path) for fault in caught.value.faults)
    assert not (tmp_path / "out").exists()


def test_what_is_right_passes(rounds_file: Any) -> None:
    check(asking(rounds_file, "charter_code", "MMLU"))
