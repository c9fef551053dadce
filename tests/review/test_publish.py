"""Answers become a config of the next version, and labels people's where they say so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from answered import answer, name_of
from drafts import RECIPE, draft

from charter.errors import Failure, InputError
from charter.hub import list_versions, open_version, publish_local
from charter.hub.diff import diff_versions
from charter.hub.relabel import pair_digest, side_digest
from charter.hub.retract import What, retract
from charter.hub.verify import verify_version
from charter.review.overrule import p_of_votes
from charter.review.publish import merged, publish_reviews
from charter.review.received import answer_id
from charter.review.sample import category_of
from charter.review.spot_check import Human, Share
from charter.review.store import spot_check_of

REPO = "me/small"


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def version(store):
    return open_version(publish_local(draft(), store).path)


def published(version, checks, store, **options):
    done = publish_reviews(version, checks, store=store, **options)
    return done, open_version(f"{REPO}@{done.tag}", store=store)


def row_of(version, row_id):
    return next(r for r in version.rows("preference").to_dicts() if r["id"] == row_id)


def sound(version):
    failed = [check for check in verify_version(version).checks if not check.passed]
    # The drafts of these tests state a fingerprint that is none.
    assert [check.check for check in failed] == ["constitution"], failed


def test_answers_are_published_as_they_were_given(version, store):
    checks = [
        answer(version, "p6#a~b", "ann", "CHOSEN", comment="yes <b>indeed</b>", first="rejected"),
        answer(version, "p3#a~b", "bob", "TIE"),
        answer(version, "p4#sft", "ann", "BETTER", still_harmful=False),
    ]
    done, new = published(version, checks, store, rule="none")
    assert (done.new, done.tag, done.reviews, done.stale) == (True, "v0.1.1", 3, 0)
    assert new.configs() == (*version.configs(), "reviews")
    rows = new.rows("reviews").to_dicts()
    assert sorted(map(spot_check_of, rows), key=lambda c: c.id) == sorted(
        checks, key=lambda c: c.id
    )
    # p3 is a test prompt: what was said of it stands where its row does.
    assert [r["row_id"] for r in new.rows("reviews", "test").to_dicts()] == ["p3#a~b"]
    for config in ("sft", "preference", "judgments", "rejects"):
        assert new.rows(config).equals(version.rows(config))
    assert new.manifest.reviews["n"] == 2
    assert new.manifest.parent == version.tag
    sound(new)


def test_a_stable_line_moves_by_a_patch_for_answers_and_by_a_minor_for_labels(store):
    version = open_version(publish_local(draft(version="v1.0.0"), store).path)
    done, new = published(version, [answer(version, "p6#a~b", "ann", "CHOSEN")], store)
    assert done.tag == "v1.0.1"
    more = [answer(new, "p4#a~b", "ann", "REJECTED")]
    done, _ = published(new, more, store)
    assert done.tag == "v1.1.0"


def test_publishing_the_same_again_makes_no_version(version, store):
    checks = [answer(version, "p6#a~b", "ann", "REJECTED", comment="no")]
    done, new = published(version, checks, store)
    again, _ = published(new, checks, store)
    assert (again.new, again.tag) == (False, done.tag)
    # A comment alone is a change that a reader sees.
    told, _ = published(new, [replace(checks[0], comment="not at all")], store)
    assert (told.new, told.tag) == (True, "v0.1.2")


def test_a_label_that_most_deny_is_turned(version, store):
    checks = [
        answer(version, "p6#a~b", "ann", "REJECTED"),
        answer(version, "p6#a~b", "bob", "REJECTED", first="rejected"),
        answer(version, "p6#a~b", "cyd", "CHOSEN"),
        answer(version, "p4#a~b", "ann", "CHOSEN"),
    ]
    old = row_of(version, "p6#a~b")
    done, new = published(version, checks, store)
    row = row_of(new, "p6#a~b")
    assert done.outcomes == {"TURNED": 1}
    assert (row["chosen"], row["rejected"]) == (old["rejected"], old["chosen"])
    assert (row["label_source"], row["n_votes"], row["p_chosen"]) == ("human", 3, 3 / 5)
    assert row_of(new, "p4#a~b") == row_of(version, "p4#a~b")
    known = new.manifest.reviews["overruled"]
    assert (known["rule"], known["turned"], known["removed"]) == ("majority", 1, 0)
    entry = dict(known["labels"]["p6#a~b"])
    assert entry.pop("texts") == pair_digest(row)
    assert entry.pop("chosen") == side_digest(row["chosen"])
    assert entry == {
        "p_chosen": old["p_chosen"],
        "n_votes": old["n_votes"],
        "verdict": "REJECTED",
        "votes": 2,
        "of": 3,
        "p": 3 / 5,
    }
    assert new.manifest.figures["label_sources"] == {
        "ai": version.rows("preference").height - 1,
        "human": 1,
    }
    found = diff_versions(version, new).rows["preference"].counts
    assert (found["flipped"], found["text_changed"], found["removed"]) == (1, 0, 0)
    sound(new)


def test_what_stands_on_a_side_moves_with_it(version, store):
    row_id = "p7#a~b"
    _, new = published(version, [answer(version, row_id, "ann", "REJECTED")], store)
    before, after = row_of(version, row_id), row_of(new, row_id)
    assert (before["source_label"], after["source_label"]) == ("chosen", "rejected")


@pytest.mark.parametrize(
    ("said", "reason"),
    [(("TIE", "TIE", "CHOSEN"), "TIE"), (("BOTH_BAD", "BOTH_BAD", "TIE"), "BOTH_BAD")],
)
def test_a_pair_without_a_winner_becomes_a_reject(version, store, said, reason):
    checks = [answer(version, "p6#a~b", who, word) for who, word in zip("abc", said, strict=True)]
    done, new = published(version, checks, store)
    assert done.outcomes == {"REMOVED": 1}
    known = new.manifest.reviews["overruled"]
    assert (known["turned"], known["removed"]) == (0, 1)
    assert "p6#a~b" not in new.rows("preference")["id"].to_list()
    (reject,) = [r for r in new.rows("rejects").to_dicts() if r["pair_id"] == "p6#a~b"]
    assert (reject["ledger"], reject["stage"], reject["reason"]) == ("preference", "review", reason)
    assert new.rows("judgments").equals(version.rows("judgments"))
    assert diff_versions(version, new).rejects[reason] == (
        version.rows("rejects")["reason"].to_list().count(reason),
        version.rows("rejects")["reason"].to_list().count(reason) + 1,
    )
    sound(new)


def test_a_row_of_unanimous_rule_needs_all(version, store):
    checks = [answer(version, "p6#a~b", who, "REJECTED") for who in "ab"]
    checks += [answer(version, "p6#a~b", "c", "CHOSEN"), answer(version, "p4#a~b", "a", "REJECTED")]
    done, new = published(version, checks, store, rule="unanimous")
    assert done.outcomes == {"TURNED": 1}
    assert row_of(new, "p4#a~b")["p_chosen"] == p_of_votes(1, 1)
    assert row_of(new, "p6#a~b")["label_source"] == "ai"


def test_people_who_change_their_minds_get_the_judges_label_back(version, store):
    first = answer(version, "p6#a~b", "ann", "REJECTED")
    _, turned = published(version, [first], store)
    done, new = published(turned, [replace(first, verdict=first.verdict.CHOSEN)], store)
    assert done.outcomes == {"RESTORED": 1}
    assert row_of(new, "p6#a~b") == row_of(version, "p6#a~b")
    assert new.manifest.reviews["overruled"]["labels"] == {}
    sound(new)


def test_later_answers_on_an_overruled_label_are_of_what_the_judge_had_said(version, store):
    one = answer(version, "p6#a~b", "ann", "REJECTED")
    _, turned = published(version, [one], store)
    two = answer(version, "p6#a~b", "bob", "REJECTED", first="rejected")
    done, new = published(turned, [one, two], store)
    assert done.outcomes == {"RECOUNTED": 1}
    assert row_of(new, "p6#a~b")["chosen"] == row_of(turned, "p6#a~b")["chosen"]
    assert row_of(new, "p6#a~b")["p_chosen"] == p_of_votes(2, 2)
    sound(new)


def test_an_answer_taken_back_takes_its_label_with_it(version, store):
    said = answer(version, "p6#a~b", "ann", "REJECTED")
    other = answer(version, "p4#a~b", "bob", "CHOSEN")
    _, turned = published(version, [said, other], store)
    for rule in ("majority", "none"):
        done = publish_reviews(
            turned, [other], gone=[said.id], store=store, rule=rule, dry_run=True
        )
        assert (done.outcomes, done.reviews) == ({"RESTORED": 1}, 1)
    done, new = published(turned, [other], store, gone=[said.id])
    assert row_of(new, "p6#a~b") == row_of(version, "p6#a~b")
    sound(new)


def test_answers_on_other_texts_are_carried_and_change_nothing(version, store):
    checks = [
        answer(version, "p6#a~b", "ann", "REJECTED", texts="0" * 64),
        answer(version, "p4#a~b", "ann", "REJECTED", row_id="gone#a~b", prompt_id="gone"),
    ]
    done, new = published(version, checks, store)
    assert (done.stale, done.outcomes, new.rows("reviews").height) == (2, {}, 2)
    assert new.rows("preference").equals(version.rows("preference"))


def test_gold_rows_and_other_reviewers_failures_change_no_label(store):
    recipe = RECIPE + "review: {min_gold_accuracy: 0.9}\n"
    version = open_version(publish_local(draft(recipe_yaml=recipe), store).path)
    gold = {"share": Share.GOLD, "gold": Human.CHOSEN}
    checks = [
        answer(version, "p6#a~b", "ann", "REJECTED", **gold),
        answer(version, "p4#a~b", "ann", "REJECTED"),
        answer(version, "p5#a~b", "bob", "REJECTED"),
    ]
    checks += [replace(checks[0], row_id=f"g{k}", id=f"g{k}") for k in range(20)]
    done, new = published(version, checks, store)
    assert done.figures["gold"][name_of("ann")]["failed"]
    assert done.outcomes == {"TURNED": 1}
    assert row_of(new, "p5#a~b")["label_source"] == "human"
    assert row_of(new, "p6#a~b")["label_source"] == row_of(new, "p4#a~b")["label_source"] == "ai"
    assert (done.figures["left_out"], done.figures["n"]) == ([name_of("ann")], 1)
    sound(new)


def test_a_label_of_one_who_fails_later_is_the_judges_again(store):
    recipe = RECIPE + "review: {min_gold_accuracy: 0.9}\n"
    version = open_version(publish_local(draft(recipe_yaml=recipe), store).path)
    checks = [
        answer(version, "p4#a~b", "ann", "REJECTED"),
        answer(version, "p5#a~b", "ann", "TIE"),
        answer(version, "p6#a~b", "bob", "REJECTED"),
    ]
    done, new = published(version, checks, store)
    assert done.outcomes == {"REMOVED": 1, "TURNED": 2}
    wrong = answer(version, "p7#a~b", "ann", "REJECTED", share=Share.GOLD, gold=Human.CHOSEN)
    done, new = published(new, [*checks, wrong], store)
    assert done.outcomes == {"RESTORED": 1}
    assert row_of(new, "p4#a~b") == row_of(version, "p4#a~b")
    # The pair that left on that word alone comes back with the next run.
    assert [*new.manifest.reviews["overruled"]["labels"]] == ["p6#a~b"]
    sound(new)


def test_a_label_that_stands_as_it_did_is_no_change(version, store):
    said = answer(version, "p6#a~b", "ann", "REJECTED")
    _, turned = published(version, [said], store)
    done, _ = published(turned, [said, answer(turned, "p4#a~b", "ann", "CHOSEN")], store)
    assert (done.new, done.outcomes) == (True, {})


def test_answers_on_what_was_retracted_stay_out(version, store):
    checks = [
        answer(version, "p4#a~b", "ann", "CHOSEN", comment="of the prompt"),
        answer(version, "p4#sft", "ann", "BETTER"),
        answer(version, "p5#sft", "ann", "BETTER"),
        answer(version, "p6#a~b", "ann", "REJECTED", comment="of the pair"),
        answer(version, "p6#sft", "ann", "BETTER"),
        answer(version, "p7#a~b", "ann", "CHOSEN"),
    ]
    _, new = published(version, checks, store)
    what = What(ids=("p6#a~b", "p5#sft"), prompts=("p4",))
    new = open_version(retract(new, what, "asked for", store=store).path)
    left = ["p6#sft", "p7#a~b"]
    assert new.rows("reviews")["row_id"].to_list() == left
    # The machine that collected them has them still.
    assert [each.row_id for each in merged(new, checks)] == left
    more = [*checks, answer(version, "p4#a~b", "bob", "REJECTED")]
    assert [each.row_id for each in merged(new, more)] == left
    done, again = published(new, more, store)
    assert (again.rows("reviews")["row_id"].to_list(), done.stale) == (left, 0)


def test_answers_of_a_retracted_source_stay_out_however_long_its_name(store):
    """Of prompts, too, that had no row in the release it was taken out of."""
    gone, other = "s" * 300, "s" * 299 + "t"
    release, more = draft(8), draft(10, version="rc")
    for row in [*release.rows["sft"], *more.rows["sft"], *more.rows["preference"]]:
        row["source"] = {"p4": gone, "p8": gone, "p9": other}.get(row["prompt_id"], row["source"])
    version = open_version(publish_local(release, store).path)
    candidate = open_version(publish_local(more, store).path)
    category = {row["id"]: category_of(row["source"]) for row in more.rows["preference"]}
    checks = [
        answer(candidate, row, "ann", "CHOSEN", category=category[row])
        for row in ("p7#a~b", "p8#a~b", "p9#a~b")
    ]
    new = open_version(retract(version, What(sources=(gone,)), "asked for", store=store).path)
    assert [each.row_id for each in merged(new, checks)] == ["p7#a~b", "p9#a~b"]


def test_from_a_candidate_comes_the_next_candidate(version, store):
    changed = draft(10, version="rc")
    candidate = open_version(publish_local(changed, store).path)
    assert candidate.tag == "v0.1.1-rc.1"
    done, new = published(candidate, [answer(candidate, "p8#a~b", "ann", "REJECTED")], store)
    assert done.tag == "v0.1.1-rc.2"
    again, _ = published(new, [], store)
    assert (again.new, again.tag) == (False, "v0.1.1-rc.2")
    with pytest.raises(InputError, match=r"rc\.2 comes after the candidate v0\.1\.1-rc\.1"):
        publish_reviews(candidate, [], store=store)


def test_an_older_release_and_no_answers_are_refused(version, store):
    with pytest.raises(InputError, match="nobody has answered yet"):
        publish_reviews(version, [], store=store)
    published(version, [answer(version, "p6#a~b", "ann", "CHOSEN")], store)
    with pytest.raises(InputError, match=r"v0\.1\.0 is not the latest release, v0\.1\.1"):
        publish_reviews(version, [], store=store)


def test_a_dry_run_says_what_would_be_and_publishes_nothing(version, store):
    done = publish_reviews(
        version, [answer(version, "p6#a~b", "ann", "REJECTED")], store=store, dry_run=True
    )
    assert (done.tag, done.path, done.new, done.outcomes) == (None, None, False, {"TURNED": 1})
    assert [str(tag) for tag in list_versions(store, REPO)] == ["v0.1.0"]


def test_keys_and_addresses_in_comments_are_masked(version, store):
    token = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"
    said = f"see {token} or write ann.smith@firm.co.uk"
    _, new = published(version, [answer(version, "p6#a~b", "ann", "CHOSEN", comment=said)], store)
    (row,) = new.rows("reviews").to_dicts()
    assert row["comment"] == "see [GITHUB_TOKEN] or write [EMAIL]"


def test_labels_that_would_all_go_are_not_taken(version, store):
    checks = [answer(version, r, "ann", "TIE") for r in version.rows("preference")["id"]]
    with pytest.raises(Failure, match="no row of preference would be left"):
        publish_reviews(version, checks, store=store)


def test_answers_of_another_machine_stay_once(version, store):
    one = answer(version, "p6#a~b", "ann", "CHOSEN")
    two = answer(version, "p4#a~b", "bob", "CHOSEN")
    _, new = published(version, [one, two], store)
    # The same answer under the name that Ann has here, and one of Cyd's.
    here = [replace(one, id="f" * 32, reviewer=name_of("ann's other name"))]
    here += [answer(version, "p5#a~b", "cyd", "CHOSEN")]
    found = {each.id for each in merged(new, here)}
    assert found == {here[0].id, here[1].id, two.id}
    assert {each.id for each in merged(new, here, [two.id])} == {here[0].id, here[1].id}


def test_an_answer_of_another_machine_that_was_changed_since_counts_once(version, store):
    """Ann has another name there; what she says on one row tells which answers are hers."""

    def named(person, row, verdict, **changes):
        check = answer(version, row, person, verdict, **changes)
        made = answer_id("preference", row, check.texts, False, check.reviewer)
        return replace(check, id=made)

    rows = ("p6#a~b", "p4#a~b", "p5#a~b", "p7#a~b")
    old = [named("ann there", row, "CHOSEN") for row in rows]
    bob = named("bob", "p4#a~b", "CHOSEN", submitted="2026-01-02T00:00:00Z")
    _, new = published(version, [*old, bob], store)
    later = {"submitted": "2026-02-01T00:00:00Z"}
    here = [named("ann", rows[0], "CHOSEN"), named("ann", rows[1], "TIE", **later)]
    back = named("ann", rows[2], "CHOSEN").id
    found = {(each.row_id, each.reviewer): each.verdict for each in merged(new, here, [back])}
    assert found == {
        (rows[0], name_of("ann")): "CHOSEN",
        (rows[1], name_of("ann")): "TIE",
        (rows[1], name_of("bob")): "CHOSEN",
        (rows[3], name_of("ann")): "CHOSEN",
    }
