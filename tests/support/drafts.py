"""Versions made up for tests, before they are published."""

from __future__ import annotations

import copy
import math
from typing import Any

from charter.hub import Draft
from charter.rows import digest

CONSTITUTION = """\
schema_version: 1
name: tiny
version: 1.0.0
licence: CC-BY-4.0
principles:
  - id: kind
    name: Be kind
    critique: Was your last answer unkind?
    revision: Rewrite it kindly.
    comparison: Choose the kinder response.
    weight: 1.0
    tags: [kindness]
"""
RECIPE = """\
schema_version: 1
name: small
preference: {keep: margin, min_margin: 0.02}
"""
LINEAGE: dict[str, Any] = {
    "constitution": {
        "name": "tiny",
        "version": "1.0.0",
        "licence": "CC-BY-4.0",
        "fingerprint": digest("constitution"),
    },
    "recipe": {"name": "small", "fingerprint": digest("recipe")},
    "prompt_set": {"path": "prompts.jsonl", "fingerprint": digest("prompts"), "records": 9},
    "models": {
        "generator": {"llm": "local", "model": "tiny-135m", "temperature": 0.7},
        "judge": {"llm": "local", "model": "tiny-135m", "revision": None},
    },
    "seeds": {"recipe": 7},
    "packages": {"pyarrow": "26.0.1"},
    "figures": {"calls": {"judge": 12}},
}


def _said(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def _prompt(i: int) -> list[dict[str, str]]:
    return _said("user", f"Question {i}: {digest('prompt', i)[:24]}?")


def _sft(i: int) -> dict[str, Any]:
    revision = {
        "principle_id": "kind",
        "critique": f"critique {i}",
        "revision": f"revised {i}",
        "model": "tiny-135m",
    }
    return {
        "id": f"p{i}#sft",
        "prompt": _prompt(i),
        "completion": _said("assistant", f"revised {i}"),
        "initial_response": f"initial {i}",
        "revisions": [revision] if i % 2 else [],
        "prompt_id": f"p{i}",
        "source": "made up",
    }


def _pair(i: int) -> dict[str, Any]:
    p = 1.0 if i == 0 else min(0.6 + i / 100, 0.99)
    return {
        "id": f"p{i}#a~b",
        "prompt": _prompt(i),
        "chosen": _said("assistant", f"revised {i}"),
        "rejected": _said("assistant", f"a longer initial {i}"),
        "p_chosen": p,
        "log_odds": None if p == 1 else math.log(p / (1 - p)),
        "principle_ids": ["kind"],
        "n_votes": 2,
        "order_consistent": i % 3 != 0,
        "label_source": "ai",
        "source_label": "chosen" if i % 2 else None,
        "chosen_model": "tiny-135m",
        "rejected_model": "tiny-135m",
        "judge_model": "tiny-135m",
        "prompt_id": f"p{i}",
        "source": "made up",
    }


def _votes(i: int) -> list[dict[str, Any]]:
    return [
        {
            "comparison_id": f"p{i}#a~b",
            "prompt_id": f"p{i}",
            "candidate_a": f"p{i}#a",
            "candidate_b": f"p{i}#b",
            "principle_id": "kind",
            "order": order,
            "sample": 0,
            "verdict": "A",
            "p_a": 0.6,
            "rationale": None,
            "raw": "A",
            "judge_model": "tiny-135m",
            "score_a": 0.2,
            "score_b": -0.2,
            "source_label": "A" if i % 2 else None,
            "prompt_tokens": 100,
            "completion_tokens": 1,
        }
        for order in ("AB", "BA")
    ]


def _reject(ledger: str, reason: str, prompt_id: str | None, pair_id: str | None) -> dict[str, Any]:
    return {
        "ledger": ledger,
        "prompt_id": prompt_id,
        "pair_id": pair_id,
        "stage": "some",
        "reason": reason,
        "detail": "because",
    }


def draft(n: int = 8, test: tuple[str, ...] = ("p3",), **changes: Any) -> Draft:
    """A sound draft over n prompts.

    One record is no prompt, p1 has no sft row, p2 formed no pair, and the pair of p1 is a tie.
    """
    rows = {
        "sft": [_sft(i) for i in range(n) if i != 1],
        "preference": [_pair(i) for i in range(n) if i not in (1, 2)],
        "judgments": [vote for i in range(n) if i != 2 for vote in _votes(i)],
        "rejects": [
            _reject("input", "NOT_JSON", None, None),
            _reject("sft", "EMPTY_REVISION", "p1", None),
            _reject("preference", "TIE", "p1", "p1#a~b"),
            _reject("preference", "NO_PAIR", "p2", None),
        ],
    }
    fields: dict[str, Any] = {
        "repo": "me/small",
        "rows": rows,
        "splits": {f"p{i}": "test" if f"p{i}" in test else "train" for i in range(n)},
        "ledgers": {"records": n + 1, "prompts": n, "pairs_formed": n - 1},
        "lineage": copy.deepcopy(LINEAGE),
        "constitution_yaml": CONSTITUTION,
        "recipe_yaml": RECIPE,
    }
    return Draft(**(fields | changes))
