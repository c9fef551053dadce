"""The recipe's schema: whatever value stands wherever, the answer is faults in plain words."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.documents import Document, read_document
from charter.recipes import Recipe, check_recipe

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
  clamp: [0.2, 0.8]
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


def places(value, loc=()):
    yield loc
    if isinstance(value, dict | list):
        for part, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*loc, part))


def put(loc, value):
    data = copy.deepcopy(FULL)
    here = data
    for part in loc[:-1]:
        here = here[part]
    here[loc[-1]] = value
    return data


def check(data):
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    document = read_document(HERE, text)
    loaded, faults = check_recipe(document, HERE)
    assert (loaded is None) == bool(faults)
    for fault in faults:
        assert fault.place and fault.what and fault.fix, fault
        assert not JARGON.search(f"{fault.what}; {fault.fix}"), fault
        assert "\n" not in str(fault)
    return faults


LOCS = [loc for loc in places(FULL) if loc]


def name_of(loc):
    return ".".join(map(str, loc))


def test_the_full_recipe_is_right_and_has_every_key():
    assert check(FULL) == []
    schema = Recipe.model_json_schema()
    blocks = schema["$defs"].values()
    known = {key for block in [schema, *blocks] for key in block.get("properties", {})}
    used = {part for loc in LOCS for part in loc if isinstance(part, str)}
    # These exclude `path`, and are tried below. A new key belongs into FULL.
    assert known - used == {"dataset", "config"}


@pytest.mark.parametrize("loc", LOCS, ids=name_of)
def test_a_wrong_kind_of_value_is_one_fault_in_its_place(loc):
    good = FULL
    for part in loc:
        good = good[part]
    wrong = [[[]], {"zzz": {"y": 1}}] if not isinstance(good, dict) else [[1], "text", 3]
    for value in wrong:
        if name_of(loc) in ("sft.principles", "models.generator.options", "train.sft", "train.dpo"):
            value = 3.5
        if loc[-1] in ("a", "max_steps"):
            continue  # free values of TRL's fields and of the LLM's options
        faults = check(put(loc, value))
        inside = [f for f in faults if f.path.replace("[", ".").replace("]", "") != name_of(loc)]
        assert len(faults) - len(inside) <= 1
        assert faults, value
        if not isinstance(value, dict) and not isinstance(good, list):
            assert [f.path for f in faults] == [faults[0].path]


@pytest.mark.parametrize("loc", [loc for loc in LOCS if isinstance(loc[-1], str)], ids=name_of)
def test_a_mistyped_key_gets_a_suggestion(loc):
    data = put(loc, None)
    here = data
    for part in loc[:-1]:
        here = here[part]
    del here[loc[-1]]
    typo = loc[-1][:-1] + loc[-1][-1] * 2 if loc[-1] != "n" else "nn"
    if typo == "aa":
        return
    here[typo] = FULL if len(loc) == 0 else "x"
    mine = [f for f in check(data) if f.path.endswith(typo)]
    assert len(mine) == 1
    assert mine[0].fix == f'did you mean "{loc[-1]}"?'


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.sampled_from(["", "hhh", "local", "all", "~nobody/x", "**.jsonl", "a/**b", "x" * 5000])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["llm", "path", "a", "", "prompt"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(LOCS), VALUES), min_size=1, max_size=3))
def test_no_values_anywhere_make_check_raise(changes):
    data = copy.deepcopy(FULL)
    for loc, value in changes:
        here = data
        for part in loc[:-1]:
            held = isinstance(here, dict) and part in here
            held = held or (isinstance(here, list) and isinstance(part, int) and part < len(here))
            here = here[part] if held else None
        if isinstance(here, dict):
            here[loc[-1]] = value
    document = Document("f", data, {})
    loaded, faults = check_recipe(document, HERE)
    assert (loaded is None) == bool(faults)
    for fault in faults:
        assert fault.what and fault.fix and fault.place
        str(fault).encode()


@pytest.mark.parametrize("block", ["sft", "preference"])
@pytest.mark.parametrize("value", [True, None, 3, "no", [], [1], 0.5], ids=repr)
def test_a_block_that_may_be_false_has_one_fault(block, value):
    (fault,) = check({**FULL, block: value})
    assert fault.path == block
    assert fault.what == "is not a mapping of keys to values"
    assert fault.fix == "indent keys below it, or use false"


def test_a_block_may_be_false():
    assert check({**FULL, "sft": False, "preference": {"sources": ["sampled"]}}) == []
    assert check({**FULL, "preference": False}) == []


def test_a_recipe_that_only_judges_needs_a_judge_alone():
    block = {"candidates": "given", "principles": {"brief": 2.0, "concrete": 1}}
    only = {**FULL, "sft": False, "preference": block, "models": {"judge": {"llm": "local"}}}
    assert check(only) == []
    recipe = check_recipe(Document(str(HERE), only, {}, set()), HERE)[0].recipe
    assert recipe.roles == ("judge",)


def test_a_judge_that_votes_is_no_greedy_one():
    loaded, faults = check_recipe(
        Document(str(HERE), {**FULL, "preference": {"mode": "vote"}}, {}, set()), HERE
    )
    assert faults == [] and loaded.recipe.role("judge").temperature == 0.7
    assert loaded.recipe.models.role("judge").temperature == 0.0


def test_a_judge_of_any_kind_may_be_asked_for_log_odds():
    """Whether it can give them is found when the recipe is run: else it votes."""
    models = {"generator": {"llm": "local"}, "judge": {"llm": "anthropic", "model": "m"}}
    assert check({**FULL, "models": models}) == []


@pytest.mark.parametrize(
    ("block", "path", "words"),
    [
        ({"candidates": 1}, "preference.candidates", "is 1; give a number at least 2"),
        ({"candidates": 17}, "preference.candidates", "at most 16"),
        ({"sources": []}, "preference.sources", "is empty; give at least one"),
        ({"sources": ["sampled", "sampled"]}, "preference", "names one twice"),
        ({"sources": ["smpled"]}, "preference.sources[0]", 'did you mean "sampled"?'),
        ({"candidates": 2, "sources": ["sampled", "initial", "revised"]}, "preference", "set cand"),
        ({"candidates": 3, "sources": ["initial", "revised"]}, "preference", "candidates: 2"),
        ({"candidates": 2, "sources": ["revised"]}, "preference", "candidates: 1"),
        ({"pairs": "revised-vs-initial"}, "preference", "compares these two alone"),
        (
            {
                "pairs": "revised-vs-initial",
                "candidates": 3,
                "sources": ["initial", "revised", "sampled"],
            },
            "preference",
            "set candidates: 2",
        ),
        ({"min_margin": 0.1}, "preference", "keep: margin"),
        ({"min_margin": 0.5, "keep": "margin"}, "preference.min_margin", "below 0.5"),
        ({"tie_band": -0.1}, "preference.tie_band", "at least 0"),
        ({"principles": 0}, "preference.principles", "or use 'all'"),
        ({"principles": "two"}, "preference.principles", "use 'all'"),
        ({"principles": 7}, "preference.principles", "asks for 7 of 6"),
        ({"mode": "text"}, "preference.mode", "use 'verdict', 'logprob', 'cot' or 'vote'"),
        ({"keep": None}, "preference.keep", "no such value null"),
        ({"principles": {"brief": 0}}, "preference.principles", "no weight above 0"),
        ({"principles": {"breif": 1}}, "preference.principles.breif", 'did you mean "brief"?'),
        ({"principles": {}}, "preference.principles", "no weight above 0"),
        ({"orders": "single"}, "preference", "set keep: margin"),
        (
            {"orders": "single", "keep": "margin", "min_order_consistency": 0.5},
            "preference",
            "needs both orders",
        ),
        ({"mode": "cot", "clamp": [0.4, 0.7]}, "preference", "not even around 0.5"),
        ({"mode": "cot", "clamp": [0.6, 0.4]}, "preference", "not even around 0.5"),
        ({"mode": "cot", "clamp": [0.4]}, "preference.clamp[1]", "add"),
        ({"mode": "cot", "tie_band": 0.1}, "preference", "widen clamp"),
        ({"mode": "vote", "votes": 0}, "preference.votes", "at least 1"),
        ({"candidates": "gven"}, "preference.candidates", "given"),
        ({"candidates": "given", "sources": ["sampled"]}, "preference", "has no sources"),
        ({"candidates": "given", "pairs": "revised-vs-initial"}, "preference", "needs our"),
        ({"near_equal": 0.5}, "preference.near_equal", "above 0.5"),
        ({"injections": "keep"}, "preference.injections", "use 'reject' or 'ignore'"),
    ],
    ids=str,
)
def test_preference_settings_that_do_not_fit(block, path, words):
    (fault,) = check({**FULL, "preference": block})
    assert fault.path == path
    assert words in f"{fault.what}; {fault.fix}"


@pytest.mark.parametrize(
    ("block", "path", "words"),
    [
        ({"rounds": 0}, "sft.rounds", "at least 1"),
        ({"rounds": 33}, "sft.rounds", "at most 32"),
        ({"principles": "rand"}, "sft.principles", 'did you mean "random"?, or indent keys'),
        ({"principles": {}}, "sft.principles", "no weight above 0"),
        ({"principles": {"brief": 0}}, "sft.principles", "no weight above 0"),
        ({"principles": {"brief": -1, "concrete": 1}}, "sft.principles.brief", "below 0"),
        ({"principles": {"breif": 1}}, "sft.principles.breif", 'did you mean "brief"?'),
        ({"principles": {"brief": "1"}}, "sft.principles.brief", "not a number"),
        ({"principles": ["brief"]}, "sft.principles", "indent keys below it"),
        (
            {
                "few_shot": [
                    {
                        "principle": "breif",
                        "prompt": "p",
                        "response": "r",
                        "critique": "c",
                        "revision": "v",
                    }
                ]
            },
            "sft.few_shot[0].principle",
            'did you mean "brief"?',
        ),
    ],
    ids=str,
)
def test_sft_settings_that_do_not_fit(block, path, words):
    (fault,) = check({**FULL, "sft": block})
    assert fault.path == path
    assert words in f"{fault.what}; {fault.fix}"


GREEDY = {"generator": {"llm": "local"}, "judge": {"llm": "local", "temperature": 0.0}}


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"sft": False, "preference": False}, "", "leave one in"),
        ({"sft": False}, "", "revised needs sft"),
        ({"prompts": {"limit": 3}}, "prompts", "needs one of path and dataset"),
        ({"prompts": {"path": "prompts/shipped.jsonl", "dataset": "a/b"}}, "prompts", "one of"),
        ({"prompts": {"path": "prompts/shipped.jsonl", "revision": "x"}}, "prompts", "dataset"),
        ({"prompts": {"dataset": "ab"}}, "prompts.dataset", "owner/name"),
        ({"prompts": {"dataset": "a/b c"}}, "prompts.dataset", "owner/name"),
        ({"prompts": {"path": "nowhere.jsonl"}}, "prompts.path", "no such file"),
        ({"prompts": {"path": "x" * 300}}, "prompts.path", "no such file"),
        ({"prompts": {"path": "~nobody/x.jsonl"}}, "prompts.path", "no such file"),
        ({"prompts": {"path": "**.jsonl"}}, "prompts.path", "no such file"),
        ({"prompts": {"path": "../README.md"}}, "prompts.path", "use .jsonl, .csv or .parquet"),
        ({"publish": {"repo": "me"}}, "publish.repo", "owner/name"),
        ({"publish": {"repo": "mé/x"}}, "publish.repo", "owner/name"),
        ({"publish": {"to": "hubb"}}, "publish.to", 'did you mean "hub"?'),
        ({"constitution": "hh"}, "constitution", 'did you mean "hhh"?'),
        ({"constitution": " "}, "constitution", "blank"),
        ({"train": {"sft": {"max_step": 1}}}, "train.sft.max_step", 'did you mean "max_steps"?'),
        ({"train": {"dpo": {"zzz": 1}}}, "train.dpo.zzz", "DPOConfig has no field"),
        ({"models": {"generator": {"llm": "openai"}}}, "models.generator", "needs a model"),
        ({"models": {"generator": {"llm": "opnai"}}}, "models.generator.llm", "did you mean"),
        (
            {"models": {"generator": {"llm": "local", "base_url": "x"}}},
            "models.generator",
            "has no base_url",
        ),
        ({"preference": {"mode": "vote"}, "models": GREEDY}, "", "asks a greedy judge"),
        ({"preference": {"candidates": "given"}}, "", "set sft: false"),
        ({"models": {"judge": {"llm": "local"}}}, "", "models has no generator"),
        ({"models": {"critic": {"llm": "local"}}}, "models", '"generator" is missing'),
    ],
    ids=str,
)
def test_other_settings_that_do_not_fit(changes, path, words):
    (fault,) = check({**FULL, **changes})
    assert fault.path == path
    assert words in f"{fault.what}; {fault.fix}"


def test_roles_that_are_not_named_are_the_generator_and_the_judge_is_greedy():
    recipe = Recipe.model_validate_json(
        json.dumps(
            {
                "constitution": "hhh",
                "prompts": {"path": "x"},
                "models": {
                    "generator": {"llm": "openai", "model": "g", "temperature": 0.9},
                    "critic": {"llm": "openai", "model": "c"},
                },
            }
        )
    )
    models = recipe.models
    assert models.role("generator").temperature == 0.9
    assert models.role("reviser") == models.role("generator")
    assert models.role("critic").model == "c" and models.role("critic").temperature == 0.7
    assert models.role("judge").model == "g" and models.role("judge").temperature == 0.0
    own = recipe.models.model_copy(
        update={"judge": models.role("generator").model_copy(update={"temperature": 0.3})}
    )
    assert own.role("judge").temperature == 0.3
    assert recipe.repo == "local/recipe"
