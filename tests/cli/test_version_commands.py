"""`charter versions`, `diff`, `verify` and `retract` as a user meets them."""

from __future__ import annotations

import copy
import json
import math
import shutil
from html.parser import HTMLParser

import pytest
from drafts import draft

from charter.cli import main
from charter.constitutions import load_constitution
from charter.hub import Draft, publish_local

CONSTITUTION = """\
name: tiny
version: 1.0.0
licence: CC-BY-4.0
principles:
  - {id: kind, name: Kind, critique: Unkind., revision: Mend it., comparison: Choose the kind one.}
"""
EVIL = "<script>alert(1)</script> \x1b[31mred\x1b[0m [bold]text[/bold]"


def said(role, text):
    return [{"role": role, "content": text}]


def pair(i):
    p = 0.6 + i / 100
    return {
        "id": f"p{i}#a~b",
        "prompt": said("user", f"Question number {i} of {'abcdefgh'[i] * 30}?"),
        "chosen": said("assistant", f"good {i}"),
        "rejected": said("assistant", f"bad {i}"),
        "p_chosen": p,
        "log_odds": math.log(p / (1 - p)),
        "principle_ids": ["kind"],
        "n_votes": 2,
        "order_consistent": True,
        "label_source": "ai",
        "source_label": None,
        "chosen_model": "m",
        "rejected_model": "m",
        "judge_model": "j",
        "prompt_id": f"p{i}",
        "source": "made up",
    }


def vote(i, order):
    return {
        "comparison_id": f"p{i}#a~b",
        "prompt_id": f"p{i}",
        "candidate_a": f"p{i}#a",
        "candidate_b": f"p{i}#b",
        "principle_id": "kind",
        "order": order,
        "sample": 0,
        "verdict": "A",
        "p_a": 0.6,
        "rationale": None,
        "raw": "A",
        "judge_model": "j",
        "score_a": None,
        "score_b": None,
        "source_label": None,
        "prompt_tokens": 10,
        "completion_tokens": 1,
    }


@pytest.fixture
def store(tmp_path):
    """A store with me/small: v0.1.0, and v0.1.1 in which some of it changed."""
    file = tmp_path / "c.yaml"
    file.write_text(CONSTITUTION)
    rows = {
        "preference": [pair(i) for i in range(6)],
        "judgments": [vote(i, order) for i in range(6) for order in ("AB", "BA")],
        "rejects": [],
    }
    draft = {
        "repo": "me/small",
        "rows": rows,
        "splits": {f"p{i}": "test" if i == 5 else "train" for i in range(6)},
        "ledgers": {"records": 6, "prompts": 6, "pairs_formed": 6},
        "lineage": {
            "constitution": {
                "name": "tiny",
                "version": "1.0.0",
                "licence": "CC-BY-4.0",
                "fingerprint": load_constitution(file).fingerprint(),
            },
            "recipe": {"name": "small", "fingerprint": "0" * 64},
            "prompt_set": {"path": "p.jsonl", "fingerprint": "0" * 64, "records": 6},
            "models": {"generator": {"model": "m"}, "judge": {"model": "j"}},
            "seeds": {"recipe": 1},
            "packages": {},
        },
        "constitution_yaml": CONSTITUTION,
        "recipe_yaml": "name: small\npreference: {min_margin: 0.02}\n",
    }
    store = tmp_path / "store"
    publish_local(Draft(**draft), store)
    rows = copy.deepcopy(rows)
    first, second = rows["preference"][1:3]
    first["chosen"], first["rejected"] = first["rejected"], first["chosen"]
    second["chosen"] = said("assistant", EVIL)
    recipe = "name: small\npreference: {min_margin: 0.1}\n"
    publish_local(Draft(**{**draft, "rows": rows, "recipe_yaml": recipe}), store)
    return store


def charter(*arguments):
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    return end.value.code


