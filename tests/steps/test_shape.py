"""Rows that are published, and three ledgers that add up whatever fails."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.documents import Document
from charter.hub.schema import CONFIGS
from charter.models.call import Answer
from charter.pipeline import asking_steps, candidate_slots, keep_rule, prompt_row
from charter.recipes import Prompt, check_recipe
from charter.rows import Reason
from charter.steps.asking import prepared
from charter.steps.keep import kept
from charter.steps.shape import (
    judgment_rows,
    planned_pairs,
    preference_rows,
    reject_rows,
    sft_rows,
)

HERE = Path("r.yaml")


def load(**blocks):
    data = {
        "seed": 3,
        "constitution": "concise",
        "prompts": {"path": "prompts/shipped.jsonl"},
        "models": {"generator": {"llm": "openai", "model": "m"}},
        **blocks,
    }
    loaded, faults = check_recipe(Document("r.yaml", data, {}), HERE)
    assert loaded is not None, faults
    return loaded


def walk(loaded, row, script):
    """One row through all steps; `script(step, call)` gives each answer."""
    for step in asking_steps(loaded):
        row = step.fold(row, [script(step, call) for call in step.calls(row)])
    rule = keep_rule(loaded)
    return prepared(row) if rule is None else kept(row, rule, loaded.constitution)


def start(i=0):
    return prompt_row(Prompt(f"p{i}", ({"role": "user", "content": f"Why {i}?"},), "web"))


def judge_by_length(step, call):
    if step.role != "judge":
        return Answer(f"{step.name} " + "word " * (call.seed % 5))
    body = call.messages[-1]["content"]
    parts = [body.split(f"[response {x} ")[1].split("\n[end of")[0] for x in "AB"]
    lead = len(parts[0]) - len(parts[1])
    if call.labels:
        return Answer(label_logprobs={"A": -1.0 + lead / 10, "B": -1.0})
    return Answer("A" if lead > 0 else "B" if lead < 0 else "TIE")


def test_rows_of_a_prompt_for_which_all_goes_well():
    loaded = load(preference={"candidates": 3, "sources": ["initial", "revised", "sampled"]})
    row = walk(loaded, start(), judge_by_length)
    (sft,) = sft_rows(row)
    assert sft["id"] == "p0#sft" and sft["prompt"] == [{"role": "user", "content": "Why 0?"}]
    assert sft["completion"] == [{"role": "assistant", "content": sft["revisions"][-1]["revision"]}]
    assert sft["source"] == "web" and sft["initial_response"].startswith("respond")
    votes = judgment_rows(row, "the judge")
    assert len(votes) == 6 and {v["judge_model"] for v in votes} == {"the judge"}
    assert votes[0]["candidate_a"] == "p0#initial" and votes[0]["rationale"] is None
    for pair in preference_rows(row, "the judge"):
        chosen, rejected = pair["chosen"][0]["content"], pair["rejected"][0]["content"]
        assert len(chosen) > len(rejected)
        assert pair["p_chosen"] == 1.0 and pair["log_odds"] is None
        assert pair["label_source"] == "ai" and pair["order_consistent"]
        assert set(pair["principle_ids"]) == {
            v["principle_id"] for v in votes if v["comparison_id"] == pair["id"]
        }
    json.dumps([sft, votes, preference_rows(row), reject_rows(row)], allow_nan=False)
    made = {"sft": [sft], "preference": preference_rows(row), "judgments": votes}
    for config, rows in made.items():
        assert {tuple(each) for each in rows} == {tuple(CONFIGS[config].names)}


def test_log_odds_are_the_logit_of_p():
    loaded = load(preference={"mode": "logprob", "keep": "margin"})
    for i in range(20):
        for pair in preference_rows(walk(loaded, start(i), judge_by_length)):
            assert 0.5 < pair["p_chosen"] < 1
            assert 1 / (1 + math.exp(-pair["log_odds"])) == pytest.approx(pair["p_chosen"])


RECIPES = [
    {},
    {"sft": {"rounds": 2}},
    {"sft": {"rounds": 1, "principles": "all"}},
    {"preference": False},
    {"sft": False, "preference": {"sources": ["sampled"], "candidates": 3}},
    {"sft": False, "preference": {"sources": ["initial", "sampled"], "candidates": 3}},
    {"preference": {"sources": ["initial", "revised"], "pairs": "revised-vs-initial"}},
    {"preference": {"sources": ["initial", "revised", "sampled"], "candidates": 4}},
    {"preference": {"sources": ["sampled"], "candidates": 2, "principles": "all"}},
    {
        "preference": {
            "sources": ["revised", "sampled"],
            "candidates": 3,
            "mode": "logprob",
            "keep": "margin",
            "min_margin": 0.1,
            "tie_band": 0.01,
        }
    },
]

TEXTS = ["", " ", "same", "Same\n", "other", "third", "\ud800 half"]
ANSWER = (
    st.sampled_from([Answer(text) for text in TEXTS])
    | st.just(Answer(error="down"))
    | st.just(Answer(error="long", overflow=True))
    | st.sampled_from([Answer("A"), Answer("B"), Answer("TIE"), Answer("no idea")])
    | st.builds(
        lambda a, b: Answer(label_logprobs={"A": a, "B": b}), st.floats(-9, 0), st.floats(-9, 0)
    )
    | st.just(Answer(label_logprobs={"A": -1.0}))
)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(RECIPES), st.lists(ANSWER, min_size=1, max_size=40), st.integers(1, 4))
def test_the_ledgers_add_up_whatever_fails(blocks, answers, prompts):
    loaded = load(**blocks)
    slots = candidate_slots(loaded)
    sft = bool(loaded.recipe.sft)
    rest = iter(answers * 200)
    rows = [walk(loaded, start(i), lambda step, call: next(rest)) for i in range(prompts)]
    made: dict[str, list] = {
        "sft": [r for row in rows for r in (sft_rows(row) if sft else [])],
        "preference": [r for row in rows for r in preference_rows(row)],
        "judgments": [r for row in rows for r in judgment_rows(row)],
        "rejects": [r for row in rows for r in reject_rows(row, slots, sft)],
    }
    for name in ("sft", "preference"):
        ids = [r["id"] for r in made[name]]
        assert len(set(ids)) == len(ids)
    rejects = made["rejects"]
    # prompts = sft rows + sft rejects
    without_sft = [r["prompt_id"] for r in rejects if r["ledger"] == "sft"]
    if sft:
        assert sorted(without_sft + [r["prompt_id"] for r in made["sft"]]) == [
            f"p{i}" for i in range(prompts)
        ]
    else:
        assert not without_sft and not made["sft"]
    # pairs formed = preference rows + rejects with a pair
    of_pairs = [r for r in rejects if r["ledger"] == "preference"]
    formed = sum(planned_pairs(row, slots) for row in rows) if slots else 0
    with_pair = [r["pair_id"] for r in of_pairs if r["pair_id"]]
    labelled = [r["id"] for r in made["preference"]]
    assert formed == len(labelled) + len(with_pair)
    assert len(set(labelled + with_pair)) == formed
    # a prompt without a pair has one reject, and no other has one
    bare = Counter(r["prompt_id"] for r in of_pairs if not r["pair_id"])
    expected = {row["prompt_id"]: 1 for row in rows if slots and not planned_pairs(row, slots)}
    assert bare == expected
    assert all(r["reason"] == "NO_PAIR" for r in of_pairs if not r["pair_id"])
    # each pair that the recipe wants is accounted for when a prompt has one at all
    wanted = math.comb(len(slots), 2)
    assert all(planned_pairs(row, slots) in (0, wanted) for row in rows if slots)
    for reject in rejects:
        assert reject["reason"] in set(Reason) and reject["stage"] and reject["detail"]
    for row in made["sft"]:
        assert row["completion"][0]["content"].strip()
        assert all(entry["critique"] and entry["revision"] for entry in row["revisions"])
    for row in made["preference"]:
        assert 0.5 < row["p_chosen"] <= 1
        assert row["chosen"] != row["rejected"]
    json.dumps(made, allow_nan=False, ensure_ascii=False).encode()


def fails(*names):
    return lambda step, call: (
        Answer(error="down") if step.name in names else judge_by_length(step, call)
    )


def of(row, loaded):
    slots = candidate_slots(loaded)
    return {
        (r["ledger"], r["pair_id"]): (r["stage"], r["reason"])
        for r in reject_rows(row, slots, bool(loaded.recipe.sft))
    }


def test_a_missing_candidate_breaks_its_pairs_and_no_others():
    loaded = load(preference={"candidates": 4, "sources": ["revised", "sampled"]})
    rejects = of(walk(loaded, start(), fails("critique-1")), loaded)
    broken = {key: value for key, value in rejects.items() if key[1]}
    assert {key for key, value in broken.items() if value == ("critique-1", "CALL_FAILED")} == {
        ("preference", f"p0#revised~sampled-{k}") for k in (1, 2, 3)
    }
    assert rejects["sft", None] == ("critique-1", "CALL_FAILED")
    # A failed first answer takes the revision with it, and says so at its own stage.
    rejects = of(walk(loaded, start(), fails("respond")), loaded)
    assert rejects["preference", "p0#revised~sampled-1"] == ("respond", "CALL_FAILED")


def test_no_two_candidates_are_one_reject():
    loaded = load()
    row = walk(loaded, start(), fails("respond-1"))
    assert of(row, loaded) == {("preference", None): ("pair", "NO_PAIR")}
    assert planned_pairs(row, candidate_slots(loaded)) == 0
    row = walk(loaded, start(), fails("respond-1", "revise-1"))
    assert of(row, loaded) == {
        ("sft", None): ("revise-1", "CALL_FAILED"),
        ("preference", None): ("pair", "NO_PAIR"),
    }


def test_pairs_without_a_label_say_why():
    loaded = load()
    say = {
        "IDENTICAL": lambda step, call: Answer("same"),
        "UNPARSED": lambda step, call: Answer("" if step.role == "judge" else step.name),
        "CALL_FAILED": fails("judge"),
        "TIE": lambda step, call: Answer("A" if step.role == "judge" else step.name),
    }
    for reason, script in say.items():
        row = walk(loaded, start(), script)
        assert of(row, loaded) == {("preference", "p0#revised~sampled-1"): ("keep", reason)}


def test_a_critique_without_its_revision_is_no_row():
    entry = {"principle_id": "brief", "critique": "Too long.", "revision": "", "model": ""}
    assert sft_rows({"prompt": "x", "initial_response": "y", "revisions": [entry]}) == []


def test_recipes_without_a_block_make_none_of_its_rows():
    loaded = load(preference=False)
    row = walk(loaded, start(), judge_by_length)
    assert sft_rows(row) and not preference_rows(row) and not judgment_rows(row)
    assert reject_rows(row, (), True) == []
    loaded = load(sft=False, preference={"sources": ["sampled"]})
    row = walk(loaded, start(), judge_by_length)
    assert not sft_rows(row) and len(judgment_rows(row)) == 2
    assert not [r for r in reject_rows(row, candidate_slots(loaded), False) if r["ledger"] == "sft"]
