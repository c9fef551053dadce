"""What was retracted stays out of later runs, also where it was no row when its name was given."""

from __future__ import annotations

import pytest

from charter.hub import open_version
from charter.hub.retract import retract
from charter.hub.retract_what import What
from charter.hub.verify import verify_version
from charter.recipes import load_recipe
from charter.run import run_recipe

WHY = "asked for by its author"


@pytest.mark.parametrize("kind", ["prompts", "ids"])
def test_votes_on_a_rejected_pair_do_not_come_back(serve, good_script, recipe_file, tmp_path, kind):
    # Pairs of equal length tie: votes, and no row.
    server = serve(good_script)
    out = tmp_path / "out"
    recipe = recipe_file(server.url, 8)
    first = open_version(run_recipe(load_recipe(recipe), out).published.path)
    votes = first.rows("judgments")
    pairs = set(first.rows("preference")["id"])
    rejected = sorted(set(votes["comparison_id"]) - pairs)
    assert rejected
    prompt_id = votes.filter(votes["comparison_id"] == rejected[0])["prompt_id"][0]
    names = (prompt_id,) if kind == "prompts" else (rejected[0],)
    retract(first, What(**{kind: names}), WHY)

    again = open_version(run_recipe(load_recipe(recipe), out).published.path)
    assert verify_version(again).passed
    left = again.rows("judgments")
    assert rejected[0] not in set(left["comparison_id"])
    if kind == "prompts":
        for config in ("sft", "preference", "judgments"):
            assert prompt_id not in set(again.rows(config)["prompt_id"])
        rejects = again.rows("rejects")
        said = rejects.filter(rejects["prompt_id"] == prompt_id)["detail"]
        assert len(said) and set(said) == {WHY}  # a detail may quote what was taken out
    assert again.manifest.figures["retracted"]["reason"] == WHY


def test_what_went_by_its_principle_stays_out_with_its_votes(
    serve, good_script, recipe_file, tmp_path
):
    """No name is left to go by but those of the rows themselves."""
    out = tmp_path / "out"
    recipe = recipe_file(serve(good_script).url, 8)
    first = open_version(run_recipe(load_recipe(recipe), out).published.path)
    judged = first.rows("preference")["principle_ids"][0][0]
    revised = first.rows("sft")["revisions"][0][0]["principle_id"]
    after = open_version(retract(first, What(principles=(judged, revised)), WHY).path)
    gone = {c: set(first.rows(c)["id"]) - set(after.rows(c)["id"]) for c in ("sft", "preference")}
    assert gone["sft"] and gone["preference"]

    again = open_version(run_recipe(load_recipe(recipe), out).published.path)
    assert verify_version(again).passed
    for config, ids in gone.items():
        assert not ids & set(again.rows(config)["id"])
    assert not gone["preference"] & set(again.rows("judgments")["comparison_id"])

    # A run of fewer prompts has no rejects of the others, and takes nothing back for it.
    run_recipe(load_recipe(recipe, ["prompts.limit=1"]), out)
    last = open_version(run_recipe(load_recipe(recipe), out).published.path)
    assert last.manifest.counts == again.manifest.counts
    assert last.rows("preference").equals(again.rows("preference"))


@pytest.mark.parametrize("kind", ["prompts", "sources"])
def test_a_record_beside_a_retracted_prompt_makes_no_version(
    serve, good_script, recipe_file, tmp_path, kind
):
    """Of an id that two records have, the retraction said nothing more, and no run does."""
    out = tmp_path / "out"
    recipe = recipe_file(serve(good_script).url, 3)
    with (tmp_path / "prompts.jsonl").open("a") as file:
        file.write('{"id": "own", "prompt": "Where is it?", "source": "s"}\n')
        file.write('{"id": "own", "prompt": "Where?"}\n{"id": "p0", "prompt": "Who?"}\n')
    first = open_version(run_recipe(load_recipe(recipe), out).published.path)
    done = retract(first, What(**{kind: ("own" if kind == "prompts" else "s",)}), WHY)
    again = run_recipe(load_recipe(recipe), out).published
    assert (again.tag, again.new) == (done.tag, False)
    rejects = open_version(again.path).rows("rejects").to_dicts()
    said = {row["prompt_id"]: row["detail"] for row in rejects if row["ledger"] == "input"}
    assert said["own"] == WHY and "stands in" in said["p0"]


def test_new_prompts_of_a_retracted_source_become_no_rows(
    serve, good_script, recipe_file, tmp_path
):
    out = tmp_path / "out"
    recipe = recipe_file(serve(good_script).url, 3)
    asked = tmp_path / "prompts.jsonl"
    lines = [f'{{"id": "s{i}", "prompt": "Where is {i * 37}?", "source": "s"}}' for i in range(4)]
    asked.write_text(asked.read_text() + lines[0])
    first = open_version(run_recipe(load_recipe(recipe), out).published.path)
    retract(first, What(sources=("s",)), WHY)
    asked.write_text(asked.read_text() + "\n" + "\n".join(lines[1:]))
    last = open_version(run_recipe(load_recipe(recipe), out).published.path)
    assert verify_version(last).passed
    for config in ("sft", "preference", "judgments"):
        assert {*last.rows(config)["prompt_id"]} <= {"p0", "p1", "p2"}
    rejects = last.rows("rejects").to_dicts()
    of_sft = {row["prompt_id"]: row for row in rejects if row["ledger"] == "sft"}
    assert {*of_sft} == {"s0", "s1", "s2", "s3"}
    assert {(row["reason"], row["detail"]) for row in of_sft.values()} == {("RETRACTED", WHY)}
