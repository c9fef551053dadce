from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure
from charter.hub import Draft, account_checks, checks, stored, tally, twice
from charter.hub.gate import check_rows, gate
from charter.rows import Reason, Verdict, normalised

Rows = dict[str, list[dict[str, Any]]]
Spoil = Callable[[Rows], Any]


def _run(draft: Draft, spoil: Spoil | None = None, **changes: Any) -> None:
    rows = copy.deepcopy(draft.rows)
    if spoil:
        spoil(rows)
    fields = {"splits": draft.splits, "ledgers": draft.ledgers, **changes}
    results = gate(draft.repo, rows, fields["splits"], fields["ledgers"], kept=fields.get("kept"))
    assert [result.passed for result in results] == [True] * 11


def _set(config: str, at: int, **values: Any) -> Spoil:
    return lambda rows: rows[config][at].update(values)


def _drop(config: str, at: int, name: str) -> Spoil:
    return lambda rows: rows[config][at].pop(name)


def _delete(config: str, at: int) -> Spoil:
    return lambda rows: rows[config].pop(at)


def _twice(config: str, at: int) -> Spoil:
    return lambda rows: rows[config].append(copy.deepcopy(rows[config][at]))


def _all(*spoils: Spoil) -> Spoil:
    return lambda rows: [spoil(rows) for spoil in spoils]


def test_sound_rows_pass(make_draft: Any) -> None:
    _run(make_draft())


def test_blocks_that_were_not_asked_for_are_absent(make_draft: Any) -> None:
    draft = make_draft()
    no_sft = [row for row in draft.rows["rejects"] if row["ledger"] != "sft"]
    rows = {name: each for name, each in draft.rows.items() if name != "sft"} | {"rejects": no_sft}
    _run(make_draft(rows=rows))
    only = [row for row in draft.rows["rejects"] if row["ledger"] != "preference"]
    rows = {"sft": draft.rows["sft"], "rejects": only}
    _run(make_draft(rows=rows, ledgers={**draft.ledgers, "pairs_formed": 0}))
    with pytest.raises(Failure, match=r"8 prompts, but 0 sft rows \+ 1 rejects"):
        _run(make_draft(rows=draft.rows | {"sft": []}))
    with pytest.raises(Failure, match=r"8 prompts, but 0 with a pair \+ 0 rejects"):
        _run(
            make_draft(rows=rows | {"preference": []}, ledgers={**draft.ledgers, "pairs_formed": 0})
        )


