"""The report of a version, from the answers kept here: as text, as JSON, as a page."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from answered import answer, name_of
from drafts import RECIPE, draft
from spot_checks import revision_check, spot_check

from charter.cli import main
from charter.constitutions import load_constitution
from charter.hub import open_version, publish_local
from charter.review.figures import review_figures
from charter.review.publish import publish_reviews
from charter.review.report import review_report
from charter.review.spot_check import Human, Share
from charter.review.standing import Standing
from charter.review.store import Answer, ReviewStore
from charter.review.texts import shown_texts, texts_digest

EVIL = "<script>alert('x')</script>"
PAIRS = (0, 3, 4, 5, 6, 7)  # the pairs of the draft


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def version(folder):
    return open_version(publish_local(draft(), folder / "store").path)


def on(version, check):
    """The answer as given on the texts that the version has."""
    row = version.find(check.row_id).row
    constitution = load_constitution(version.path / "constitution.yaml")
    texts = texts_digest(shown_texts(check.kind, row, check.first, constitution))
    return replace(check, texts=texts, p_chosen=row.get("p_chosen"))


@pytest.fixture(scope="module")
def answers(version):
    given = [
        *(spot_check(k, "ann", comment=EVIL if k == 5 else None) for k in PAIRS),
        *(spot_check(k, "bob", "REJECTED" if k in (5, 6) else "CHOSEN") for k in PAIRS),
        *(revision_check(k, "ann", "WORSE" if k == 4 else "BETTER") for k in (0, 3, 4)),
        spot_check(0, "cid", "REJECTED", id="seen", saw_ai=True),
    ]
    gold = spot_check("g", "ann", gold=Human.REJECTED, id="gold")
    other = spot_check(7, "dan", "REJECTED", texts="0" * 64, id="other")
    gone = spot_check(99, "dan", "REJECTED", texts="0" * 64, id="gone")
    found = [on(version, check) for check in given]
    found = [replace(each, id=f"{each.kind}-{each.id}") for each in found]
    return [*found, gold, other, gone]


@pytest.fixture(scope="module")
def data(folder, answers):
    """A review's folder that holds the answers."""
    with ReviewStore.open("me/small", folder / "review") as store:
        store.keep("d", 1, [Answer(each, "2026-01-01T00:00:00.000000") for each in answers])
    return folder / "review"