def last(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_row_a_prompt_and_a_candidate_are_shown_by_their_ids(store, capsys):
    for wanted in ("p1#a~b", "p1", "p1#a"):
        assert charter("show", "me/small@v0.1.0", wanted, "--store", store) == 0
        assert "-- p1#a~b: p(chosen) 0.6100" in capsys.readouterr().out
    assert charter("show", "me/small@v0.1.0", "p1#c", "--store", store) == 2


def test_a_diff_is_told_as_a_table_with_both_sides_of_a_sample(store, capsys):
    assert charter("diff", "me/small", "v0.1.0", "v0.1.1", "--store", store) == 0
    out = capsys.readouterr().out
    assert out.startswith("me/small: v0.1.0 to v0.1.1\n")
    assert "-- preference flipped: p1#a~b" in out
    assert "chosen before\n    good 1\nchosen after\n    bad 1" in out
    assert "recipe.preference.min_margin" in out
    # Text of a model is shown, and neither obeyed by the terminal nor taken for markup.
    assert "\x1b" not in out and "[bold]text[/bold]" in out


def test_a_diff_is_one_object_by_kind_and_config(store, capsys):
    one, other = (store / "me/small" / tag for tag in ("v0.1.0", "v0.1.1"))
    assert charter("diff", one, other, "--json", "--sample", 1) == 0
    found = last(capsys)
    assert (found["from"], found["to"]) == ("me/small@v0.1.0", "me/small@v0.1.1")
    assert found["preference"] == {
        "added": 0,
        "removed": 0,
        "relabelled": 1,
        "flipped": 1,
        "p_moved": 0,
        "text_changed": 1,
        "split_moved": 0,
        "other_changed": 0,
        "same": 4,
    }
    assert found["sft"]["same"] == 0
    assert found["counts"]["judgments"] == [12, 12]
    assert [each["kind"] for each in found["samples"]] == ["flipped", "text_changed"]


class Page(HTMLParser):
    """Notes every tag, and the text that a reader sees."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_a_diff_is_a_page_in_which_no_text_can_run(store, tmp_path, capsys):
    file = tmp_path / "diff.html"
    versions = ("me/small@v0.1.0", "me/small@>=0.1", "--store", store)
    assert charter("diff", *versions, "--html", file, "--json") == 0
    assert last(capsys)["html"] == str(file)
    text = file.read_text()
    page = Page()
    page.feed(text)
    assert "script" not in page.tags and {"del", "ins", "details"} <= set(page.tags)
    shown = "".join(page.text)
    assert "<script>alert(1)</script>" in shown and "\x1b" not in text
    assert "preference by principle" in shown and "recipe.preference.min_margin" in shown


def test_a_page_that_cannot_be_written_is_told(store, tmp_path, capsys):
    versions = ("me/small@v0.1.0", "me/small@v0.1.1", "--store", store)
    assert charter("diff", *versions, "--html", tmp_path / "no" / "d.html") == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["diff", "me/small@v0.1.0"], "1 names were given"),
        (["diff", "me/small@v0.1.0", "v0.1.0", "v0.1.1"], "3 names were given"),
        (["diff", "me/small", "v0.1.0", "v9.0.0"], "no such version"),
        (["diff", "me/small", "v0.1.0", "v0.1.1", "--moved", "2"], "--moved"),
        (["verify", "me/small@v9.0.0"], "no such version"),
        (["verify", "nowhere"], "neither a folder nor a version"),
        (["retract", "me/small@v0.1.1", "--prompt", "p1"], "--reason"),
        (["retract", "me/small@v0.1.1", "--reason", "x"], "nothing to retract is named"),
        (["retract", "me/small@v0.1.1", "--reason", "x", "--ids", "no.txt"], "no such file"),
        (["retract", "me/small@v0.1.1", "--reason", "x", "--id", "p1"], "use --prompt p1"),
        (["retract", "me/small@v0.1.0", "--reason", "x", "--prompt", "p1"], "latest release"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_told_in_one_line_with_exit_2(store, arguments, said, capsys):
    assert charter(*arguments, "--store", store) == 2
    out, err = capsys.readouterr()
    assert said in err and "Traceback" not in err and out == ""
    assert len(err.splitlines()) == 1


def test_verify_passes_a_sound_version_and_exits_with_1_for_a_damaged_one(store, capsys):
    assert charter("verify", "me/small@v0.1.1", "--store", store) == 0
    assert "all checks passed" in capsys.readouterr().out
    card = store / "me/small/v0.1.1/README.md"
    card.chmod(0o644)
    card.write_text(card.read_text() + "\nBetter than it is.\n")
    assert charter("verify", "me/small@v0.1.1", "--store", store, "--json") == 1
    found = last(capsys)
    assert found["version"] == "me/small@v0.1.1" and found["passed"] is False
    wrong = [each["check"] for each in found["checks"] if not each["passed"]]
    assert wrong == ["files", "gate"]


def test_verify_says_what_it_could_not_check(store, tmp_path, capsys):
    copied = shutil.copytree(store / "me/small/v0.1.1", tmp_path / "elsewhere")
    assert charter("verify", copied) == 0
    out = capsys.readouterr().out
    assert "all checks passed, 1 not made" in out
    assert next(line for line in out.splitlines() if "gate.kept" in line).count("not made") == 1


def test_retract_shows_publishes_and_then_has_nothing_left_to_do(store, tmp_path, capsys):
    ids = tmp_path / "ids.txt"
    ids.write_text("p1#a~b\n\n  p2#a~b\n")
    given = ("retract", "me/small@>=0.1", "--ids", ids, "--reason", "wrong", "--store", store)
    assert charter(*given, "--dry-run", "--json") == 0
    dry = last(capsys)
    assert dry["dry_run"] and dry["version"] is None
    assert dry["rows"] == {"sft": 0, "preference": 2, "judgments": 4}
    assert charter(*given, "--json") == 0
    done = last(capsys)
    assert (done["from"], done["version"], done["new"]) == ("v0.1.1", "v0.1.2", True)
    assert charter("verify", done["path"]) == 0
    capsys.readouterr()
    assert charter(*given) == 0
    assert "nothing is left to retract; me/small@v0.1.2 stands" in capsys.readouterr().out
    assert charter("diff", "me/small", "v0.1.1", "v0.1.2", "--store", store, "--json") == 0
    found = last(capsys)
    assert found["preference"]["removed"] == 2 and found["preference"]["same"] == 4
    assert found["rejects"] == {"RETRACTED": [0, 2]}
    assert found["retracted"]["reason"] == "wrong"
    assert charter("diff", "me/small", "v0.1.2", "v0.1.2", "--store", store, "--json") == 0
    assert last(capsys)["retracted"] is None


def test_an_id_of_a_file_is_told_at_its_line_and_others_as_the_option(store, tmp_path, capsys):
    ids = tmp_path / "ids.txt"
    ids.write_text("p1#a~b\n\nnone\nboth\n")
    given = ("--ids", ids, "--id", "both", "--id", "p2#a~b", "--reason", "wrong", "--store", store)
    assert charter("retract", "me/small@v0.1.1", *given) == 2
    told = capsys.readouterr().err.splitlines()
    for name, place in (("none", f"{ids}:3: "), ("both", "me/small@v0.1.1  --id: ")):
        assert {line.startswith(place) for line in told if f'"{name}"' in line} == {True}
    ids.write_text("p1#a~b\n")
    assert charter("retract", "me/small@v0.1.1", *given[:2], *given[4:], "--json") == 0
    assert last(capsys)["rows"]["preference"] == 2


def test_versions_say_what_changed_and_what_was_retracted(store, capsys):
    command = ("--prompt", "p1", "--reason", "asked for", "--store", store)
    assert charter("retract", "me/small@v0.1.1", *command) == 0
    capsys.readouterr()
    assert charter("versions", "me/small", "--store", store, "--json") == 0
    found = last(capsys)
    assert found["versions"] == ["v0.1.0", "v0.1.1", "v0.1.2"]
    assert [each["changed"] for each in found["details"]] == [
        ["first version"],
        ["preference rows changed", "recipe"],
        ["-1 preference", "-2 judgments", "+1 rejects", "retracted: asked for"],
    ]
    assert [each["retracted"] and each["retracted"]["reason"] for each in found["details"]] == [
        None,
        None,
        "asked for",
    ]
    assert charter("versions", "me/small", "--store", store) == 0
    assert "retracted: asked for" in " ".join(capsys.readouterr().out.split())


def test_each_candidate_is_held_against_the_release_before_them(tmp_path, capsys):
    for n, version in ((8, "auto"), (9, "v0.2.0-rc"), (10, "v0.2.0-rc")):
        publish_local(draft(n, version=version), tmp_path)
    assert charter("versions", "me/small", "--store", tmp_path, "--json") == 0
    found = last(capsys)
    assert found["versions"] == ["v0.1.0", "v0.2.0-rc.1", "v0.2.0-rc.2"]
    rows = ["+1 preference" in each["changed"] for each in found["details"]]
    more = ["+2 preference" in each["changed"] for each in found["details"]]
    assert (rows, more) == ([False, True, False], [False, False, True])
