"""Rounds with a tiny model that is really trained, and a scripted critic and judge."""

from __future__ import annotations

import contextlib
import json

import pytest

from charter.errors import InputError
from charter.hub import list_versions, open_version
from charter.improve.plan import plan
from charter.improve.run import improve
from charter.recipes import load_recipe
from charter.run.progress import Silent


@contextlib.contextmanager
def silent():
    yield Silent()


def go(path, out, *overrides):
    said = []
    result = improve(load_recipe(path, overrides), out, said.append, silent)
    return result, said


@pytest.fixture
def helpful_file(tmp_path):
    rows = [{"prompt": f"please help me mend {i}", "completion": "yes you can"} for i in range(9)]
    path = tmp_path / "helpful.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def test_two_rounds(serve, good_script, rounds_file, helpful_file, tmp_path):
    server = serve(good_script)
    path, out = rounds_file(server.url), tmp_path / "out"
    overrides = (f"improve.helpful={{path: {helpful_file}, share: 0.4}}", "improve.beta=0.3")
    planned = plan(load_recipe(path, overrides), out)
    assert not out.exists()
    assert not any(step["done"] for step in planned["steps"])
    result, _ = go(path, out, *overrides)
    found, rounds = result.found, result.outcome.rounds

    assert [each.number for each in rounds] == [0, 1, 2]
    assert result.outcome.ends == ("ROUNDS_DONE",)
    assert rounds[1].win_base == rounds[1].win_before
    assert all(sum(c.n for c in each.categories.values()) == 9 for each in rounds)
    json.dumps(found, allow_nan=False)

    _versions_are_honest(out, found)
    _models_say_what_they_are_from(found, result)
    _best_is_pointed_to(result)

    # All calls of the plan are upper bounds of what was made.
    assert [s["calls"] for s in planned["steps"] if s["round"] == 2][-1] == 9 * (1 + 2 * 2)
    for number in (0, 1, 2):
        # A server is also asked once, in a run, whether it gives log-probabilities.
        most = 1 + sum(s["calls"] for s in planned["steps"] if s["round"] == number)
        assert 0 < found["rounds"][number]["cost"]["calls"] <= most
    assert all(step["done"] for step in plan(load_recipe(path, overrides), out)["steps"])

    # Once more: nothing is asked, nothing is trained, all is said again.
    asked = len(server.requests)
    again, said = go(path, out, *overrides)
    assert again.found == found
    assert len(server.requests) == asked
    assert sum("done before" in line for line in said) == 11


def test_a_judge_that_votes_is_planned_with_its_votes(serve, good_script, rounds_file, tmp_path):
    def plain(body):
        return good_script({name: value for name, value in body.items() if name != "logprobs"})

    path, out = rounds_file(serve(plain).url), tmp_path / "out"
    result, _ = go(path, out, "improve.rounds=1")
    planned = plan(load_recipe(path, ("improve.rounds=1",)), out)["steps"]
    made = [facts["cost"]["calls"] for facts in result.outcome.done.values() if "cost" in facts]
    most = [each["calls"] for each in planned if each["calls"]]
    # A server is also asked once, in a run, whether it gives log-probabilities.
    assert all(n <= limit + 1 for n, limit in zip(made, most, strict=True)), (made, most)


def _versions_are_honest(out, found):
    tags = [str(tag) for tag in list_versions(out / "versions", "me/small")]
    named = [v for each in found["rounds"][1:] for v in each["versions"].values()]
    assert named == [f"me/small@{tag}" for tag in tags]
    assert len(set(tags)) == 4
    models = []
    for at, tag in enumerate(tags):
        version = open_version(f"me/small@{tag}", store=out / "versions")
        judged = at % 2 == 1
        assert ("preference" in version.configs()) == judged
        assert ("sft" in version.configs()) != judged
        models.append(version.manifest.models["generator"]["model"])
    # Each half names the one model that wrote its answers.
    assert models == ["tiny", "small-round-1-sft", "small-round-1-dpo", "small-round-2-sft"]


def _models_say_what_they_are_from(found, result):
    for each in found["rounds"][1:]:
        steps = {"sft": "generate", "dpo": "judge"}
        for method, made in steps.items():
            folder = result.folder / "models" / f"small-round-{each['round']}-{method}"
            lineage = json.loads((folder / "charter.json").read_text())
            dataset = f"{lineage['dataset']['repo']}@{lineage['dataset']['tag']}"
            assert dataset == each["versions"][made]
            card = (folder / "README.md").read_text()
            assert dataset.partition("@")[2] in card
            mixed = method == "sft"
            assert ("mixed" in lineage) == mixed
            assert card.count("## Mixed in") == mixed
            if mixed:
                assert lineage["mixed"]["source"] == "helpful.jsonl"
                assert "helpful.jsonl" in card
                own = lineage["dataset"]["rows"]["train"] - lineage["mixed"]["rows"]
                assert lineage["mixed"]["rows"] == round(own * 0.4 / 0.6)
            else:
                assert lineage["fields"]["beta"] == 0.3


def _best_is_pointed_to(result):
    best = json.loads((result.folder / "best.json").read_text())
    assert best["round"] == result.outcome.best
    link = result.folder / "best"
    assert link.is_symlink() == (best["round"] > 0)
    if best["round"]:
        assert link.resolve() == result.model.resolve()
        assert (link / "config.json").is_file()
    else:
        assert best["model"].endswith("tiny")
    page = (result.folder / "report.html").read_text()
    assert "30" in page
    assert "helpful.jsonl" in page
    for name in ("Quality", "Win rate against the base", "distinct-2", "sounds-harmful"):
        assert name in page


def test_a_prompt_that_rounds_train_on_is_not_asked(serve, good_script, rounds_file, tmp_path):
    path = rounds_file(serve(good_script).url)
    own = [
        {"id": f"{kind}{i}", "prompt": f"{kind} request {i}, please"}
        for kind in ("harmful", "benign")
        for i in range(3)
    ]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, own)) + "\n")
    with pytest.raises(InputError, match="every prompt of the category") as caught:
        go(path, tmp_path / "out")
    assert len(caught.value.faults) == 2
    assert not (tmp_path / "out").exists()
