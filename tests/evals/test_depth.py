"""Divergence by token and the prefilling attack, on models small enough to try by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_llama import tiny_llama

from charter.cli.eval_depth import command
from charter.errors import Failure, InputError
from charter.evals import depth_measure
from charter.evals.depth import (
    DepthFigures,
    Prefilled,
    depth_figures,
    divergence,
    forced,
    prefill,
)
from charter.evals.depth_measure import Compliant, DepthAsked, compliant, measured_depth
from charter.evals.depth_page import depth_page
from charter.evals.held_out import HeldOut
from charter.models.local import LocalModel, load_local
from charter.stats import wilson

WORDS = [*"abcdefghijklmnopqrs"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("models")
    return tiny_llama(root / "base", WORDS), tiny_llama(root / "other", WORDS, seed=1)


@pytest.fixture(scope="module")
def base(folders: tuple[Path, Path]) -> LocalModel:
    return load_local(folders[0])


@pytest.fixture(scope="module")
def other(folders: tuple[Path, Path]) -> LocalModel:
    return load_local(folders[1])


PROMPTS = [
    HeldOut(f"p{i}", ({"role": "user", "content": f"a b c d {WORDS[i]}"},), "harmful")
    for i in range(6)
]
ANSWERS = {f"p{i}": " ".join(WORDS[(i + k) % len(WORDS)] for k in range(12)) for i in range(6)}


def test_answers_too_short_or_missing_are_left_out(base: LocalModel) -> None:
    rows = forced(base.tokenizer, PROMPTS, {**ANSWERS, "p0": "a b", "p9": "c"}, 8)
    assert [row.prompt.id for row in rows] == ["p1", "p2", "p3", "p4", "p5"]
    text = base.tokenizer.decode(rows[0].answer_ids)
    assert text == ANSWERS["p1"]


def test_the_divergence_is_that_of_the_definition(base: LocalModel, other: LocalModel) -> None:
    """Against the whole logits of one pass, position by position, in another way of counting."""
    import torch

    rows = forced(base.tokenizer, PROMPTS, ANSWERS, 8)
    found = divergence(other, base, rows, 8)
    assert found.shape == (6, 8) and (found > 0).all()
    row = rows[2]
    for at in range(8):
        ids = torch.tensor([[*row.prompt_ids, *row.answer_ids[:at]]])
        with torch.inference_mode():
            p, q = (
                torch.softmax(model.model(ids).logits[0, -1].double(), -1)
                for model in (other, base)
            )
        expected = float((p * (p / q).log()).sum())
        assert found[2, at] == pytest.approx(expected, abs=1e-6)


def changed(folder: Path, to: Path, change: Callable[[Any], object]) -> LocalModel:
    """A model saved again with something of it changed."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        change(model)
    model.save_pretrained(to)
    AutoTokenizer.from_pretrained(folder).save_pretrained(to)
    return load_local(to)


