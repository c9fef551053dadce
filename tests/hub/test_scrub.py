"""Rows with keys or personal data are masked everywhere alike, or dropped, by the policy."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from made_secrets import MAIL, TOKEN, K

from charter.hub.scrub import scrub_row, scrubbed
from charter.hub.secrets import Policy
from charter.rows import Ledger
from charter.steps.asking import prepared
from charter.steps.keep import KeepRule, kept
from charter.steps.shape import judgment_rows, planned_pairs, preference_rows, reject_rows, sft_rows


def _walked(**changes: Any) -> dict[str, Any]:
    vote = {
        "comparison_id": "p#initial~revised",
        "candidate_a": "initial",
        "candidate_b": "revised",
        "principle_id": "kind",
        "sample": 0,
        "verdict": "B",
        "p_a": 0.1,
        "log_odds": -2.2,
        "rationale": None,
        "error": "",
        "overflow": False,
        "prompt_tokens": 1,
        "completion_tokens": 1,
    }
    row = {
        "prompt": [{"role": "user", "content": f"Who is {MAIL}?"}],
        "prompt_id": "p",
        "source": f"asked by {MAIL}",
        "initial_response": f"{MAIL} is Bob, and {TOKEN} his key.",
        "revisions": [
            {"principle_id": "kind", "critique": f"names {MAIL}", "revision": "Bob", "model": "m"}
        ],
        "candidates": [
            {"slot": "initial", "text": f"{MAIL} is Bob, and {TOKEN} his key.", "model": "m"},
            {"slot": "revised", "text": "Bob", "model": "m"},
        ],
        "votes": [{**vote, "order": order, "raw": f"B, for {MAIL}"} for order in ("AB", "BA")],
    }
    return prepared({**row, **changes})


RULE = KeepRule(mode="logprob", keep="margin", min_margin=0.1)


def _published(row: dict[str, Any], constitution: Any) -> dict[str, list[Any]]:
    row = kept(row, RULE, constitution)
    slots = ("initial", "revised")
    return {
        "sft": sft_rows(row),
        "preference": preference_rows(row, "j"),
        "judgments": judgment_rows(row, "j"),
        "rejects": reject_rows(row, slots, True, True),
        "pairs": [None] * planned_pairs(row, slots),
    }


@pytest.fixture(scope="module")
def constitution() -> Any:
    from charter.constitutions import find_constitution, load_constitution

    return load_constitution(find_constitution("hhh"))


def test_a_row_is_masked_everywhere_alike_and_the_given_one_is_left(constitution: Any) -> None:
    row = _walked()
    before = copy.deepcopy(row)
    done, counts = scrub_row(row, Policy("mask", "mask"))
    assert row == before
    assert counts == {K.EMAIL: 7, K.GITHUB_TOKEN: 2}
    said = json.dumps(_published(done, constitution))
    assert MAIL not in said and TOKEN not in said
    assert done["candidates"][0]["text"] == done["initial_response"]
    assert done["initial_response"] == "[EMAIL] is Bob, and [GITHUB_TOKEN] his key."
    assert done["prompt"] == [{"role": "user", "content": "Who is [EMAIL]?"}]
    assert done["source"] == "asked by [EMAIL]"


def test_by_default_rows_stay_as_they_are() -> None:
    row = _walked()
    assert scrub_row(row, Policy()) == (row, {})
    assert scrub_row(row, Policy("fail", "mask"))[0]["initial_response"].endswith(
        f"{TOKEN} his key."
    )
    assert scrubbed(f"to {MAIL}", Policy()) == f"to {MAIL}"
    assert scrubbed(f"to {MAIL}", Policy(personal="drop")) == "to [EMAIL]"
    assert scrubbed(None, Policy(personal="drop")) is None


def test_a_dropped_row_is_one_reject_in_each_ledger(constitution: Any) -> None:
    done, counts = scrub_row(_walked(), Policy("drop", "mask"))
    assert counts[K.GITHUB_TOKEN] == 2
    published = _published(done, constitution)
    rejects = published.pop("rejects")
    assert not any(published.values())
    assert [(r["ledger"], r["pair_id"]) for r in rejects] == [
        (Ledger.SFT, None),
        (Ledger.PREFERENCE, None),
    ]
    assert rejects[0]["reason"] == "SECRET"
    assert all("GITHUB_TOKEN (first in initial_response)" in r["detail"] for r in rejects)
    assert scrub_row(done, Policy("drop", "mask"))[1] == {}


def test_a_dropped_row_names_the_place_of_what_dropped_it_and_keeps_no_answer() -> None:
    row = _walked(initial_response=f"{MAIL} is Bob", reasons=[{"text": f"he said {TOKEN}"}])
    done, _ = scrub_row(row, Policy("drop", "mask"))
    assert done["faults"][0]["detail"] == "GITHUB_TOKEN (first in candidates.text)"
    assert TOKEN not in json.dumps(done)


def test_candidates_that_are_the_same_once_masked_are_identical(constitution: Any) -> None:
    texts = ("Ask bob@firm.org", "Ask eve@firm.org")
    row = _walked(
        initial_response=texts[0],
        candidates=[
            {"slot": slot, "text": text, "model": "m"}
            for slot, text in zip(("initial", "revised"), texts, strict=True)
        ],
    )
    published = _published(scrub_row(row, Policy(personal="mask"))[0], constitution)
    assert published["preference"] == []
    assert [r["reason"] for r in published["rejects"]] == ["IDENTICAL"]
