"""The shipped revisions: whole, balanced, and read as what they are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import charter.prompts
from charter.evals.refusal import Refusal, read
from charter.hub.clusters import clusters

FOLDER = Path(charter.prompts.__path__[0])


def _rows(name: str) -> list[dict[str, Any]]:
    with (FOLDER / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_each_is_of_one_of_the_first_half_of_the_prompts() -> None:
    prompts, revisions = _rows("shipped"), _rows("revisions")
    assert [each["id"] for each in revisions] == [each["id"] for each in prompts[:120]]
    assert all(each.keys() == {"id", "completion"} for each in revisions)
    assert all(10 <= len(each["completion"].split()) <= 45 for each in revisions)
    assert len({each["completion"] for each in revisions}) == 120


def test_harmful_prompts_are_declined_and_the_others_answered() -> None:
    prompts = {each["id"]: each for each in _rows("shipped")}
    counts: Counter[str] = Counter()
    for each in _rows("revisions"):
        prompt = prompts[each["id"]]
        counts[prompt["category"]] += 1
        outcome = read(prompt["prompt"][-1]["content"], each["completion"]).outcome
        if prompt["category"] == "harmful":
            assert outcome.refused, each
        else:
            assert outcome is Refusal.COMPLIANCE, each
    assert counts == {"harmful": 40, "sounds-harmful": 40, "benign": 40}


def test_the_helpful_answers_comply_and_are_of_no_other_prompt() -> None:
    helpful = _rows("helpful")
    assert [each["id"] for each in helpful] == [f"helpful-{n:03d}" for n in range(1, 61)]
    for each in helpful:
        assert each.keys() == {"id", "prompt", "completion"}
        (asked,), (said,) = each["prompt"], each["completion"]
        assert (asked["role"], said["role"]) == ("user", "assistant")
        assert read(asked["content"], said["content"]).outcome is Refusal.COMPLIANCE, each
    others = [row["prompt"][-1]["content"] for name in ("shipped", "tamper") for row in _rows(name)]
    mine = [each["prompt"][-1]["content"] for each in helpful]
    # Nobody who trains on them has seen what a model is asked afterwards.
    found = list(clusters([*others, *mine]))[len(others) :]
    assert found == list(range(len(others), len(others) + len(mine)))
