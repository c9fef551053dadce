"""What the block `publish` of a recipe says, as it is in the version that a run makes."""

from __future__ import annotations

import json
import re

import pytest
from made_secrets import MAIL, TOKEN

from charter.constitutions import find_constitution
from charter.errors import Failure, InputError
from charter.hub import open_version
from charter.hub.retract import retract
from charter.hub.retract_what import What
from charter.recipes import load_recipe
from charter.run import run_recipe

QUIZ = "A train leaves at noon and goes sixty miles an hour to a far town: when is it there?"
WHOLE = {"keys": "drop", "personal": "mask"}


@pytest.fixture
def server(serve, good_script):
    return serve(good_script)


@pytest.fixture
def recipe(server, recipe_file, tmp_path):
    """A recipe whose prompts hold an address, a key and a question of an evaluation set."""

    def made(**publish):
        texts = {"plain": "Why?", "mail": f"Who is {MAIL}?", "key": f"Is it {TOKEN}?", "quiz": QUIZ}
        lines = [json.dumps({"id": name, "prompt": text}) for name, text in texts.items()]
        folder = tmp_path / "asked"
        folder.mkdir(exist_ok=True)
        (folder / f"{MAIL}.jsonl").write_text("\n".join([*lines, lines[0]]))
        (tmp_path / "evals.jsonl").write_text(json.dumps({"question": QUIZ}))
        sets = {"repo": "me/small", "decontaminate": [str(tmp_path / "evals.jsonl")]}
        path = recipe_file(server.url, publish={**sets, **publish})
        return load_recipe(path, [f"prompts.path={folder}/*.jsonl", "prompts.test_fraction=0"])

    return made


def test_what_is_to_be_masked_or_dropped_is_in_no_config(recipe, tmp_path):
    loaded = recipe(secrets=WHOLE, on_contamination="drop")
    version = open_version(run_recipe(loaded, tmp_path / "out").published.path)
    rows = {config: version.rows(config).to_dicts() for config in version.configs()}
    said = json.dumps(rows)
    assert MAIL not in said and TOKEN not in said and QUIZ not in said
    assert {row["prompt"][0]["content"] for row in rows["sft"]} == {"Why?", "Who is [EMAIL]?"}
    assert {row["source"] for row in rows["sft"]} == {"[EMAIL]"}
    why = {row["prompt_id"]: row["reason"] for row in rows["rejects"] if row["ledger"] == "sft"}
    assert why == {"key": "SECRET", "quiz": "CONTAMINATED"}
    (twice,) = (row["detail"] for row in rows["rejects"] if row["ledger"] == "input")
    assert twice.startswith("[EMAIL]:5: the id")
    assert version.manifest.figures["contamination"]["evals"]["rows"] == 0


def test_what_is_to_be_reported_is_there_and_counted(recipe, tmp_path):
    loaded = recipe(secrets={"keys": "mask"}, on_contamination="report")
    version = open_version(run_recipe(loaded, tmp_path / "out").published.path)
    rows = version.rows("sft").to_dicts()
    asked = {row["prompt_id"]: row["prompt"][0]["content"] for row in rows}
    assert asked["mail"] == f"Who is {MAIL}?" and asked["quiz"] == QUIZ
    assert asked["key"] == "Is it [GITHUB_TOKEN]?"
    figures = version.manifest.figures
    assert figures["contamination"]["evals"]["rows"] > 0
    # Those in the file's name are counted, and that is each row's source.
    assert figures["secrets"]["EMAIL"]["texts"] > version.manifest.ledgers.prompts
    assert {row["judge_model"] for row in version.rows("judgments").to_dicts()} == {"scripted"}
    assert figures["cost"] is None  # nobody said what a token costs


@pytest.mark.parametrize(
    ("publish", "said"),
    [({"on_contamination": "fail"}, "overlap with evals: quiz"), ({}, "in prompt key (GITHUB")],
    ids=["overlap", "key"],
)
def test_a_prompt_that_is_not_to_be_there_is_told_before_a_call(
    recipe, server, tmp_path, publish, said
):
    secrets = {"keys": "mask"} if publish else {}
    with pytest.raises(InputError, match=re.escape(said)):
        run_recipe(recipe(secrets=secrets, **publish), tmp_path / "out")
    assert server.requests == [] and not (tmp_path / "out").exists()


def test_an_address_in_a_source_is_told_before_a_call(recipe, server, tmp_path):
    loaded = recipe(secrets={"keys": "mask", "personal": "fail"})
    with pytest.raises(InputError, match=r"in prompt plain \(EMAIL\)"):
        run_recipe(loaded, tmp_path / "out")
    assert server.requests == []


def test_a_key_in_a_principle_is_told_before_a_call(recipe, server, tmp_path):
    shipped = find_constitution("concise").read_text("utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(shipped.replace("Six principles", f"Those of {TOKEN}"))
    loaded = load_recipe(recipe(secrets=WHOLE).path, [f"constitution={own}"])
    with pytest.raises(InputError, match=r"in constitution\.yaml .*both files are published"):
        run_recipe(loaded, tmp_path / "out")
    assert server.requests == []


@pytest.mark.parametrize("said", [QUIZ, f"Take {TOKEN}."], ids=["overlap", "key"])
def test_what_a_model_is_not_to_say_stops_the_publication(
    serve, good_script, recipe_file, replies, tmp_path, said
):
    def script(body):
        turns = sum(message["role"] == "user" for message in body["messages"])
        return (
            replies.say(said)
            if turns == 1 and "[response A" not in str(body)
            else good_script(body)
        )

    (tmp_path / "evals.jsonl").write_text(json.dumps({"question": QUIZ}))
    publish = {"decontaminate": [str(tmp_path / "evals.jsonl")], "on_contamination": "fail"}
    path = recipe_file(serve(script).url, publish={"repo": "me/small", **publish})
    with pytest.raises(Failure, match=r"overlap with|keys or personal data in"):
        run_recipe(load_recipe(path), tmp_path / "out")
    assert not list((tmp_path / "out").glob("versions/*/*/v*"))


def test_a_prompt_that_was_retracted_stops_no_run(recipe, tmp_path):
    first = run_recipe(recipe(secrets={"keys": "mask"}), tmp_path / "out").published
    retract(open_version(first.path), What(prompts=("key",)), "it has a key")
    after = open_version(run_recipe(recipe(), tmp_path / "out").published.path)
    assert "key" not in after.rows("sft")["prompt_id"]


def test_a_tag_that_is_asked_for_goes_before_the_recipes(recipe, tmp_path):
    loaded = recipe(secrets=WHOLE, version="v0.3.0")
    assert run_recipe(loaded, tmp_path / "out", version="v1.0.0").published.tag == "v1.0.0"
