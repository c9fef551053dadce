"""Rounds that a failure ends, that begin from what is damaged, or whose models are gone."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest
from tiny_llama import tiny_llama

from charter.errors import Failure, InputError
from charter.improve import halves
from charter.improve.evaluate import Evaluation, asked_prompts
from charter.improve.run import improve, keep, open_loop
from charter.improve.state import LoopFolder
from charter.models.checkpoint import identify
from charter.recipes import load_recipe, read_prompts
from charter.run.progress import Silent

WORDS = "how do i mend a bike with tape you can not help me please say yes no kind rude"


@contextlib.contextmanager
def silent():
    yield Silent()


def go(path, out, *overrides):
    said = []
    return improve(load_recipe(path, overrides), out, said.append, silent), said


@pytest.fixture
def failing(serve, good_script, replies):
    """A server that refuses critiques while it is told to; those of round 1 never."""
    state = {"critiques": 0, "refuses": True}

    def script(body):
        if replies.role_of(body) == "critique":
            state["critiques"] += 1
            if state["critiques"] > 6 and state["refuses"]:
                return 400, {}, b'{"error": {"message": "content filter"}}'
        return good_script(body)

    return serve(script), state


def test_a_failure_leaves_a_report_and_advice_that_works(failing, rounds_file, tmp_path):
    server, state = failing
    path, out = rounds_file(server.url), tmp_path / "out"
    with pytest.raises(Failure) as caught:
        go(path, out)
    (fault,) = caught.value.faults
    assert "rows failed" in fault.what and fault.path == "run.max_reject_rate"
    assert "--set run.max_reject_rate=N" in fault.fix and "--retry" not in fault.fix
    loop = next((out / "improve").glob("small-*"))
    found = json.loads((loop / "report.json").read_text())
    assert found["end"] == "CUT_OFF"
    assert found["said"][0].startswith("round 2 was cut off in `generate` (")
    assert [each["round"] for each in found["rounds"]] == [0, 1]
    best = json.loads((loop / "best.json").read_text())
    assert best == found["best"]
    assert (loop / "best").is_symlink() == (best["round"] == 1)
    assert "CUT_OFF" in (loop / "report.html").read_text()
    # Its cause is mended: what failed is asked anew, in the same loop.
    state["refuses"] = False
    result, _ = go(path, out)
    assert (result.folder, result.outcome.ends) == (loop, ("ROUNDS_DONE",))
    assert not (loop / "retry-rejects").exists()


def test_more_rows_may_fail_by_that_advice(failing, rounds_file, tmp_path):
    server, _ = failing
    path, out = rounds_file(server.url), tmp_path / "out"
    with pytest.raises(Failure):
        go(path, out)
    result, _ = go(path, out, "run.max_reject_rate=1.0")
    assert result.outcome.ends == ("NO_ROWS",)  # no critique, so no row of round 2
    (left,) = result.found["unmeasured"]
    assert left["round"] == 2 and left["cost"]["calls"] > 0


@pytest.fixture
def loaded(rounds_file):
    return load_recipe(rounds_file("http://127.0.0.1:1/v1"))


@pytest.mark.parametrize(
    "text", ["", '{"id": "x"}\n', "[1]\n", "3\n", '{"id": [], "completion": "", "outcome": "x"}\n']
)
def test_answers_that_are_damaged_are_a_fault(loaded, tmp_path, text):
    prompts = asked_prompts(loaded)
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        (folder.path / "answers-0.jsonl").write_text(text)
        with pytest.raises(InputError, match=r"answers-0.jsonl: .* are gone or damaged; move"):
            Evaluation(loaded, folder, prompts)._kept(0)


def test_answers_of_some_of_the_prompts_are_damaged_too(loaded, tmp_path):
    prompts = asked_prompts(loaded)
    lines = [json.dumps({"id": p.id, "completion": "yes", "outcome": "x"}) for p in prompts]
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        path, evaluation = folder.path / "answers-0.jsonl", Evaluation(loaded, folder, prompts)
        path.write_text("\n".join(lines) + "\n")
        assert evaluation._kept(0) == {p.id: "yes" for p in prompts}
        path.write_text("\n".join(lines[:-1]) + "\n")
        with pytest.raises(InputError, match="gone or damaged"):
            evaluation._kept(0)


def test_prompts_too_long_for_the_base_end_the_loop_before_any_training(rounds_file, tmp_path):
    path = rounds_file("http://127.0.0.1:1/v1")
    lines = (tmp_path / "asked.jsonl").read_text().replace("please", "help me please " * 120)
    (tmp_path / "asked.jsonl").write_text(lines)
    with pytest.raises(InputError, match="could answer none of these prompts") as caught:
        go(path, tmp_path / "out")
    assert caught.value.faults[0].path == "improve.evaluate.path"


def test_a_model_that_is_gone_is_named(serve, good_script, rounds_file, tmp_path):
    path, out = rounds_file(serve(good_script).url), tmp_path / "out"
    first, _ = go(path, out, "improve.rounds=1")
    shutil.rmtree(first.folder / "models")
    with pytest.raises(
        InputError, match=r"small-round-1-dpo: the model .* is gone or damaged; put"
    ):
        go(path, out)
    state = json.loads((first.folder / "state.json").read_text())
    assert len(state["steps"]) == 6, "nothing was done over"


def test_no_link_points_nowhere(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "charter.json").write_text("{}")
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        keep(folder, 1, model)
        assert (folder.path / "best").resolve() == model
        shutil.rmtree(model)
        with pytest.raises(InputError, match=r"model: the model .* is gone"):
            keep(folder, 1, model)
        assert not (folder.path / "best").is_symlink()


def test_a_local_judge_that_was_trained_again_is_another_loop(rounds_file, tiny_model, tmp_path):
    path, judge = rounds_file("http://127.0.0.1:1/v1"), tmp_path / "judge"
    override = f"models.judge={{llm: local, model: {judge}}}"
    found = []
    for seed in (5, 9):
        shutil.rmtree(judge, ignore_errors=True)
        tiny_llama(judge, WORDS.split(), seed=seed)
        found.append(open_loop(load_recipe(path, [override]), tmp_path / "out").id)
    assert found[0] != found[1]


@pytest.mark.parametrize("judge", [None, "{llm: local, model: MODEL}", "{llm: local}"])
def test_without_another_local_model_a_loop_keeps_its_identity(rounds_file, tiny_model, judge):
    path = rounds_file("http://127.0.0.1:1/v1")
    more = [f"models.judge={judge}".replace("MODEL", str(tiny_model))] if judge else []
    loaded = load_recipe(path, more)
    asked = [[each.id, list(each.messages), each.category] for each in asked_prompts(loaded)]
    made_of = (read_prompts(loaded).fingerprint(), asked, "", list(identify(tiny_model)))
    assert open_loop(loaded, path.parent).identity == halves.identity(loaded, *made_of)
