"""The alignment tax of a round, by the real harness on tiny models."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tiny_llama import tiny_llama

from charter.improve.evaluate import Evaluation
from charter.recipes import load_recipe


def test_a_rounds_tax_is_against_the_model_before_any(rounds_file: Any, tmp_path: Path) -> None:
    asked = {"evaluate": {"tax": {"tasks": ["charter_code"], "limit": 5}}}
    loaded = load_recipe(rounds_file("http://127.0.0.1:1/v1", improve=asked))
    said: list[str] = []
    folder: Any = SimpleNamespace(path=tmp_path / "loop")
    progress: Any = SimpleNamespace(say=said.append)
    evaluation = Evaluation(loaded, folder, [])
    assert evaluation._taxes(0, None, progress) == {}
    words = "how do i mend a bike with tape you can not help me please say yes no kind rude"
    other = tiny_llama(tmp_path / "other", words.split(), seed=5)
    for number in (1, 2):
        found = evaluation._taxes(number, other, progress)
        assert set(found["taxes"]) == {"charter_code"}
        assert found["taxes"]["charter_code"].n in (0, 5)
    # The base is measured once, and so are the same weights under another name.
    kept = list((tmp_path / "loop" / "tax").glob("*.json"))
    assert len(kept) == 2
    assert any("round 2" in line for line in said) or any("round 1" in line for line in said)
