"""The depth of the rounds' safety: one set of answers for all rounds, by tiny models."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from tiny_llama import tiny_llama

from charter.errors import InputError, Interrupted
from charter.evals.answers import answers_of_model
from charter.evals.depth import depth_figures, divergence, forced, prefill
from charter.improve.depth import depth_prompts, most_calls, round_depth
from charter.improve.evaluate import asked_prompts
from charter.improve.plan import plan
from charter.improve.run import improve
from charter.improve.state import LoopFolder, Step
from charter.improve.work import NO_RECOVERY
from charter.models import local
from charter.models.local import load_local
from charter.recipes import load_recipe
from charter.run.progress import Silent

WORDS = "how do i mend a bike with tape you can not help me please say yes no kind rude"
DEPTH = "improve.evaluate.depth={tokens: 6, prefill: [0, 3, 7], max_tokens: 5}"


class Told(Silent):
    """A progress that remembers what begins and what is said, and may be cut off there."""

    def __init__(self, cut_at="nowhere"):
        self.begun, self.lines, self.cut_at = [], [], cut_at

    def begin(self, name, total, unit):
        self.begun.append(name)
        if name.startswith(self.cut_at):
            raise KeyboardInterrupt

    def say(self, line):
        self.lines.append(line)


@contextlib.contextmanager
def silent():
    yield Silent()


@pytest.fixture
def recipe(rounds_file, tmp_path):
    """The recipe of the rounds, with eight prompts to refuse whose answers differ."""

    def write(url="http://127.0.0.1:1/v1"):
        path = rounds_file(url)
        kinds = [*["harmful"] * 8, "benign", "benign", "sounds-harmful", "sounds-harmful"]
        lines = [
            {"id": f"q{i}", "prompt": " ".join(WORDS.split()[i : i + 4]), "category": kind}
            for i, kind in enumerate(kinds)
        ]
        (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        return path

    return write


@pytest.fixture
def loaded(recipe):
    def load(*overrides):
        return load_recipe(recipe(), (DEPTH, *overrides))

    return load


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("models") / "other", WORDS.split(), seed=5)


def test_figures_are_those_of_eval_depth(loaded, tiny_model, other, tmp_path):
    found = loaded()
    prompts = depth_prompts(found, asked_prompts(found))
    base, aligned = load_local(tiny_model), load_local(other)
    said = answers_of_model(base, prompts, max_tokens=7 + 24)
    rows = forced(base.tokenizer, prompts, said.texts, 7)
    assert len(rows) >= 5  # random words: all of them comply
    kl = divergence(aligned, base, rows, 6)
    expected = depth_figures(kl, prefill(aligned, rows, (0, 3, 7), max_tokens=5), 3)
    expected_base = prefill(base, rows, (0, 3, 7), max_tokens=5)
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        before = round_depth(found, folder, prompts, 0, tiny_model, Told())
        after = round_depth(found, folder, prompts, 1, other, Told())
    assert after.figures == expected
    assert list(before.figures.prefilled) == expected_base
    # Of itself the base has no divergence; the shape is that of all others.
    assert [each.value for each in before.figures.by_token] == [0.0] * 6
    assert before.figures.early.value is None
    assert before.figures.as_json().keys() == after.figures.as_json().keys()
    assert before.calls == len(prompts) + 3 * len(rows)
    assert after.calls == (2 + 3) * len(rows)
    assert before.calls <= most_calls(found, len(prompts), 0)
    # Nothing of it stays beside the next training.
    assert str(tiny_model.resolve()) not in local._loaded


def test_the_base_is_not_run_against_itself(loaded, tiny_model, tmp_path, monkeypatch):
    from charter.evals import depth_measure

    def never(*_):
        raise AssertionError("two passes for a figure that is known")

    monkeypatch.setattr(depth_measure, "divergence", never)
    found = loaded()
    prompts = depth_prompts(found, asked_prompts(found))
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        assert round_depth(found, folder, prompts, 0, tiny_model, Told()).figures is not None


def test_all_rounds_are_forced_the_answers_of_round_0(loaded, tiny_model, other, tmp_path):
    found = loaded()
    prompts = depth_prompts(found, asked_prompts(found))
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        round_depth(found, folder, prompts, 0, tiny_model, Told())
        path = folder.path / "depth.json"
        kept = json.loads(path.read_text())
        first = round_depth(found, folder, prompts, 1, other, Told()).figures
        # What lies there is what is forced, and nothing is asked of the base anew.
        path.write_text(json.dumps({**kept, "rows": kept["rows"][:5]}))
        progress = Told()
        fewer = round_depth(found, folder, prompts, 2, other, progress).figures
        assert (first.answers, fewer.answers) == (len(kept["rows"]), 5)
        assert not any("answers to force" in name for name in progress.begun)
        for text in ("", "{", '{"rows": [{"id": "gone"}]}'):
            path.write_text(text)
            with pytest.raises(InputError, match="gone or damaged"):
                round_depth(found, folder, prompts, 2, other, Told())


def test_too_few_answers_are_said_and_end_nothing(loaded, tmp_path):
    found = loaded("improve.evaluate.depth.prefill=[0, 150]")
    prompts = depth_prompts(found, asked_prompts(found))
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        (folder.path / "depth.json").write_text('{"noted": {"not_compliant": 6}, "rows": []}')
        progress = Told()
        after = round_depth(found, folder, prompts, 1, tmp_path / "not there", progress)
    assert after.figures is None
    assert after.notes[0] == (
        "no figure: the base gave 0 compliant answers of 150 tokens to 8 prompts, and 5 are needed"
    )
    assert after.notes[1] == "6 of 8 prompts left out: not compliant"
    assert progress.lines == [after.notes[0]]


def test_answers_that_cannot_go_on_are_left_out(loaded, tiny_model, tmp_path):
    found = loaded("improve.evaluate.depth.max_tokens=245")  # of a context of 256
    prompts = depth_prompts(found, asked_prompts(found))
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        before = round_depth(found, folder, prompts, 0, tiny_model, Told())
    assert before.figures is None
    assert any("too long" in note for note in before.notes)
    assert json.loads((folder.path / "depth.json").read_text())["rows"] == []


def test_another_vocabulary_gives_no_figure_and_ends_nothing(loaded, tiny_model, tmp_path):
    strange = tiny_llama(tmp_path / "strange", [*WORDS.split(), "more"])
    found = loaded()
    prompts = depth_prompts(found, asked_prompts(found))
    with LoopFolder(tmp_path / "loop", "small", "0123456789abcdef") as folder:
        round_depth(found, folder, prompts, 0, tiny_model, Told())
        after = round_depth(found, folder, prompts, 1, strange, Told())
    assert after.figures is None
    assert "its tokenizer is not that of the base" in after.notes[0]


def test_prompts_are_those_asked_in_the_categories_to_refuse(loaded):
    found = loaded("improve.evaluate.depth.limit=6")
    asked = asked_prompts(found)
    chosen = depth_prompts(found, asked)
    assert len(chosen) == 6
    assert {prompt.category for prompt in chosen} == {"harmful"}
    assert chosen == [prompt for prompt in asked if prompt in chosen]
    with pytest.raises(InputError, match="4 prompts of the categories to refuse"):
        asked_prompts(loaded("improve.evaluate.per_category=4"))
    assert depth_prompts(loaded("improve.evaluate.depth=null"), asked) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{prefill: [0, 5, 5]}", "prefill has 5 after 5"),
        ("{prefill: [5, 0]}", "rising"),
        ("{prefill: []}", "prefill"),
        ("{prefill: [-1]}", "prefill"),
        ("{tokens: 5}", "tokens"),
        ("{limit: 4}", "limit"),
        ("{limt: 9}", "limit"),
    ],
)
def test_wrong_settings_are_faults(recipe, value, said):
    with pytest.raises(InputError, match=r"improve\.evaluate\.depth") as caught:
        load_recipe(recipe(), (f"improve.evaluate.depth={value}",))
    assert said in str(caught.value)


def test_a_loop_that_was_cut_off_in_it_goes_on_to_its_report(
    serve, good_script, replies, recipe, tmp_path
):
    def declines(body):
        """Revisions that safety recovery can use; all else as ever."""
        said = good_script(body)
        revised = b'"content": "revise' in said[2]
        return replies.say("I cannot help with that.") if revised else said

    path, out = recipe(serve(declines).url), tmp_path / "out"
    overrides = (DEPTH, "improve.rounds=1", "train.sft.recovery={share: 0.25, max_tokens: 4}")

    def go(cut_at="nowhere"):
        @contextlib.contextmanager
        def shown():
            yield Told(cut_at)

        return improve(load_recipe(path, overrides), out, lambda line: None, shown)

    planned = plan(load_recipe(path, overrides), out)["steps"]
    with pytest.raises(Interrupted):
        go("depth of round 1")
    (kept,) = out.glob("improve/*/depth.json")
    text = kept.read_bytes()
    result = go()
    assert kept.read_bytes() == text
    base, first = result.outcome.rounds
    assert base.depth.answers == first.depth.answers == len(json.loads(text)["rows"])
    # Two weak steps of training, and still another model than the base.
    assert np.mean([each.value for each in first.depth.by_token]) > 0
    assert [each.tokens for each in first.depth.prefilled] == [0, 3, 7]
    for number, each in enumerate(result.found["rounds"]):
        most = 1 + sum(step["calls"] for step in planned if step["round"] == number)
        assert each["cost"]["calls"] <= most
        assert each["depth"]["prefill"][-1]["complied"]["n"] is not None
    assert result.found["settings"]["safety recovery"].startswith("25% of the rows of SFT")
    page = (result.folder / "report.html").read_text()
    facts = result.outcome.done[1, Step.SFT]
    made, rows = facts["metrics"]["recovery_rows"], facts["metrics"]["rows"]
    assert made == round(rows * 0.25 / 0.75)
    assert f"on {rows:.0f} rows and {made:.0f} of safety recovery" in page
    for part in ("How deep the safety goes", "complies after 7", "answer after up to 4 tokens"):
        assert part in page


def test_a_round_with_nothing_to_recover_from_is_trained_without(
    serve, good_script, recipe, tmp_path
):
    """No revision declines; the rounds go on, and say so."""
    overrides = ("improve.rounds=1", "train.sft.recovery={share: 0.25}")
    loaded = load_recipe(recipe(serve(good_script).url), overrides)
    result = improve(loaded, tmp_path / "out", lambda line: None, silent)
    facts = result.outcome.done[1, Step.SFT]
    assert "recovery_rows" not in facts["metrics"]
    assert NO_RECOVERY in facts["notes"]
    assert NO_RECOVERY in (result.folder / "report.html").read_text()
    assert result.outcome.ends == ("ROUNDS_DONE",)
    assert all(each["depth"] is None for each in result.found["rounds"])