MESSAGE = [{"role": "assistant", "content": "x"}]
BROKEN: list[tuple[str, Spoil, str]] = [
    ("columns", _set("sft", 2, extra=1), "sft: unknown column extra in row 2"),
    ("columns", _drop("preference", 0, "source"), "preference: no column source in row 0"),
    ("columns", _set("judgments", 0, order=None), "judgments: null in order"),
    ("columns", _set("preference", 0, p_chosen="1"), "wrong type or value in p_chosen"),
    ("columns", _set("preference", 0, p_chosen=math.nan), "wrong type or value in p_chosen"),
    ("columns", _set("preference", 0, n_votes=True), "wrong type or value in n_votes"),
    ("columns", _set("preference", 0, n_votes=2.0), "wrong type or value in n_votes"),
    ("columns", _set("preference", 0, n_votes=2**31), "wrong type or value in n_votes"),
    ("columns", _set("preference", 0, order_consistent=1), "wrong type or value in order_con"),
    ("columns", _set("preference", 0, principle_ids="kind"), "wrong type or value in principle"),
    ("columns", _set("preference", 0, principle_ids=[None]), "wrong type or value in principle"),
    ("columns", _set("sft", 0, completion=[{**MESSAGE[0], "name": "x"}]), "value in completion"),
    ("columns", _set("sft", 0, initial_response="\ud800"), "value in initial_response"),
    (
        "columns",
        lambda rows: rows.update(prefrence=[{}]),
        'no config prefrence: did you mean "pref',
    ),
    (
        "columns",
        lambda rows: [rows[name].clear() for name in rows],
        "there is no row in any config",
    ),
    ("ledgers", _delete("rejects", 0), r"9 records, but 8 prompts \+ 0 rejects \(input\)"),
    ("ledgers", _delete("rejects", 1), r"8 prompts, but 7 sft rows \+ 0 rejects \(sft\)"),
    ("ledgers", _delete("sft", 0), r"8 prompts, but 6 sft rows \+ 1 rejects"),
    ("ledgers", _delete("rejects", 2), r"7 pairs formed, but 6 rows \+ 0 rejects of pairs"),
    ("ledgers", _delete("rejects", 3), r"8 prompts, but 7 with a pair \+ 0 rejects"),
    ("ledgers", _twice("rejects", 3), "without a pair twice, or with one: p2"),
    ("ledgers", _set("rejects", 3, prompt_id="p4"), "without a pair twice, or with one: p4"),
    ("ids", _set("sft", 0, id="p2#sft"), "sft: id twice: p2#sft"),
    ("ids", _set("rejects", 2, pair_id="p3#a~b"), "both kept and rejected, or rejected twice: p3#"),
    ("ids", _twice("judgments", 0), "vote twice: p0#a~b under kind in order AB"),
    (
        "pairs",
        _all(_set("preference", 1, rejected=[{"role": "assistant", "content": " REVISED  3 "}])),
        "chosen equals rejected: p3#a~b",
    ),
    ("labels", _set("preference", 1, p_chosen=0.5, log_odds=0.0), r"not in \(0.5, 1\]: p3#a~b"),
    ("labels", _set("preference", 1, p_chosen=1.01), r"not in \(0.5, 1\]: p3#a~b"),
    ("labels", _set("preference", 1, log_odds=0.1), "log_odds is not the logit of p_chosen: p3"),
    ("labels", _set("preference", 1, log_odds=None), "log_odds is not the logit"),
    ("labels", _set("preference", 0, log_odds=30.0), "log_odds is not the logit"),
    ("votes", _set("judgments", 1, verdict="UNPARSED"), "without a parsed vote in each order: p0#"),
    (
        "votes",
        _all(_delete("judgments", 1), _delete("judgments", 0)),
        "without a parsed vote in each order: p0#",
    ),
    ("votes", _set("judgments", 0, comparison_id="p0#b~a"), "without a parsed vote in each order"),
    ("votes", _set("preference", 0, n_votes=3), "n_votes is not the number of parsed votes: p0#"),
    ("enums", _set("judgments", 0, verdict="tie"), "judgments.verdict: unknown tie"),
    (
        "enums",
        _set("preference", 0, label_source="robot"),
        "preference.label_source: unknown robot",
    ),
    ("enums", _set("rejects", 0, reason="BORED"), "rejects.reason: unknown BORED"),
    ("enums", _set("judgments", 0, p_a=1.5), "judgments.p_a: no probability in p0#a~b"),
    ("enums", _set("sft", 0, completion=[]), "sft.completion: no message"),
    ("enums", _set("sft", 0, prompt=[{"role": "robot", "content": "x"}]), "sft.prompt: no message"),
    (
        "enums",
        _set("preference", 0, chosen=[{"role": "user", "content": "x"}, *MESSAGE]),
        "preference.chosen: no message, or one of another role, in p0#a~b",
    ),
    ("splits", _set("sft", 0, prompt_id="p99"), "no split for prompt p99"),
    (
        "splits",
        lambda rows: rows["sft"][2].update(prompt=copy.deepcopy(rows["sft"][0]["prompt"])),
        'prompt in both splits: "question 0',
    ),
]


@pytest.mark.parametrize(("check", "spoil", "what"), BROKEN)
def test_each_fault_is_found_and_named(
    make_draft: Any, check: str, spoil: Spoil, what: str
) -> None:
    with pytest.raises(Failure, match=what) as caught:
        _run(make_draft(), spoil)
    assert check in [fault.path for fault in caught.value.faults]
    assert all(fault.place == "me/small" and fault.fix for fault in caught.value.faults)


