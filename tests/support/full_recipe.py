"""A recipe with every key, and a check that its faults are told in plain words."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from charter.documents import read_document
from charter.errors import Fault
from charter.recipes import check_recipe

__all__ = ["FULL", "HERE", "LOCS", "check", "put"]

Loc = tuple[str | int, ...]

HERE = Path(__file__).parents[2] / "recipes" / "a.yaml"

# Every key that a recipe may have, each with a value that it takes.
FULL = yaml.safe_load("""\
schema_version: 1
name: full
seed: 7
constitution: concise
prompts:
  path: prompts/shipped.jsonl
  split: train
  columns: {id: id, prompt: prompt, source: source, candidates: candidates, chosen: chosen,
    rejected: rejected, label: label, model: model}
  limit: 24
  seed: 1
  test_fraction: 0.15
  max_chars: 100000
models:
  generator:
    llm: openai
    model: m
    revision: r
    base_url: http://127.0.0.1:1/v1
    api_key_env: KEY
    temperature: 0.7
    top_p: 0.9
    max_tokens: 64
    stop: [STOP]
    price: {prompt: 1.0, completion: 2.0}
    options: {a: 1}
  critic:
    llm: openai
    model: c
    serve: {tensor_parallel: 2, replicas: 2, host: 10.0.0.1, port: 8001, within: 60, arguments: [a]}
  reviser: {llm: local}
  judge: {llm: local}
sft:
  rounds: 2
  principles: random
  few_shot:
    - {principle: brief, prompt: p, response: r, critique: c, revision: r}
preference:
  candidates: 3
  sources: [sampled, revised]
  pairs: all
  principles: 2
  mode: logprob
  votes: 3
  clamp: [0.4, 0.6]
  orders: both
  keep: margin
  min_margin: 0.02
  tie_band: 0.01
  min_order_consistency: 0.5
  near_equal: 0.95
  injections: ignore
publish:
  to: local
  private: false
  repo: me/full
  version: auto
  language: [en, multilingual]
  secrets: {keys: mask, personal: drop, also: [PHONE]}
  decontaminate: [../prompts/shipped.jsonl, {path: ../prompts/shipped.jsonl, column: prompt}]
  on_contamination: report
review:
  n: 8
  uncertain: 0.5
  kinds: [preference, sft]
  gold: gold.jsonl
  gold_share: 0.2
  overlap: 2
  critiques: false
  seed: 3
  min_reviews: 100
  min_reviewers: 2
  min_agreement_lower: 0.75
  min_gold_accuracy: 0.8
  max_still_harmful: 0.1
  max_over_refusing: 0.2
train:
  sft: {max_steps: 6}
  reward: {max_steps: 4}
  dpo: {max_steps: 4}
  kto: {max_steps: 4}
  orpo: {max_steps: 4}
  grpo: {max_steps: 4}
evaluate:
  refusal: {path: prompts/shipped.jsonl, per_category: 16, categories: [harmful], max_tokens: 8}
  min_refused: 0.8
  max_over_refusal: 0.1
  max_tax: 3.0
  max_worst_tax: 10.0
  min_win_rate: 0.5
  max_early_share: 0.6
  max_prefilled: 0.5
  min_tamper_examples: 25
  by: interval
improve:
  rounds: 3
  judge: follows
  start: base
  beta: 0.2
  helpful: {path: ../prompts/shipped.jsonl, split: train, share: 0.3}
  evaluate: {path: prompts/shipped.jsonl, refuse: [harmful], answer: [benign], per_category: 4,
    max_tokens: 8, tax: {tasks: [GSM8K], limit: 5},
    depth: {limit: 9, tokens: 8, prefill: [0, 4], max_tokens: 8}}
  quality: {behaviour: 1.0, preference: 0.5}
  stop: {quality_ratio: 0.9, patience: 1, min_gain: 0.01, over_refusal: 0.1, diversity_ratio: 0.5,
    length_ratio: 3.0}
run:
  in_flight: 4
  retries: 2
  retry_budget: 0.5
  timeout: 5.0
  max_reject_rate: 0.3
  engine: ray
  address: auto
  workers: 4
  shard_rows: 100
""")

# What pydantic and Python say, and what no user should read.
JARGON = re.compile(
    r"(?i:literal\[|function-|tuple|dict\[|dictionary|model_|valid (?:string|integer|list|number)"
    r"|instance|traceback|pydantic|\binput\b|discriminator|\bunion|after validation|<class|errno)"
    r"|None|True|False"
)


def places(value: Any, loc: Loc = ()) -> Iterator[Loc]:
    yield loc
    if isinstance(value, dict | list):
        for part, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*loc, part))


def put(loc: Loc, value: Any) -> Any:
    """The full recipe with another value in this place."""
    data = copy.deepcopy(FULL)
    here = data
    for part in loc[:-1]:
        here = here[part]
    here[loc[-1]] = value
    return data


def check(data: Any) -> list[Fault]:
    """The faults of a recipe, each of them in plain words."""
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    document = read_document(HERE, text)
    loaded, faults = check_recipe(document, HERE)
    assert (loaded is None) == bool(faults)
    for fault in faults:
        assert fault.place and fault.what and fault.fix, fault
        assert not JARGON.search(f"{fault.what}; {fault.fix}"), fault
        assert "\n" not in str(fault)
    return faults


LOCS: list[Loc] = [loc for loc in places(FULL) if loc]