@pytest.fixture
def run(capsys):
    """Runs the command: its exit status, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            main(["review", "report", *map(str, arguments)])
        return done.value.code or 0, *capsys.readouterr()

    return run


def test_what_counts_is_counted_once_and_the_rest_is_said(version, answers):
    found = review_figures(answers, version)
    assert (found["kind"], found["n"], found["answers"], found["reviewers"]) == (
        "preference", 6, 12, 2,
    )  # fmt: skip
    assert (found["divided"], found["stale"], found["gold_answers"]) == (2, 2, 1)
    assert found["agreement"]["value"] == pytest.approx(5 / 6)
    assert found["agreement_lower"] == found["agreement"]["low"] < 5 / 6
    assert found["shown"]["preference"]["answers"] == 1
    assert (found["sft"]["kind"], found["sft"]["n"]) == ("sft", 3)
    assert found["sft"]["agreement"]["value"] == pytest.approx(2 / 3)
    assert found["gold"]["ann"]["value"] == 0.0
    json.dumps(found, allow_nan=False)


def test_reviewers_below_the_mark_are_flagged_and_left_out_on_demand(version, answers):
    flagged = review_figures(answers, version, min_gold=0.5)
    assert flagged["gold"]["ann"]["failed"] and flagged["left_out"] == []
    without = review_figures(answers, version, min_gold=0.5, leave_out=True)
    assert without["left_out"] == ["ann"] and list(without["by_reviewer"]) == ["bob"]
    assert without["agreement"]["value"] == pytest.approx(4 / 6)
    assert without["gold_answers"] == 1 and "sft" not in without


def test_the_prediction_is_that_of_every_row_of_the_version(version, answers):
    found = review_figures(answers, version)
    # Too few rows are wrong for predictions to be used: the labels alone, as weighted.
    assert found["prediction_powered"]["value"] == pytest.approx(5 / 6)
    assert found["prediction_powered"]["n"] == 6


def test_an_answer_holds_for_the_texts_that_were_shown(version, answers):
    changed = [replace(each, texts=each.texts[::-1]) for each in answers if each.id != "gold"]
    found = review_figures(changed, version)
    assert (found["n"], found["stale"]) == (0, len(changed))
    assert found["agreement"] == {"value": None, "low": None, "high": None, "n": 0}


def _relabelled(folder, source):
    """The same version with the label of one pair on the other response."""
    made = draft(repo=f"me/{source}")
    rows = {name: list(each) for name, each in made.rows.items()}
    row = rows["preference"][3]
    rows["preference"][3] = row | {
        "chosen": row["rejected"], "rejected": row["chosen"], "label_source": source,
        "n_votes": row["n_votes"] if source == "ai" else 1,
    }  # fmt: skip
    if source == "human":
        check = spot_check(5, "0123456789abcdef", "REJECTED", texts="0" * 64)
        rows["reviews"] = [check.as_row()]
    return open_version(publish_local(draft(repo=f"me/{source}", rows=rows), folder / source).path)


def test_where_the_ai_has_changed_its_mind_what_people_said_is_turned(folder, version, answers):
    said = [each for each in answers if each.row_id == "p5#a~b" and each.reviewer == "bob"]
    assert review_figures(said, version)["agreement"]["value"] == 0.0
    assert review_figures(said, _relabelled(folder, "ai"))["agreement"]["value"] == 1.0


def test_a_label_that_people_overruled_is_still_the_ais_in_the_figures(folder, version, answers):
    said = [each for each in answers if each.row_id == "p5#a~b" and each.reviewer == "bob"]
    found = review_figures(said, _relabelled(folder, "human"))
    assert (found["n"], found["stale"], found["agreement"]["value"]) == (1, 0, 0.0)


def test_the_confidence_of_each_label_counts_once_overruled_or_not(folder, version, answers):
    p = sorted(version.rows("preference")["p_chosen"])
    assert sorted(Standing(version, answers).population()) == p
    assert sorted(Standing(_relabelled(folder, "human"), answers).population()) == p


def test_pairs_that_people_removed_stay_in_the_figures(folder, version, answers):
    said = [each for each in answers if each.kind == "preference" and each.gold is None]
    ties = [replace(each, verdict=Human.TIE) if each.row_id == "p5#a~b" else each for each in said]
    before = review_figures(ties, version)
    made = draft(repo="me/removed")
    rows = {name: list(each) for name, each in made.rows.items()}
    (pair,) = [row for row in rows["preference"] if row["id"] == "p5#a~b"]
    rows["preference"].remove(pair)
    rows["rejects"].append(
        {"ledger": "preference", "prompt_id": "p5", "pair_id": pair["id"], "stage": "review",
         "reason": "TIE", "detail": "2 of 2 reviewers name no winner"}
    )  # fmt: skip
    published = publish_local(draft(repo="me/removed", rows=rows), folder / "removed")
    after = review_figures(ties, open_version(published.path))
    assert after["agreement"] == before["agreement"]
    assert (after["n"], after["stale"]) == (before["n"], before["stale"])
    assert after["by_confidence"] == before["by_confidence"]


def test_the_strongest_disagreement_comes_first_with_its_texts(version, answers):
    rows = review_report(answers, version)["disagreements"]
    assert [row["row_id"] for row in rows] == ["p6#a~b", "p5#a~b", "p4#sft"]
    assert rows[0]["strength"] == pytest.approx(0.66 / 2)
    assert rows[1]["texts"]["chosen"] == "revised 5"
    assert rows[1]["answers"][0]["comment"] == EVIL
    assert rows[2]["texts"]["completion"] == "revised 4"
    assert review_report(answers, version, most=0)["disagreements"] == []


def test_a_pair_that_people_turned_is_shown_as_the_ai_had_it(version, folder):
    """The verdict is about the AI's label: REJECTED beside turned sides would say the contrary."""
    given = answer(version, "p5#a~b", "ann", "REJECTED")
    turned = open_version(publish_reviews(version, [given], store=folder / "store").path)
    assert turned.find("p5#a~b").row["label_source"] == "human"
    (row,) = review_report([given], turned)["disagreements"]
    assert row == review_report([given], version)["disagreements"][0]
    assert row["texts"]["chosen"] == "revised 5"


