"""The recipe's schema: settings that fit together, and one fault for those that do not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from full_recipe import FULL, HERE, check

from charter.documents import Document, read_document
from charter.hub.content import check_wanted
from charter.hub.number import is_tag
from charter.recipes import Recipe, check_recipe


@pytest.mark.parametrize("block", ["sft", "preference"])
@pytest.mark.parametrize("value", [True, None, 3, "no", [], [1], 0.5, 0, 0.0], ids=repr)
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


def test_texts_that_end_an_answer_stand_as_written():
    generator = {"llm": "local", "stop": ["\n", "\nUser: ", "END"]}
    data = {**FULL, "models": {"generator": generator}}
    loaded, faults = check_recipe(Document(str(HERE), data, {}, set()), HERE)
    assert faults == [] and loaded.recipe.role("generator").stop == ("\n", "\nUser: ", "END")
    (fault,) = check({**FULL, "models": {"generator": {"llm": "local", "stop": [""]}}})
    assert (fault.path, fault.what) == ("models.generator.stop[0]", "is empty")


@pytest.mark.parametrize(
    ("block", "path", "words"),
    [
        ({"candidates": 1}, "preference.candidates", "is 1; give a number at least 2"),
        ({"candidates": 17}, "preference.candidates", "at most 16"),
        ({"sources": []}, "preference.sources", "is empty; give at least one"),
        ({"sources": ["sampled", "sampled"]}, "preference.sources", "names one twice"),
        ({"sources": ["smpled"]}, "preference.sources[0]", 'did you mean "sampled"?'),
        (
            {"candidates": 2, "sources": ["sampled", "initial", "revised"]},
            "preference.sources",
            "set cand",
        ),
        ({"candidates": 3, "sources": ["initial", "revised"]}, "preference.sources", "s: 2, or"),
        (
            {"candidates": 2, "sources": ["revised"]},
            "preference.sources",
            "; add sampled to sources",
        ),
        (
            {"candidates": 3, "sources": ["initial"]},
            "preference.sources",
            "; add sampled to sources",
        ),
        ({"pairs": "revised-vs-initial"}, "preference.pairs", "compares these two alone"),
        (
            {
                "pairs": "revised-vs-initial",
                "candidates": 3,
                "sources": ["initial", "revised", "sampled"],
            },
            "preference.pairs",
            "set candidates: 2",
        ),
        ({"min_margin": 0.1}, "preference.min_margin", "keep: margin"),
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
        ({"orders": "single"}, "preference.orders", "set keep: margin"),
        (
            {"orders": "single", "keep": "margin", "min_order_consistency": 0.5},
            "preference.min_order_consistency",
            "needs both orders",
        ),
        ({"mode": "cot", "clamp": [0.4, 0.7]}, "preference.clamp", "not even around 0.5"),
        ({"mode": "cot", "clamp": [0.6, 0.4]}, "preference.clamp", "not even around 0.5"),
        ({"mode": "cot", "clamp": [0.4]}, "preference.clamp[1]", "add"),
        ({"mode": "cot", "tie_band": 0.1}, "preference.tie_band", "widen clamp"),
        (
            {"mode": "cot", "tie_band": 0.25, "clamp": [0.25, 0.75]},
            "preference.tie_band",
            "widen clamp",
        ),
        ({"mode": "vote", "votes": 0}, "preference.votes", "at least 1"),
        ({"mode": "verdict", "votes": 3}, "preference.votes", "counts under mode: vote or logprob"),
        ({"clamp": [0.3, 0.7]}, "preference.clamp", "counts under mode: cot alone"),
        ({"mode": "vote", "clamp": [0.3, 0.7]}, "preference.clamp", "set mode or remove it"),
        ({"mode": "cot", "votes": 3}, "preference.votes", "set mode or remove it"),
        ({"votes": 3}, "preference.votes", "counts under mode: vote or logprob alone"),
        ({"candidates": "gven"}, "preference.candidates", "given"),
        ({"candidates": "given", "sources": ["sampled"]}, "preference.sources", "has no sources"),
        ({"candidates": "given", "pairs": "revised-vs-initial"}, "preference.pairs", "needs our"),
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
        ({"principles": {"brief": "1"}}, "sft.principles.brief", "text, not a number; write 1.0,"),
        ({"principles": {"brief": "1e-3"}}, "sft.principles.brief", "write 0.001, without quotes"),
        ({"principles": {"brief": "1e30"}}, "sft.principles.brief", "write 1.0e+30, without"),
        ({"principles": {"brief": "nan"}}, "sft.principles.brief", "number; give a number"),
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
        ({"sft": False, "preference": False}, "preference", "leave one in"),
        ({"sft": False}, "preference.sources", "revised needs sft"),
        ({"prompts": {"limit": 3}}, "prompts", "needs one of path and dataset"),
        ({"prompts": {"path": "prompts/shipped.jsonl", "dataset": "a/b"}}, "prompts", "one of"),
        ({"prompts": {"path": "prompts/shipped.jsonl", "revision": "x"}}, "prompts", "dataset"),
        ({"prompts": {"path": "prompts/shipped.jsonl", "config": "x"}}, "prompts", "dataset"),
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
            {"models": {"generator": {"llm": "local", "base_url": "http://x/v1"}}},
            "models.generator.base_url",
            "has no base_url",
        ),
        ({"publish": {"version": "v1.0"}}, "publish.version", "write auto, rc, or a tag like"),
        (
            {"preference": {"mode": "vote"}, "models": GREEDY},
            "preference.mode",
            "asks a greedy judge",
        ),
        ({"preference": {"candidates": "given"}}, "preference.candidates", "set sft: false"),
        ({"models": {"judge": {"llm": "local"}}}, "models", "has no generator"),
        ({"models": {"critic": {"llm": "local"}}}, "models", '"generator" is missing'),
        ({"evaluate": {"refusal": {"path": "x.jsonl"}}}, "evaluate.refusal.path", "no such file"),
        ({"improve": {"helpful": {"path": "x.jsonl"}}}, "improve.helpful.path", "no such file"),
        ({"improve": {"helpful": {}}}, "improve.helpful", "needs one of path and dataset"),
        (
            {"improve": {"helpful": {"path": "prompts/shipped.jsonl", "revision": "x"}}},
            "improve.helpful",
            "name the dataset",
        ),
        (
            {"improve": {"quality": {"behaviour": 0, "preference": 0}}},
            "improve.quality",
            "give one of them weight",
        ),
        (
            {"improve": {"evaluate": {"depth": {"prefill": [0, 5, 5]}}}},
            "improve.evaluate.depth",
            "has 5 after 5",
        ),
        ({"publish": {"decontaminate": ["x.txt"]}}, "publish.decontaminate[0]", "no such file"),
        (
            {"publish": {"decontaminate": [{"path": "x.txt"}]}},
            "publish.decontaminate[0]",
            "no such file",
        ),
        ({"publish": {"decontaminate": [{}]}}, "publish.decontaminate[0]", "needs one of"),
        *(
            (
                {"publish": {"decontaminate": [{"path": "prompts/shipped.jsonl", key: "x"}]}},
                "publish.decontaminate[0]",
                "name the dataset",
            )
            for key in ("config", "revision", "split")
        ),
    ],
    ids=str,
)
def test_other_settings_that_do_not_fit(changes, path, words):
    (fault,) = check({**FULL, **changes})
    assert fault.path == path
    assert words in f"{fault.what}; {fault.fix}"


def test_all_that_contradicts_itself_is_told_at_once_and_in_its_line():
    text = """\
