"""`charter audit judge` as a user meets it: three sources, text, JSON, a page, and mistakes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from charter.cli import main
from charter.cli.judging import JudgeSetup, judge_setup
from charter.constitutions import find_constitution, load_constitution
from charter.recipes import load_recipe
from charter.recipes.preference import PreferenceSettings
from charter.recipes.schema import ModelSettings
from charter.run import run_recipe

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("CHARTER_SHARED_DATA", ROOT.parent / "shared" / "data"))


def vote(pair, order, text, **more):
    return {
        "comparison_id": pair,
        "order": order,
        "text": text,
        "response_a": "one",
        "response_b": "another one",
        "human_label": "A",
        **more,
    }


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def audit(capsys):
    """Run the command: exit code, stdout, stderr, and the object where there is one."""

    def audit(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["audit", "judge", *map(str, arguments)])
        said = capsys.readouterr()
        found = None
        if "--json" in arguments and not ended.value.code:
            assert said.out.count("\n") == 1
            found = json.loads(said.out)
        return ended.value.code, said.out, said.err, found

    return audit


@pytest.fixture
def votes(tmp_path):
    rows = []
    for i in range(8):
        for name in ("final", "first"):
            best = "Output (a)" if i % 4 else "Output (b)"
            second = "Output (b)" if name == "final" else best
            rows.append(vote(f"c{i}", "AB", f"{best} is better.", **{"pass": name}))
            rows.append(vote(f"c{i}", "BA", f"{second} is better.", **{"pass": name}))
    return lines(tmp_path / "votes.jsonl", rows)


def test_recorded_votes_by_pass(audit, votes):
    code, _, err, found = audit("--votes", votes, "--json")
    assert code == 0 and "pass final" in err and "passes first, final" in err
    assert found["pass"] == "final" and list(found["passes"]) == ["first", "final"]
    assert found["accuracy_ab"]["value"] == 0.75 and found["accuracy_ba"]["value"] == 1
    assert found["order_consistency"] == found["passes"]["final"]["order_consistency"]
    assert found["passes"]["first"]["order_consistency"]["value"] == 0
    _, _, _, alone = audit("--votes", votes, "--pass", "first", "--json")
    assert alone["pass"] == "first" and alone["order_consistency"]["value"] == 0
    code, out, _, _ = audit("--votes", votes)
    assert code == 0 and "accuracy_both" in out and "{" not in out


def test_votes_with_other_names_for_the_places(audit, tmp_path):
    rows = [vote("c", "AB", "Response A is better."), vote("c", "BA", "Response B is better.")]
    path = lines(tmp_path / "votes.jsonl", rows)
    _, _, _, found = audit("--votes", path, "--labels", "Response A/B", "--json")
    assert found["accuracy_both"]["value"] == 1 and found["unparsed_rate"]["value"] == 0


def test_a_judge_that_votes_answers_as_often_as_in_a_recipe():
    constitution = load_constitution(find_constitution("concise"))
    setup = JudgeSetup(ModelSettings(llm="local"), constitution, "vote")
    assert (
        setup.settings() == judge_setup(constitution, None, model="local", mode="vote").settings()
    )
    assert setup.settings().votes == PreferenceSettings().votes > 1


def test_a_page_with_plots(audit, votes, tmp_path):
    path = tmp_path / "audit.html"
    code, out, _, _ = audit("--votes", votes, "--html", path)
    assert code == 0 and str(path) in out
    page = path.read_text(encoding="utf-8")
    assert page.count("<svg") > 3 and "Pass final" in page and "<script" not in page
    code, _, err, _ = audit("--votes", votes, "--html", tmp_path / "none" / "audit.html")
    assert code == 2 and "cannot be written" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to audit"),
        (["me/x@v0.1.0", "--votes", "VOTES"], "together"),
        (["--votes", "VOTES", "--people", "VOTES"], "--people: belongs to VERSION"),
        (["--votes", "VOTES", "--mode", "cot", "--pass", "final"], "--mode: belongs to --data"),
        (["--data", "VOTES", "--pass", "final"], "--pass: belongs to --votes"),
        (["--votes", "VOTES", "--pass", "last"], 'no vote of the pass "last"'),
        (["--votes", "nowhere.jsonl"], "no such file"),
        (["--votes", "VOTES", "--labels", "nonsense"], "nonsense"),
        (["nowhere"], "neither a folder nor a version"),
        (["--data", "VOTES"], "needs a constitution"),
        (["--data", "VOTES", "--constitution", "hhh"], "needs a judge"),
        (["--data", "VOTES", "--constitution", "hhh", "--model", "local"], "votes.jsonl:1"),
        (["--data", "VOTES", "--constitution", "hh", "--model", "local"], "no constitution"),
    ],
    ids=range(13),
)
def test_mistakes_are_told_in_three_parts(audit, votes, arguments, said):
    given = [str(votes) if each == "VOTES" else each for each in arguments]
    code, out, err, _ = audit(*given)
    assert code == 2 and said in err and not out
    assert "Traceback" not in err


def test_damaged_lines_are_named(audit, tmp_path):
    path = tmp_path / "votes.jsonl"
    path.write_text('{"comparison_id": "c"}\n{\n', encoding="utf-8")
    code, _, err, _ = audit("--votes", path)
    assert code == 2 and f"{path}:1" in err and f"{path}:2" in err


def test_help_and_a_mistyped_audit(capsys):
    for arguments, said in (
        (["audit", "--help"], "injections"),
        (["audit", "judge", "--help"], "Example:"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code and said in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["audit", "juge"])
    assert ended.value.code == 2 and 'did you mean "judge"' in capsys.readouterr().err


def test_help_of_the_group_imports_no_audit():
    code = (
        "import sys\nfrom charter.cli.audit import command\n"
        "command.main(['--help'], standalone_mode=False)\n"
        "print('LOADED', sorted(m for m in sys.modules if m.startswith('charter.evals')"
        " or m in ('numpy', 'scipy', 'torch')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_a_version_and_what_people_say_of_it(audit, serve, good_script, recipe_file, tmp_path):
    path = recipe_file(serve(good_script).url, 10)
    result = run_recipe(load_recipe(path), tmp_path / "out")
    version = str(result.published.path)
    code, _, err, found = audit(version, "--json")
    assert code == 0 and "no labels of people" in err
    assert found["accuracy"]["value"] is None and found["ppi_accuracy"]["value"] is None
    # The judge prefers the longer one in both orders, and says tie where they are as long.
    counts = found["counts"]
    ties = counts["ties"] / counts["comparisons"]
    assert found["order_consistency"]["value"] == pytest.approx(1 - ties) and ties < 0.5
    assert found["longer_wins"]["value"] == 1
    assert found["by_principle"]

    from charter.hub import open_version

    rows = open_version(version).rows("preference").to_dicts()
    people = [{"id": row["id"], "label": "chosen"} for row in rows[: len(rows) // 2]]
    people[0]["label"] = "rejected"
    file = lines(tmp_path / "people.jsonl", [*people, {"id": "other", "label": "A"}])
    code, out, _, _ = audit(version, "--people", file)
    assert code == 0 and "prediction-powered" in out and "not judged (left out): 1" in out
    _, _, _, found = audit(version, "--people", file, "--json")
    assert found["ppi_accuracy"]["n"] == found["accuracy"]["n"] == len(people)
    assert found["accuracy"]["value"] == pytest.approx(1 - 1 / len(people))


def test_pairs_judged_now(audit, serve, replies, recipe_file, tmp_path):
    def script(body):
        return replies.odds(-0.1, -3.0) if body.get("logprobs") else replies.say("A")

    path = recipe_file(serve(script).url, 4)
    rows = [
        {"id": f"p{i}", "prompt": f"Q{i}?", "chosen": f"yes {i}", "rejected": f"no {i}"}
        for i in range(12)
    ]
    data = tmp_path / "pairs.jsonl.gz"
    data.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    code, _, err, found = audit("--data", data, "--recipe", path, "--limit", 10, "--json")
    assert code == 0, err
    # A judge for the first place is right as often in one order as it is wrong in the other.
    assert found["first_position_rate"]["value"] == 1
    assert found["order_consistency"]["value"] == 0
    assert found["accuracy"]["value"] == 0.5 and found["accuracy"]["n"] == 10
    assert found["accuracy_ab"]["value"] + found["accuracy_ba"]["value"] == pytest.approx(1)
    assert found["counts"]["comparisons"] == 10


def test_principles_count_as_a_recipe_weighs_them(
    audit, serve, good_script, replies, recipe_file, tmp_path
):
    longer, shorter, unasked = load_constitution(find_constitution("concise")).principles[:3]

    def script(body):
        said = json.loads(good_script(body)[2])["choices"][0]["message"]["content"]
        text = body["messages"][-1]["content"]
        assert unasked.comparison.strip() not in text
        return replies.say(
            {"A": "B", "B": "A"}[said] if shorter.comparison.strip() in text else said
        )

    rows = [{"prompt": f"Q{i}?", "chosen": f"yes yes {i}", "rejected": f"no {i}"} for i in range(3)]
    data = lines(tmp_path / "pairs.jsonl", rows)
    asked = {longer.id: 1.0, shorter.id: 3.0, unasked.id: 0.0}
    path = recipe_file(serve(script).url, preference={"mode": "verdict", "principles": asked})
    code, _, err, found = audit("--data", data, "--recipe", path, "--json")
    assert code == 0, err
    assert found["accuracy"]["value"] == 0


def test_the_published_figures_of_llmbar(audit):
    path = SHARED / "llmbar" / "votes_ChatGPT_Swap.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no shared data at {SHARED}; set CHARTER_SHARED_DATA to their folder")
    _, _, _, found = audit("--votes", path, "--pass", "final", "--json")
    names = ("accuracy_ab", "accuracy_ba", "accuracy_both", "order_consistency")
    assert [round(found[name]["value"], 2) for name in names] == [0.77, 0.78, 0.72, 0.89]
    assert found["recorded"]["agreement"]["value"] == 1


def test_the_module_of_each_audit_is_named_after_it():
    for name, (module, _) in import_module("charter.cli.audit").COMMANDS.items():
        assert module == f"audit_{name}"


def test_labels_that_pairs_came_with_stand_for_peoples(
    audit, serve, replies, recipe_file, tmp_path
):
    def script(body):
        return replies.say("A")

    rows = [
        {"id": f"p{i}", "prompt": f"Q{i} about {i * 37}?", "chosen": f"yes {i}", "rejected": "no"}
        for i in range(8)
    ]
    given = lines(tmp_path / "given.jsonl", rows)
    path = recipe_file(
        serve(script).url,
        prompts=1,
        sft=False,
        preference={"candidates": "given", "keep": "margin", "min_margin": 0.0},
    )
    text = path.read_text(encoding="utf-8").replace(str(tmp_path / "prompts.jsonl"), str(given))
    path.write_text(text, encoding="utf-8")
    result = run_recipe(load_recipe(path), tmp_path / "out")
    code, _, err, found = audit(result.published.path, "--json")
    assert code == 0 and "taken for people's: 8" in err
    # Always the first one: a tie over both orders, half right.
    assert found["accuracy"]["value"] == 0.5 and found["accuracy"]["n"] == 8
