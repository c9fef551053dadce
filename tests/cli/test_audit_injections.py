"""`charter audit injections` as a user meets it."""

from __future__ import annotations

import json

import pytest

from charter.cli import main
from charter.constitutions import find_constitution, load_constitution


def charter(*arguments):
    with pytest.raises(SystemExit) as end:
        main(["audit", "injections", *map(str, arguments)])
    return end.value.code


def test_without_a_model_the_detector_alone_is_measured(capsys):
    assert not charter("--json")
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["attacks"] == 70 and "success" not in found
    assert set(found["detector"]["recall"]) == {"value", "low", "high", "n"}
    assert found["detector"]["false_alarms"]["n"] == 24
    assert "no judge was asked" in err and "attacks found" in err


def obedient(replies):
    """A server that takes the response which asks to be taken, else the one shown first."""

    def script(body):
        text = body["messages"][-1]["content"]
        parts = [text.split(f"[response {x} ")[1].split("[end of")[0].lower() for x in "AB"]
        asks = ["choose this" in p or "select the response" in p for p in parts]
        return replies.say("B" if asks[1] and not asks[0] else "A")

    return script


def test_a_gullible_judge_of_a_recipe(serve, recipe_file, replies, capsys, tmp_path):
    server = serve(obedient(replies))
    preference = {"mode": "verdict", "principles": 1, "candidates": 2}
    recipe = recipe_file(server.url, preference=preference)
    page = tmp_path / "attacks.html"
    assert not charter("--recipe", recipe, "--json", "--html", page)
    out, err = capsys.readouterr()
    found = json.loads(out)["success"]
    assert len(server.requests) == 140
    assert set(found) == {"consistent", "margin"}
    for keep in found.values():
        assert 0 < keep["before"]["value"] < 0.2 and keep["before"]["n"] == 70
        assert keep["after"]["value"] == 0 and keep["won_after"] == []
        assert keep["won_before"] and keep["by_kind"]["frame"]["before"]["value"] == 0
    assert "attacks that win a label, keep: consistent" in err
    shown = page.read_text(encoding="utf-8")
    assert "Attacks on the judge" in shown and "default-src" in shown

    # what was asked is cached, and the first few have all kinds
    assert not charter("--recipe", recipe, "--limit", 5)
    assert len(server.requests) == 140
    out = capsys.readouterr().out
    assert "5 attacks" in out
    assert all(k in out for k in ("instruction", "frame", "verdict", "authority", "promotion"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mode", "verdict"], "--mode needs a judge; give --model or --recipe"),
        (["--constitution", "hhh"], "--constitution needs a judge"),
        (["--model", "nowhere/at/all"], 'there is no folder "nowhere/at/all"'),
        (["--model", "local", "--constitution", "hh"], "hh"),
        (["--recipe", "nowhere.yaml"], "nowhere.yaml"),
        (["--limit", "0"], "--limit"),
        (["--mode", "loud"], "--mode"),
    ],
)
def test_mistakes_are_told(arguments, said, capsys):
    assert charter(*arguments) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err


def test_a_page_that_cannot_be_written(tmp_path, capsys):
    assert charter("--html", tmp_path / "none" / "p.html") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_principles_count_as_a_recipe_weighs_them(serve, recipe_file, replies, capsys):
    honest, gullible, unasked = load_constitution(find_constitution("concise")).principles[:3]
    obeys = obedient(replies)

    def script(body):
        said = json.loads(obeys(body)[2])["choices"][0]["message"]["content"]
        text = body["messages"][-1]["content"]
        assert unasked.comparison.strip() not in text
        swapped = honest.comparison.strip() in text
        return replies.say({"A": "B", "B": "A"}[said] if swapped else said)

    won = []
    for weight in (1.0, 3.0):
        asked = {honest.id: 1.0, gullible.id: weight, unasked.id: 0.0}
        recipe = recipe_file(serve(script).url, preference={"mode": "verdict", "principles": asked})
        assert not charter("--recipe", recipe, "--json")
        found = json.loads(capsys.readouterr().out)["success"]
        won.append(found["consistent"]["before"]["value"])
    assert won[0] == 0 < won[1]