constitution: concise
prompts: {path: prompts/shipped.jsonl}
models:
  generator:
    llm: anthropic
    base_url: http://127.0.0.1:1/v1
    serve: {replicas: 2}
preference:
  sources: [sampled, sampled]
  orders: single
  min_margin: 0.1
  min_order_consistency: 0.5
  clamp: [0.3, 0.6]
"""
    _, faults = check_recipe(read_document(Path("r.yaml"), text), Path("r.yaml"))
    assert [(fault.place, fault.path) for fault in faults] == [
        ("r.yaml:4:3", "models.generator"),
        ("r.yaml:6:5", "models.generator.base_url"),
        ("r.yaml:7:5", "models.generator.serve"),
        ("r.yaml:9:3", "preference.sources"),
        ("r.yaml:10:3", "preference.orders"),
        ("r.yaml:11:3", "preference.min_margin"),
        ("r.yaml:12:3", "preference.min_order_consistency"),
        ("r.yaml:13:3", "preference.clamp"),
    ]


def test_blocks_that_contradict_each_other_are_told_at_once():
    changes = {"preference": {"candidates": "given", "mode": "vote"}, "models": GREEDY}
    assert [fault.path for fault in check({**FULL, **changes})] == [
        "preference.candidates",
        "preference.mode",
    ]


@pytest.mark.parametrize("mode", ["vote", "logprob"])
def test_votes_count_where_a_judge_is_asked_for_them(mode):
    assert check({**FULL, "preference": {"mode": mode, "votes": 3}}) == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1:8000/v1", "localhost:8000", "api.openai.com/v1", "ftp://host/v1", "x"),
        *("http://", "http:///v1", "http://:8000/v1", "http://host:port/v1", "http://host:99999"),
        *("http://[::1/v1", "https//host/v1", "secret@host"),
    ],
)
def test_an_address_without_a_server_is_told_and_not_repeated(address):
    model = {"llm": "openai", "model": "m", "base_url": address}
    (fault,) = check({**FULL, "models": {"generator": model}})
    assert fault.path == "models.generator.base_url"
    assert fault.what == "is no address of a server"
    assert fault.fix == "write it like http://host:port/v1"


@pytest.mark.parametrize(
    "address", ["http://host", "https://api.host.org/v1/", "HTTP://[::1]:8000/v1"]
)
def test_an_address_of_a_server(address):
    model = {"llm": "openai", "model": "m", "base_url": address}
    assert check({**FULL, "models": {"generator": model}}) == []


@pytest.mark.parametrize("login", ["ann:hunter2", "ann", ":x", "t%40b:c"])
def test_an_address_with_a_password_is_refused_as_the_recipe_is_published(login):
    model = {"llm": "openai", "model": "m", "base_url": f"http://{login}@host:8000/v1"}
    (fault,) = check({**FULL, "models": {"generator": model}})
    assert fault.path == "models.generator.base_url"
    assert "would be published" in fault.what and login not in str(fault)
    assert "api_key_env" in fault.fix
    judge = {"grpo": {"judge": "m", "judge_url": f"http://{login}@host"}}
    (fault,) = check({**FULL, "train": judge})
    assert fault.path == "train.grpo.judge_url" and login not in str(fault)


def test_a_query_behind_an_address_is_told_and_not_repeated():
    model = {"llm": "openai", "model": "m", "base_url": "http://host:8000/v1?key=hunter2"}
    (fault,) = check({**FULL, "models": {"generator": model}})
    assert "a query" in fault.what and "hunter2" not in str(fault)


TAGS = ["v1.2.0", "v0.1.0", "v10.20.30", "v1.2.0-rc.1", "v1.2.0-rc.0", "v999999999.0.0"]
WORDS = ["auto", "rc", "v1.2.0-rc"]
NONE = [
    *("latest", "1.2.0", "v1", "v1.2", "v1.2.0.0", "V1.2.0", "v01.2.0", "v1.2.0-rc1", "v1.2.0-rc."),
    *("v1.2.0-rc.01", "v1.2.0-beta.1", "v1.2.0-rc.1-rc", "auto-rc", "rc.1", "v1.2.0 final", ">=1"),
    *("AUTO", "v1234567890.0.0", "v1.2.0\nv", "v\u0661.2.0"),
]


@pytest.mark.parametrize("version", [*TAGS, *WORDS])
def test_versions_that_a_recipe_may_want(version):
    assert check({**FULL, "publish": {"version": version}}) == []
    check_wanted(version)
    assert is_tag(version) == (version in TAGS)
    block = Recipe.model_json_schema()["$defs"]["PublishSettings"]
    assert re.search(block["properties"]["version"]["pattern"], version)


@pytest.mark.parametrize("version", NONE)
def test_a_version_that_could_not_be_published_is_told_before_any_call(version):
    (fault,) = check({**FULL, "publish": {"version": version}})
    assert fault.path == "publish.version" and re.search(r"a\.yaml:\d+:\d+$", fault.place)
    assert fault.what == "is no version tag"
    assert not is_tag(version)


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
