"""Records: what is shown, nothing that a page would act on, and metadata that collect can read."""

from __future__ import annotations

import html
import json

import pytest
from drafts import draft
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.review.fields import META
from charter.review.received import read_response
from charter.review.records import Frame, Planned, record_of, too_long
from charter.review.sample import category_of
from charter.review.texts import MOST_BUBBLES, bubbles, plain, shown_texts, texts_digest

ROWS = draft(8).rows
PAIR = next(row for row in ROWS["preference"] if row["id"] == "p4#a~b")
REVISED = next(row for row in ROWS["sft"] if row["id"] == "p3#sft")
EVIL = '<script>x()</script><img src=//t.example onerror=x()> [a](//t.example) & &lt; "q"'


def frame(kind="preference", **changes):
    fields = {
        "repo": "me/small",
        "tag": "v0.1.0",
        "kind": kind,
        "constitution": None,
        "shown": False,
        "better": "7",
        "votes": {},
    }
    return Frame(**(fields | changes))


def planned(row=PAIR, first="chosen", **changes):
    fields = {
        "row_id": row["id"],
        "first": first,
        "share": "uniform",
        "stratum": "kind/made up/0.6-0.75",
        "inclusion": 0.25,
        "gold": None,
    }
    return Planned(**(fields | changes))


@pytest.mark.parametrize("source", ["s" * 200, "s" * 201])
def test_the_category_of_a_record_is_that_of_its_draw(source):
    said = record_of({**PAIR, "source": source}, planned(), frame())["metadata"]["category"]
    assert said == category_of(source) and len(said) == 200


@pytest.mark.parametrize("first", ["chosen", "rejected"])
@pytest.mark.parametrize("answer", ["A", "B", "TIE"])
def test_what_is_sent_is_what_collect_reads(first, answer):
    record = record_of(PAIR, planned(first=first), frame())
    response = {"values": {"better": {"value": answer}}, "updated_at": "2026-01-01T00:00:00"}
    found = read_response(
        record, response, repo="me/small", kind="preference", shown=False, reviewer="r"
    )
    second = "rejected" if first == "chosen" else "chosen"
    assert found.verdict == {"A": first.upper(), "B": second.upper(), "TIE": "TIE"}[answer]
    assert (found.row_id, found.prompt_id, found.version) == ("p4#a~b", "p4", "v0.1.0")
    assert (found.inclusion, found.share, found.p_chosen) == (0.25, "uniform", PAIR["p_chosen"])
    assert (found.principle_id, found.category) == ("kind", "made up")
    a, b = record["fields"]["response_a"], record["fields"]["response_b"]
    assert (a[0]["content"], b[0]["content"]) == (
        PAIR[first][0]["content"],
        PAIR[second][0]["content"],
    )


def test_an_sft_record_is_read_too():
    record = record_of(REVISED, planned(REVISED, None), frame("sft"))
    response = {"values": {"better": {"value": "WORSE"}}, "updated_at": "2026-01-01T00:00:00"}
    found = read_response(record, response, repo="me/small", kind="sft", shown=False, reviewer="r")
    assert (found.verdict, found.first, found.p_chosen) == ("WORSE", None, None)
    assert record["fields"]["original"] == [{"role": "assistant", "content": "initial 3"}]
    assert record["fields"]["critique"] == "critique 3"
    assert record["fields"]["revision"] == [{"role": "assistant", "content": "revised 3"}]


def test_a_gold_record_bears_its_answer_and_no_label():
    gold = planned(share="gold", stratum="", inclusion=1.0, gold="TIE")
    record = record_of(PAIR, gold, frame())
    response = {"values": {"better": {"value": "A"}}, "updated_at": "2026-01-01T00:00:00"}
    found = read_response(
        record, response, repo="me/small", kind="preference", shown=False, reviewer="r"
    )
    assert (found.gold, found.share, found.verdict) == ("TIE", "gold", "CHOSEN")


def test_a_blind_record_has_no_suggestion_and_no_word_of_the_judge():
    votes = {"p4#a~b": [vote(rationale="A is kinder")]}
    record = record_of(PAIR, planned(), frame())
    assert "suggestions" not in record
    assert record["metadata"]["saw_ai"] == "no"
    assert set(record["metadata"]) <= {*META, "p_chosen"}
    shown = record_of(PAIR, planned(), frame(shown=True, votes=votes))
    assert shown["fields"]["rationale"] == "A is kinder"


