"""`charter show`: one row, pair or prompt, with what is behind it and nothing of another."""

from __future__ import annotations

import json

import pytest
from drafts import draft

from charter.cli import main
from charter.hub import publish_local


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """p0 has no sft row, p1 has no row at all, and a judged pair of p2 was not to become one.

    Of p3 are two pairs, of which the second was judged with reasons. All rows are in `train`.
    """
    sound = draft(test=())
    rows = {config: list(each) for config, each in sound.rows.items()}
    rows["sft"] = [row for row in rows["sft"] if row["prompt_id"] != "p0"]
    reject = next(row for row in rows["rejects"] if row["ledger"] == "sft")
    rows["rejects"].append({**reject, "prompt_id": "p0"})
    ids = {"prompt_id": "p2", "comparison_id": "p2#a~b"}
    names = {"candidate_a": "p2#a", "candidate_b": "p2#b"}
    rows["judgments"] += [
        {**vote, **ids, **names} for vote in rows["judgments"] if vote["prompt_id"] == "p1"
    ]
    other = next(row for row in rows["preference"] if row["prompt_id"] == "p3")
    rows["preference"].append({**other, "id": "p3#a~c"})
    rows["judgments"] += [
        {**vote, "comparison_id": "p3#a~c", "candidate_b": "p3#c", "rationale": "It is kinder."}
        for vote in rows["judgments"]
        if vote["prompt_id"] == "p3"
    ]
    ledgers = {**sound.ledgers, "pairs_formed": sound.ledgers["pairs_formed"] + 1}
    store = tmp_path_factory.mktemp("store")
    return publish_local(draft(test=(), rows=rows, ledgers=ledgers), store).path


@pytest.fixture
def show(version, capsys):
    """What is said of a row; its heads alone."""

    def run(wanted, *options, code=0):
        with pytest.raises(SystemExit) as end:
            main(["show", str(version), wanted, *options])
        assert (end.value.code or 0) == code
        return capsys.readouterr()

    return run


def heads(said):
    return [line.split(":")[0] for line in said.splitlines() if line.startswith("-- ")]


def test_of_a_prompt_all_is_shown_and_nothing_of_another(show):
    said = show("p1").out
    assert heads(said) == ["-- reject sft at some", "-- reject p1#a~b at some"]
    assert "A is p1#a, B is p1#b" in said and said.count("kind       ") == 2
    said = show("p3").out
    assert heads(said) == ["-- p3#sft", "-- p3#a~b", "-- p3#a~c"]
    assert said.count("Question 3") == said.count("Question") == 1
    assert "critique 1 (kind)\n    critique 3\n" in said
    assert said.count("chosen\n    revised 3\nrejected\n    a longer initial 3\n") == 2
    assert said.count("kind       ") == 4
    assert said.count("reasons (kind, BA)\n    It is kinder.\n") == 1
    # Without an sft row the pair has the conversation.
    said = show("p0").out
    assert heads(said) == ["-- p0#a~b", "-- reject sft at some"] and "Question 0" in said


@pytest.mark.parametrize(
    ("wanted", "head"),
    [
        ("p3#sft", "-- p3#sft"),
        ("p3#a~b", "-- p3#a~b"),
        ("p1#a~b", "-- reject p1#a~b at some"),
        ("p2#a~b", "-- p2#a~b"),
    ],
)
def test_of_a_row_or_pair_no_other_is_shown(show, wanted, head):
    said = show(wanted).out
    assert heads(said) == [head]
    assert said.count("kind       ") == (0 if wanted.endswith("sft") else 2)


def test_the_object_for_machines_is_of_the_whole_prompt(show):
    found = json.loads(show("p3#a~b", "--json").out)
    rows = {name: len(each) for name, each in found.items() if name != "prompt_id"}
    assert found["prompt_id"] == "p3"
    assert rows == {"sft": 1, "preference": 2, "judgments": 4, "rejects": 0, "reviews": 0}
    assert {row["prompt_id"] for each in (found["sft"], found["judgments"]) for row in each} == {
        "p3"
    }


def test_a_version_at_a_glance(version, capsys):
    with pytest.raises(SystemExit) as end:
        main(["show", str(version)])
    said = capsys.readouterr().out.splitlines()
    assert not end.value.code and said[0] == f"me/small@v0.1.0 in {version}"
    assert {"preference      7     0", "some         TIE                1"} <= set(said)
    assert said[-1].startswith(f"  charter show {version} ")


def test_what_is_not_there_is_told_with_what_is_like_it(show, version):
    assert 'no row or prompt "p5#a~x"; did you mean "p5#a~b"?' in show("p5#a~x", code=2).err
    assert f"see `charter show {version}`" in show("another", code=2).err


def test_a_prompt_that_has_an_sft_row_alone_is_found(tmp_path, capsys):
    rows = draft().rows
    rows = {"sft": rows["sft"], "rejects": [r for r in rows["rejects"] if not r["pair_id"]]}
    rows["rejects"] = [row for row in rows["rejects"] if row["ledger"] != "preference"]
    ledgers = {"records": 9, "prompts": 8, "pairs_formed": 0}
    path = publish_local(draft(rows=rows, ledgers=ledgers), tmp_path / "store").path
    with pytest.raises(SystemExit) as end:
        main(["show", str(path), "p3"])
    assert not end.value.code and heads(capsys.readouterr().out) == ["-- p3#sft"]