def test_a_seed_gives_the_same_report(version, answers):
    assert review_report(answers, version, 3) == review_report(answers[::-1], version, 3)


def test_the_command_prints_the_figures_and_writes_the_page(version, data, folder, run):
    page = folder / "review.html"
    code, output, _ = run(version.path, "--data", data, "--out", page, "--min-gold", "0.5")
    assert code == 0
    assert "6 preference rows, 12 answers, reviewers: 2" in output
    assert "note: 2 answers were on other texts" in output
    assert "Below 0.5 on gold rows: ann" in output
    assert "0.833 [" in output and "revisions (sft)" in output
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert" in text and "<script>alert" not in text


def test_the_command_gives_one_object_for_machines(version, data, run):
    code, output, _ = run(version.path, "--data", data, "--json")
    found = json.loads(output)
    assert (code, found["repo"], found["version"], found["n"]) == (0, "me/small", "v0.1.0", 6)
    assert set(found["agreement"]) == {"value", "low", "high", "n"}


def test_without_answers_there_is_a_fault_that_says_what_to_do(version, folder, run):
    code, output, errors = run(version.path, "--data", folder / "nobody")
    assert (code, output) == (2, "")
    assert "has no answers yet" in errors and "charter review collect me/small" in errors


def test_options_that_cannot_be_are_refused(version, data, folder, run):
    assert run(version.path, "--data", data, "--leave-out")[0] == 2
    assert run(version.path, "--data", data, "--seed", "-1")[0] == 2
    page = folder / "no" / "such" / "page.html"
    code, _, errors = run(version.path, "--data", data, "--out", page)
    assert code == 2 and "cannot be written" in errors


def test_the_recipes_own_threshold_counts_as_in_the_published_figures(folder, run):
    recipe = RECIPE + "review: {min_gold_accuracy: 0.9}\n"
    store, data = folder / "threshold", folder / "threshold-data"
    version = open_version(publish_local(draft(recipe_yaml=recipe), store).path)
    gold = {"share": Share.GOLD, "gold": Human.CHOSEN}
    checks = [
        answer(version, "p4#a~b", "ann", "CHOSEN"),
        answer(version, "p5#a~b", "bob", "CHOSEN"),
        answer(version, "p6#a~b", "bob", "REJECTED", **gold),
    ]
    with ReviewStore.open("me/small", data) as kept:
        kept.keep("d", 1, [Answer(each, "2026-01-01T00:00:00.000000") for each in checks])
    code, output, _ = run(version.path, "--data", data, "--json")
    told = json.loads(output)
    known = publish_reviews(version, checks, store=store, dry_run=True).figures
    del known["overruled"]
    assert (code, told["left_out"], told["n"]) == (0, [name_of("bob")], 1)
    assert {name: told[name] for name in known} == known
    code, output, _ = run(version.path, "--data", data, "--min-gold", "0.9", "--json")
    flagged = json.loads(output)
    assert (flagged["left_out"], flagged["n"]) == ([], 2)


def test_what_the_version_holds_is_enough(folder, version, answers, run):
    reviewers = {"ann": "a" * 16, "bob": "b" * 16, "cid": "c" * 16, "dan": "d" * 16}
    kept = [
        replace(each, reviewer=reviewers[each.reviewer]).as_row()
        for each in answers
        if each.gold is None
    ]
    made = draft(rows={**draft().rows, "reviews": kept})
    published = publish_local(made, folder / "reviewed").path
    code, output, _ = run(published, "--data", folder / "elsewhere", "--json")
    assert (code, json.loads(output)["n"]) == (0, 6)


def test_an_answer_that_was_taken_back_is_not_reported(folder, version, answers, run):
    mine = next(each for each in answers if each.id == "preference-5-bob")
    row = replace(mine, reviewer="b" * 16).as_row()
    made = draft(rows={**draft().rows, "reviews": [row]})
    published = publish_local(made, folder / "taken-back").path
    with ReviewStore.open("me/small", folder / "emptied") as store:
        store.keep("d", 1, [Answer(mine, "2026-01-01T00:00:00.000000")])
        store.finish("d", "name", 2, None, {})
    code, _, errors = run(published, "--data", folder / "emptied")
    assert code == 2 and "has no answers yet" in errors