@pytest.mark.parametrize(("first", "value"), [("chosen", "A"), ("rejected", "B")])
def test_a_shown_record_suggests_the_label_with_its_score_and_model(first, value):
    row = PAIR | {"judge_model": "org/judge-1 (β)"}
    record = record_of(row, planned(first=first), frame(shown=True))
    (suggestion,) = record["suggestions"]
    assert suggestion["value"] == value
    assert suggestion["score"] == PAIR["p_chosen"]
    assert suggestion["agent"] == "org/judge-1 ---"
    assert record["metadata"]["saw_ai"] == "yes"


def vote(verdict="A", order="AB", rationale=None, p_a=None):
    return {"verdict": verdict, "order": order, "rationale": rationale, "p_a": p_a}


@pytest.mark.parametrize(
    ("first", "winner", "order", "turned"),
    [
        ("chosen", "A", "AB", False),
        ("chosen", "A", "BA", True),
        ("rejected", "A", "BA", False),
        ("chosen", "B", "BA", False),
        ("rejected", "B", "AB", False),
        ("rejected", "B", "BA", True),
    ],
)
def test_a_rationale_says_when_its_a_is_not_ours(first, winner, order, turned):
    votes = {"p4#a~b": [vote(winner, order, "It is kinder."), vote(winner, "AB")]}
    record = record_of(PAIR, planned(first=first), frame(shown=True, votes=votes))
    assert record["fields"]["rationale"].startswith("(The judge saw") is turned
    assert record["fields"]["rationale"].endswith("It is kinder.")


def test_markup_is_text_in_every_field():
    row = json.loads(json.dumps(PAIR))
    for name in ("prompt", "chosen", "rejected"):
        row[name][0]["content"] = EVIL
    row["principle_ids"] = [EVIL]
    fields = record_of(row, planned(), frame())["fields"]
    for shown in (*(fields[n][0]["content"] for n in fields if n != "principle"),):
        assert "<" not in shown
        assert html.unescape(shown) == EVIL
    assert "<" not in fields["principle"]


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(1, 300))
def test_a_page_shows_each_letter(text, times):
    long = text * times
    parts = bubbles([{"role": "assistant", "content": long}])
    assert all(0 < len(part["content"]) <= 20_000 for part in parts)
    assert not any("<" in part["content"] or ">" in part["content"] for part in parts)
    joined = "".join(html.unescape(part["content"]) for part in parts)
    assert joined == (html.unescape(plain(long)) or "[empty message]")


@pytest.mark.parametrize("letter", ["x", "&", "<", "é", "word ", "line\n"])
def test_a_megabyte_goes_on_in_further_bubbles(letter):
    text = letter * (1_000_000 // len(letter))
    parts = bubbles([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": text}])
    assert {part["role"] for part in parts[1:]} == {"assistant"}
    assert html.unescape("".join(part["content"] for part in parts[1:])) == text
    assert len(parts) <= MOST_BUBBLES
    assert not too_long(PAIR | {"chosen": [{"role": "assistant", "content": text}]})


def test_more_than_the_server_takes_is_too_long():
    many = [{"role": "user", "content": "x"}] * (MOST_BUBBLES + 1)
    assert too_long(PAIR | {"prompt": many})
    assert too_long(PAIR | {"chosen": [{"role": "assistant", "content": "x" * 8_000_001}]})
    assert too_long(REVISED | {"initial_response": "x" * 8_000_001})


def test_the_digest_is_of_what_is_shown():
    a = texts_digest(shown_texts("preference", PAIR, "chosen", None))
    assert a == texts_digest(
        shown_texts("preference", dict(PAIR) | {"p_chosen": 0.9}, "chosen", None)
    )
    turned = PAIR | {"chosen": PAIR["rejected"], "rejected": PAIR["chosen"]}
    # A label that has turned shows the same when the other side is first.
    assert a == texts_digest(shown_texts("preference", turned, "rejected", None))
    assert a != texts_digest(shown_texts("preference", PAIR, "rejected", None))
    longer = PAIR | {"chosen": [{"role": "assistant", "content": "more"}]}
    assert a != texts_digest(shown_texts("preference", longer, "chosen", None))