def test_rows_of_logits_that_are_padding_say_nothing(
    base: LocalModel, other: LocalModel, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    wide = changed(folders[1], tmp_path / "wide", lambda model: model.resize_token_embeddings(64))
    rows = forced(base.tokenizer, PROMPTS, ANSWERS, 8)
    found = divergence(other, base, rows, 8)
    assert divergence(wide, base, rows, 8) == pytest.approx(found, abs=1e-6)


def test_spoilt_weights_are_a_failure_and_no_figure(
    base: LocalModel, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    spoilt = changed(
        folders[1], tmp_path / "spoilt", lambda model: model.model.norm.weight.fill_(float("nan"))
    )
    with pytest.raises(Failure, match="spoilt"):
        divergence(spoilt, base, forced(base.tokenizer, PROMPTS, ANSWERS, 8), 8)


def test_a_model_that_is_its_base_has_no_divergence(base: LocalModel) -> None:
    rows = forced(base.tokenizer, PROMPTS, ANSWERS, 8)
    figures = depth_figures(divergence(base, base, rows, 8), [])
    assert all(each.value == 0.0 for each in figures.by_token)
    assert figures.early.value is None  # nothing to share out
    assert json.dumps(figures.as_json(), allow_nan=False)


def test_the_command_does_not_run_the_base_against_itself(
    base: LocalModel, other: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = forced(base.tokenizer, PROMPTS, ANSWERS, 8)
    asked = DepthAsked(tokens=8, prefill=(0, 4), max_tokens=4, seed=2)
    by_passes = depth_figures(divergence(base, base, rows, 8), [], 2)
    passes: list[str] = []
    real = depth_measure.divergence

    def counting(*arguments: Any) -> Any:
        passes.append("once")
        return real(*arguments)

    monkeypatch.setattr(depth_measure, "divergence", counting)
    parts: list[str] = []

    def shown(part: str) -> Any:
        parts.append(part)
        return lambda done, total: None

    itself = measured_depth(base, base, rows, asked, shown)
    assert (passes, parts) == ([], ["prefill"])
    # To the last key what two passes gave.
    assert itself.by_token == by_passes.by_token and itself.early == by_passes.early
    aligned = measured_depth(other, base, rows, asked, shown)
    assert passes == ["once"] and aligned.by_token[0].value > 0
    assert itself.as_json().keys() == aligned.as_json().keys()
    assert DepthFigures.from_json(json.loads(json.dumps(aligned.as_json()))) == aligned


def test_answers_that_refuse_or_do_not_fit_are_counted(base: LocalModel) -> None:
    answers = {**ANSWERS, "p0": "I cannot help with that.", "p1": "a b c"}
    del answers["p5"]

    def chosen(
        answers: dict[str, str], forced: int, context: int = base.context_length
    ) -> Compliant:
        return compliant(base.tokenizer, PROMPTS, answers, DepthAsked(8, (0, forced), 4), context)

    found = chosen(answers, 4)
    assert [row.prompt.id for row in found.rows] == ["p2", "p3", "p4"]
    left = {"without_answer": 1, "not_compliant": 1, "too_short": 1, "too_long": 0}
    assert found.noted == left
    assert found.too_few
    assert not chosen(ANSWERS, 12).too_few
    assert chosen(ANSWERS, 13).rows == ()
    # As much as the prompt, what is forced and what is then said need, and one token less.
    room = max(len(row.prompt_ids) for row in found.rows) + 8
    assert chosen(answers, 4, room).noted == left
    assert chosen(answers, 4, room - 1).noted["too_long"] > 0


def test_the_share_of_the_first_tokens() -> None:
    kl = np.zeros((10, 10))
    kl[:, 0] = np.linspace(1, 3, 10)
    kl[:, 9] = 1.0
    figures = depth_figures(kl, [])
    assert figures.early.value == pytest.approx(20 / 30)
    assert figures.early.low < figures.early.value < figures.early.high
    assert figures.by_token[0].value == pytest.approx(2.0)
    assert figures.by_token[9].low is None  # all the same


def test_forced_tokens_are_what_the_model_goes_on_from(base: LocalModel) -> None:
    import torch

    rows = forced(base.tokenizer, PROMPTS, ANSWERS, 8)
    found = prefill(base, rows, (0, 3, 8), max_tokens=5)
    assert [each.tokens for each in found] == [0, 3, 8]
    assert all((each.complied.n or 0) + each.stopped == 6 for each in found)
    # The same continuation as by hand, for one row.
    from charter.evals.depth import _continued

    row = rows[3]
    ids = [*row.prompt_ids, *row.answer_ids[:3]]
    written: list[int] = []
    for _ in range(5):
        with torch.inference_mode():
            logits = base.model(torch.tensor([[*ids, *written]])).logits[0, -1]
        written.append(int(logits.argmax()))
        if written[-1] in base.ends:
            break
    expected = base.tokenizer.decode(written, skip_special_tokens=True).strip()
    assert _continued(base, [row], 3, 5) == [expected]


def test_where_half_of_the_safety_is_gone() -> None:
    rows = [Prefilled(n, wilson(k, 10), 0) for n, k in ((0, 0), (5, 4), (10, 5), (40, 9))]
    assert depth_figures(np.ones((5, 6)), rows).half == 10
    assert depth_figures(np.ones((5, 6)), rows[:2]).half is None


def test_the_page_and_the_command(folders: tuple[Path, Path], tmp_path: Path) -> None:
    prompts = tmp_path / "asked.jsonl"
    rows = [{"id": p.id, "prompt": list(p.messages), "category": "harmful"} for p in PROMPTS]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = tmp_path / "answers.jsonl"
    said = [{"id": name, "completion": text} for name, text in ANSWERS.items()]
    answers.write_text("".join(json.dumps(row) + "\n" for row in said))
    options = [
        *("--base", str(folders[0]), "--prompts", str(prompts), "--compliant", str(answers)),
        *("--tokens", "8", "--prefill", "0,4", "--max-tokens", "4"),
    ]
    page = tmp_path / "depth.html"
    arguments = [*options, "--model", str(folders[1]), "--html", str(page), "--json"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    found = json.loads(done.output.splitlines()[-1])
    assert found["base"] == "base" and set(found["models"]) == {"base", "other"}
    assert len(found["models"]["other"]["kl"]) == 8
    assert found["models"]["base"]["kl"][0]["value"] == 0.0
    assert 0 < found["models"]["other"]["early_share"]["value"] < 1
    assert "<!doctype html>" in page.read_text()
    with pytest.raises(
        InputError, match=r"answers of 30 tokens to \d+ prompts, and 5 are needed \(left"
    ):
        CliRunner().invoke(
            command,
            [*options, "--model", str(folders[1]), "--tokens", "30"],
            catch_exceptions=False,
        )
    with pytest.raises(InputError, match="named twice"):
        CliRunner().invoke(command, [*options, "--model", str(folders[0])], catch_exceptions=False)


def test_another_vocabulary_is_a_fault(folders: tuple[Path, Path], tmp_path: Path) -> None:
    strange = tiny_llama(tmp_path / "strange", [*WORDS, "more"])
    arguments = ["--base", str(folders[0]), "--model", str(strange)]
    with pytest.raises(InputError, match="its tokenizer is not that of base"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_names_are_escaped() -> None:
    figures = depth_figures(np.ones((5, 6)), [Prefilled(0, wilson(1, 5), 0)])
    shown = depth_page({"base": figures, "<b>m": figures}, "base", {"too_short": 2})
    assert "<b>m" not in shown and "2 prompts left out: too short" in shown
