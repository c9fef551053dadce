"""`charter audit constitution`: wording alone, faults, and figures of a scripted judge."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from charter.cli import judging
from charter.cli.audit_constitution import constitution
from charter.errors import InputError
from charter.models.call import Answer

ROOT = Path(__file__).parents[2]
PAIRS = [
    {"id": f"p{i}", "prompt": f"Question {i}?", "chosen": f"Yes, {i}.", "rejected": f"No, {i}!"}
    for i in range(40)
]


@pytest.fixture
def audit(capsys):
    """Run the command; what it printed for machines, and for people."""

    def run(*arguments):
        constitution.main([*map(str, arguments), "--json"], standalone_mode=False)
        printed = capsys.readouterr()
        return json.loads(printed.out.splitlines()[-1]), printed.err

    return run


@pytest.fixture
def file(tmp_path):
    """A constitution in which two principles say opposite things, and one is vague."""
    texts = {
        "short": "Choose the response that is shorter.",
        "long": "Choose the response that is longer.",
        "vague": "Choose the response that is more appropriate.",
    }
    principles = [
        {
            "id": i,
            "name": i,
            "critique": f"Is it {i}?",
            "revision": f"Make it {i}.",
            "comparison": c,
        }
        for i, c in texts.items()
    ]
    written = {"name": "odd", "version": "1.0.0", "licence": "CC0-1.0", "principles": principles}
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, PAIRS)).encode()))
    return path


@pytest.fixture
def judge(monkeypatch):
    """A judge that likes short under `short`, long under `long`, and A under `vague`."""
    setups = []

    def judge_pairs(pairs, setup, progress):
        setups.append(setup)
        found = []
        for pair in pairs:
            short = "A" if len(pair.a) < len(pair.b) else "B"
            said = {"short": short, "long": "AB".replace(short, ""), "vague": "A"}
            found.append(
                [
                    {
                        "comparison_id": f"{pair.id}#a~b",
                        "principle_id": p.id,
                        "order": order,
                        "sample": 0,
                        "verdict": said[p.id],
                        "p_a": 1.0 if said[p.id] == "A" else 0.0,
                    }
                    for p in setup.constitution.principles
                    for order in ("AB", "BA")
                ]
            )
        return found

    def ask_calls(calls, model, progress, run=None):
        return [Answer(text="No" if "appropriate" in str(c.messages) else "Yes") for c in calls]

    monkeypatch.setattr(judging, "judge_pairs", judge_pairs)
    monkeypatch.setattr(judging, "ask_calls", ask_calls)
    return setups


def test_wording_alone(audit, file):
    found, said = audit(file, "--lint")
    assert [(w["principle_id"], w["rule"], w["other"]) for w in found["warnings"]] == [
        ("vague", "vague", ""),
        ("long", "opposite", "short"),
    ]
    assert found["constitution"] == "odd" and found["principles"] == {} and found["pairs"] == 0
    assert "odd 1.0.0: 3 principles, 2 warnings about their wording" in said
    assert "No model was asked" not in said


def test_without_pairs_it_says_that_nobody_was_asked(audit, file):
    _, said = audit(file)
    assert "No model was asked: give --data FILE" in said


def test_a_shipped_constitution_by_name(audit):
    found, _ = audit("concise", "--lint")
    assert found["constitution"] == "concise" and len(found["warnings"]) == 1


def test_lint_imports_nothing_heavy():
    code = (
        "import sys\nfrom charter.cli.audit_constitution import constitution\n"
        "constitution.main(['hhh', '--lint', '--json'], standalone_mode=False)\n"
        "heavy = {'torch', 'distilabel', 'transformers', 'datasets', 'numpy', 'scipy', 'polars'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_scripted_judge(audit, file, data, judge, tmp_path):
    page = tmp_path / "audit.html"
    found, said = audit(file, "--data", data, "--limit", 30, "--html", page, "--ask-applies")
    assert "3 principles x 30 pairs x 2 orders x 2 times: at most 450 calls of local" in said
    assert [s.seed for s in judge] == [0, 1] and judge[0].model.llm == "local"
    assert found["pairs"] == 30
    (first, *_) = found["contradictions"]
    assert first["principles"] == ["short", "long"] and first["value"] == 0.0
    assert found["principles"]["short"]["order_consistency"]["value"] == 1.0
    assert found["principles"]["short"]["bears"]["value"] == 1.0
    assert found["principles"]["vague"]["bears"]["value"] == 0.0
    assert found["agreement"]["short"]["long"]["n"] == 30
    assert set(found["flips"]) == {"short", "long", "vague"}
    assert "short and long contradict" in said
    assert "<svg" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("mode", "calls"), [("verdict", 240), ("vote", 1200), ("cot", 480)])
def test_the_most_calls_are_said_before_they_are_made(mode, calls, audit, file, data, judge):
    _, said = audit(file, "--data", data, "--mode", mode)
    assert f"at most {calls:,} calls of local" in said


def test_people_get_the_table_on_stdout(capsys, file, data, judge):
    constitution.main([str(file), "--data", str(data)], standalone_mode=False)
    printed = capsys.readouterr()
    assert "both orders" in printed.out and "contradict" in printed.out
    assert "bears" not in printed.out


def test_equal_responses_are_said_to_be_left_out(audit, file, tmp_path, judge):
    same = {"prompt": "Hello?", "chosen": "Hi.", "rejected": "hi. "}
    path = tmp_path / "same.jsonl"
    path.write_text("\n".join(map(json.dumps, [same, *PAIRS])), encoding="utf-8")
    found, said = audit(file, "--data", path)
    assert "1 pairs of equal responses" in said and found["pairs"] == 19


def test_the_recipe_says_who_judges_and_what_makes_a_label(audit, file, data, judge):
    audit(file, "--data", data, "--recipe", ROOT / "recipes/quickstart.yaml")
    assert judge[0].mode == "logprob" and judge[0].seed == 7


@pytest.mark.parametrize(
    ("arguments", "place", "what"),
    [
        (["nowhere.yaml", "--lint"], "", 'no constitution "nowhere.yaml"'),
        (["hhhh", "--lint"], "", 'no constitution "hhhh"'),
        (["concise", "--data", "nowhere.jsonl"], "nowhere.jsonl", "no such file"),
        (["concise", "--model", "local"], "--model", "no pairs to judge"),
        (["concise", "--mode", "logprob"], "--mode", "no pairs to judge"),
        (["concise", "--ask-applies"], "--ask-applies", "no pairs to judge"),
        (["concise", "--lint", "--data", "x"], "--data", "asks no model"),
        (["concise", "--lint", "--recipe", "x"], "--recipe", "asks no model"),
        (
            ["concise", "--lint", "--html", "no/such/page.html"],
            "no/such/page.html",
            "no folder no/such",
        ),
        (["concise", "--lint", "--html", "."], ".", "is a folder"),
        (["concise", "--data", "x", "--model", "no/model"], "--model", "no folder"),
        (["concise", "--data", "x", "--recipe", "nowhere.yaml"], "nowhere.yaml", "no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_the_user_got_wrong_is_one_fault(arguments, place, what):
    with pytest.raises(InputError) as caught:
        constitution.main(arguments, standalone_mode=False)
    (fault,) = caught.value.faults
    assert fault.place == place and what in fault.what and fault.fix


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "pairs"),
        ("{", "JSON"),
        ('{"prompt": "a", "chosen": "b"}', "rejected"),
        ('{"prompt": "a", "chosen": "b", "rejected": "B"}', "pairs"),
    ],
    ids=["empty", "no-json", "a-key-missing", "equal"],
)
def test_a_file_without_pairs_is_refused_before_a_model_is_loaded(tmp_path, text, what, judge):
    path = tmp_path / "pairs.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        constitution.main(["concise", "--data", str(path)], standalone_mode=False)
    assert what in str(caught.value) and judge == []


def test_a_recipe_that_judges_nothing_is_refused(tmp_path, data, judge):
    recipe = yaml.safe_load((ROOT / "recipes/quickstart.yaml").read_text(encoding="utf-8"))
    recipe["preference"] = False
    recipe.pop("train", None)
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    arguments = ["concise", "--data", str(data), "--recipe", str(path)]
    with pytest.raises(InputError, match="the recipe has no judge"):
        constitution.main(arguments, standalone_mode=False)