def test_every_failing_check_is_told_at_once(make_draft: Any) -> None:
    draft = make_draft()
    rows = copy.deepcopy(draft.rows)
    rows["sft"][0]["id"] = "p2#sft"
    rows["preference"][1]["log_odds"] = 9.0
    rows["judgments"][0]["verdict"] = "C"
    with pytest.raises(Failure) as caught:
        gate("me/small", rows, draft.splits, {**draft.ledgers, "records": 4})
    assert [fault.path for fault in caught.value.faults] == ["ledgers", "ids", "labels", "enums"]
    assert [c.check for c in check_rows(rows, draft.splits, draft.ledgers) if not c.passed] == [
        "ids",
        "labels",
        "enums",
    ]


def test_splits_are_known_not_empty_and_as_published(make_draft: Any) -> None:
    draft = make_draft()
    with pytest.raises(Failure, match="unknown split dev"):
        _run(draft, splits={**draft.splits, "p4": "dev"})
    with pytest.raises(Failure, match=r"sft has 7 rows and none in train.*preference has 6"):
        _run(draft, splits=dict.fromkeys(draft.splits, "test"))
    with pytest.raises(
        Failure, match="another split than published before: p0, p1, p2, p4, p5 and 2 more"
    ):
        _run(draft, kept=dict.fromkeys(draft.splits, "test"))
    _run(draft, kept={"p3": "test", "gone": "train"})


@pytest.mark.parametrize("ledgers", [{}, {"records": 9, "prompts": 8, "pairs": 7}])
def test_ledgers_have_their_three_names(make_draft: Any, ledgers: dict[str, int]) -> None:
    with pytest.raises(Failure, match="ledgers are records, prompts, pairs_formed"):
        _run(make_draft(), ledgers=ledgers)


def test_enums_are_taken_as_members_too(make_draft: Any) -> None:
    _run(
        make_draft(),
        _all(_set("judgments", 0, verdict=Verdict.A), _set("rejects", 2, reason=Reason.TIE)),
    )


def test_log_odds_near_certainty_are_compared_where_they_are_exact(make_draft: Any) -> None:
    for log_odds in (1e-6, 5.0, 30.0, 36.0):
        p = 1 / (1 + math.exp(-log_odds))
        _run(make_draft(), _set("preference", 1, p_chosen=p, log_odds=log_odds))
        _run(make_draft(), _set("preference", 1, p_chosen=p, log_odds=math.log(p / (1 - p))))


def test_hashes_that_meet_by_chance_are_no_faults(
    make_draft: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(keys: pl.DataFrame) -> Any:
        return np.zeros(keys.height, np.uint64)

    for module in (account_checks, checks, twice):
        monkeypatch.setattr(module, "hashes", same)
    _run(make_draft())
    for check, spoil, what in BROKEN:
        if check in ("ids", "splits", "votes", "ledgers"):
            with pytest.raises(Failure, match=what):
                _run(make_draft(), spoil)


def test_rows_are_counted_alike_on_disk(make_draft: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "_HELD", 1)
    monkeypatch.setattr(stored, "_FIRST_ROWS", 1)
    monkeypatch.setattr(stored, "_BATCH_ROWS", 1)
    _run(make_draft())
    for check, spoil, what in BROKEN:
        if check in ("ids", "splits", "votes", "ledgers"):
            with pytest.raises(Failure, match=what):
                _run(make_draft(), spoil)


def test_every_check_sees_all_batches(make_draft: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_FIRST_ROWS", 1)
    monkeypatch.setattr(stored, "_BATCH_ROWS", 1)
    for _, spoil, what in BROKEN:
        with pytest.raises(Failure, match=what):
            _run(make_draft(), spoil)


halves = st.text(st.one_of(st.sampled_from("aAb \n\t\u0301\u0308ﬁ"), st.characters()), max_size=60)


@settings(max_examples=400, deadline=None)
@given(halves, halves, st.integers(0, 60))
def test_texts_whose_first_characters_differ_do_differ(one: str, other: str, cut: int) -> None:
    alike = one[:cut] + other
    for text in (other, alike, f" {one.upper()}\n", "x" * 47 + alike, one.replace(" ", "  ")):
        for mine in (one, "X" * 47 + one):
            same = normalised(mine) == normalised(text)
            assert checks._alike(mine, text) == same
            assert not (same and checks._begin_apart(mine, text))
    assert checks._begin_apart("Yes, it is" * 9, "No, it is" * 9)
