"""What follows a run: models trained from the version that it published, and from no other."""

from __future__ import annotations

import json

import pytest
from drafts import draft
from pointed import pointed
from tiny_llama import tiny_llama

from charter.cli import main
from charter.cli.follow import _overlap, counted, train_models
from charter.cli.lines import Lines
from charter.cli.output import Output
from charter.errors import InputError
from charter.hub import publish_local
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.recipes import load_recipe

TOKEN = "hf_owner_0123456789"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("models") / "tiny", ["revised", "initial"])


@pytest.fixture
def training(tiny, recipe_file):
    """A recipe that trains by each of the methods named, one step; `own` ones name their model."""

    def write(*methods, own=("sft",), **blocks):
        step = {"max_steps": 1}
        train = {name: {"model": str(tiny)} | step if name in own else step for name in methods}
        return recipe_file("http://127.0.0.1:1/v1", 4, train=train, **blocks)

    return write


def test_all_else_starts_from_the_sft_model_and_what_is_trained_is_kept(training, tmp_path, capsys):
    path = training("sft", "dpo", "reward", own=("sft", "reward"))
    recipe, output = load_recipe(path).recipe, Output(as_json=False)
    version = publish_local(draft(), tmp_path / "versions").path
    models = train_models(output, recipe, version, tmp_path)
    top = tmp_path / "models" / "me" / "small" / "v0.1.0"
    assert models == {name: top / name for name in ("sft", "reward", "dpo")}
    facts = {name: json.loads((top / name / "charter.json").read_text()) for name in models}
    assert facts["dpo"]["base"]["lineage"]["method"] == "sft"
    assert facts["reward"]["base"]["lineage"] is None
    said = capsys.readouterr().out
    assert "sft: 1 steps on 6 rows, loss " in said and f"in {top / 'dpo'}" in said
    made = {name: (top / name / "charter.json").stat().st_mtime_ns for name in models}
    assert train_models(output, recipe, version, tmp_path) == models
    assert "dpo: trained from this version already" in capsys.readouterr().out
    assert made == {name: (top / name / "charter.json").stat().st_mtime_ns for name in models}


@pytest.mark.parametrize("facts", [None, "{", "[]", '{"dataset": {}}'])
def test_a_model_of_another_version_of_that_name_is_not_taken_for_its_own(
    training, tmp_path, facts
):
    recipe, output = load_recipe(training("sft")).recipe, Output(as_json=False)
    one = publish_local(draft(), tmp_path / "one" / "versions").path
    other = publish_local(draft(n=9), tmp_path / "other" / "versions").path
    model = tmp_path / "models" / "me" / "small" / "v0.1.0" / "sft"
    if facts is None:
        assert train_models(output, recipe, one, tmp_path) == {"sft": model}
    else:
        model.mkdir(parents=True)
        (model / "charter.json").write_text(facts)
    with pytest.raises(InputError, match=r"of another me/small@v0\.1\.0") as error:
        train_models(output, recipe, other, tmp_path)
    assert error.value.faults[0].place == str(model)


def test_a_dry_run_sends_and_trains_nothing(
    training, serve, good_script, tmp_path, capsys, monkeypatch
):
    out, url = tmp_path / "out", serve(good_script).url
    generator = {"llm": "openai", "model": "scripted", "base_url": url}
    publish = {"repo": "me/small", "to": "hub"}
    recipe = training("sft", models={"generator": generator}, publish=publish)
    hub = launch(tmp_path / "hub", users=[User("me", TOKEN, "write")])
    try:
        api = pointed(hub.address, TOKEN, tmp_path / "hub-cache", monkeypatch)
        with pytest.raises(SystemExit) as end:
            main(["run", str(recipe), "--out", str(out), "--dry-run", "--json"])
        assert not end.value.code
        assert not list(api.list_datasets())
    finally:
        assert hub.stop() == 0
    said, told = capsys.readouterr()
    found = json.loads(said)
    assert (found["version"], "models" in found) == ("v0.1.0", False)
    assert "me/small@v0.1.0 would be published (--dry-run)" in told
    assert not (out / "models").exists() and not list((out / "versions").rglob("charter.json"))


def test_what_is_done_moves_the_bar_once(capsys):
    show = counted(Lines(), "refusals dpo")
    for done in (0, 2, 2, 1, 4):
        show(done, 4)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "refusals dpo: 4 prompts"
    assert [line.split(",")[0] for line in said[1:]] == [
        "refusals dpo: 2 of 4",
        "refusals dpo: 4 of 4",
    ]


@pytest.mark.parametrize(
    ("intervals", "overlap"),
    [
        ([(0.1, 0.5), (0.5, 0.9)], True),
        ([(0.1, 0.4), (0.5, 0.9)], False),
        ([(0.1, 0.4), (0.3, 0.9), (0.45, 1.0)], False),
        ([(0.1, 0.4), (None, None)], True),
    ],
)
def test_intervals_overlap_where_one_share_lies_in_all(intervals, overlap):
    found = {
        str(at): {"harmful": {"refused": {"low": low, "high": high}}}
        for at, (low, high) in enumerate(intervals)
    }
    assert _overlap(found, "harmful") is overlap
