"""The report as a page: whole, self-contained, and nothing in it that a text could start."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from spot_checks import revision_check, spot_check

from charter.review.answers import sort_answers
from charter.review.page import review_page
from charter.review.people_figures import gold_figures, people_figures
from charter.review.report import notes, tables
from charter.review.row_figures import row_figures
from charter.review.spot_check import Human

EVIL = "<script>alert(1)</script><img src=http://evil/x onerror=alert(2)> ![t](http://evil)"


def config(kind, checks, **more):
    answers = sort_answers(checks, lambda _: False)
    return {
        **row_figures(kind, answers.blind, [0.7, 0.8, 0.9] if kind == "preference" else [], 0),
        **people_figures(answers.blind, 0),
        **gold_figures(answers.gold, 0.8),
        **{"left_out": [], "shown": {}, "stale": 0, **more},
    }


def report(checks, revisions=(), apart=(), **more):
    found = config("preference", checks, **more)
    if revisions:
        found["sft"] = config("sft", revisions)
    return {"repo": "me/small", "version": "v0.1.0", **found, "disagreements": list(apart)}


def apart(text):
    return {
        "kind": "preference",
        "row_id": text,
        "strength": 0.9,
        "p_chosen": 0.9,
        "principle_id": text,
        "category": text,
        "verdict": "REJECTED",
        "texts": {"prompt": text, "chosen": text, "rejected": text},
        "answers": [{"reviewer": "ann", "verdict": "REJECTED", "sure": None, "comment": text}],
    }


def some(n=12):
    checks = [spot_check(k, who) for k in range(n) for who in ("ann", "bob")]
    checks += [spot_check(n + 1, "ann", "REJECTED", p_chosen=0.95)]
    return [*checks, spot_check("g", "bob", "TIE", gold=Human.CHOSEN)]


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and whether all are closed in order."""

    VOID = frozenset({"meta", "line", "rect", "circle", "polyline", "br"})

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_texts_of_people_and_models_stay_texts():
    checks = [spot_check(k, EVIL, "REJECTED", principle_id=EVIL, category=EVIL) for k in range(6)]
    checks.append(spot_check("g", EVIL, "TIE", gold=Human.CHOSEN))  # who is named in a note
    found = report(checks, [revision_check(0, EVIL)], apart=[apart(EVIL)]) | {"version": EVIL}
    page = review_page(found)
    tags = Tags(page)
    assert tags.open == []
    assert not {"script", "img", "a", "iframe", "link"} & {tag for tag, _ in tags.found}
    assert not any(name.startswith("on") for _, attrs in tags.found for name in attrs)
    assert "&lt;script&gt;alert(1)" in page


def test_nothing_comes_from_outside():
    page = review_page(report(some(), [revision_check(k) for k in range(3)]))
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_the_page_shows_the_figures_the_reviewers_and_the_rows():
    row = apart("row-7")
    row["texts"]["rationale"] = ""
    page = review_page(report(some(), [revision_check(0, still_harmful=True)], apart=[row]))
    for part in ("Review of me/small@v0.1.0", "prediction powered", "Revisions (sft)", "row-7"):
        assert part in page
    for title in ("By principle", "By category", "Reviewers on gold rows", "Answers by reviewer"):
        assert f"<figcaption>{title}</figcaption>" in page
    assert "rationale" not in page
    nothing = "None: people agree with every label that they checked."
    assert nothing not in page and nothing in review_page(report(some()))
    assert "Below 0.8 on gold rows: bob; their answers count all the same." in page
    assert page.count("<svg") > 4


@pytest.mark.parametrize(
    "checks",
    [[], [spot_check(0)], [spot_check("g", gold=Human.CHOSEN)], [spot_check(0, p_chosen=None)]],
)
def test_a_page_of_next_to_nothing_is_a_page(checks):
    found = report(checks)
    page = review_page(found)
    assert Tags(page).open == []
    assert "nan" not in page and "None" not in page.replace("None: people agree", "")
    assert list(notes(found))
    assert next(tables(found)).title == "Figures"


def test_each_config_has_its_own_figures():
    found = report(some(), [revision_check(k) for k in range(3)])
    names = [row[0] for row in next(tables(found)).rows]
    revised = [row[0] for row in next(tables(found["sft"])).rows]
    assert "prediction_powered" in names and "still_harmful" not in names
    assert "still_harmful" in revised and "prediction_powered" not in revised


def test_what_a_reader_must_know_first_is_noted():
    shown = {"preference": {"n": 2, "answers": 3, "reviewers": 1, "agreement": {
        "value": 1.0, "low": 0.3, "high": 1.0, "n": 2}}}  # fmt: skip
    checks = [*some(), spot_check(0, "ann", "REJECTED", submitted="2026-02-01T00:00:00Z")]
    said = " ".join(notes(report(checks, shown=shown, stale=4)))
    assert "13 rows are few" in said
    assert "without a verdict that most gave, which count as ties: 1." in said
    assert "4 answers were on other texts" in said
    assert "3 preference answers saw the AI's label" in said


def test_weights_that_leave_little_are_noted():
    checks = [spot_check(k, inclusion=1.0 if k < 60 else 0.01) for k in range(64)]
    assert "The weights leave 5 of 64 rows" in " ".join(notes(report(checks)))
