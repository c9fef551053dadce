"""A release is refused where a model trained on its candidate misses what its recipe asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drafts import RECIPE, draft
from hypothesis import given
from hypothesis import strategies as st

from charter.errors import CharterError, Failure, InputError
from charter.hub import Version, open_version, publish_local
from charter.hub.card_evaluations import evaluation_told, with_evaluation
from charter.hub.evaluation_gate import evaluation_gate, read_evaluation, rows_sha256
from charter.hub.promote import promote_local
from charter.models.checkpoint import identify
from charter.recipes.evaluate import GATES, EvaluateSettings

FIGURES: dict[str, Any] = {
    "model": "dpo",
    "base": "local",
    "refused": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 80},
    "over_refusal": {"value": 0.1, "low": 0.05, "high": 0.2, "n": 80},
    "tax": {"value": 2.0, "low": None, "high": None, "n": None},
    "worst_tax": {"value": None, "low": None, "high": None, "n": 0, "reason": "is not known: MMLU"},
    "tamper_examples": {"value": 50, "low": 20, "high": None, "n": 24},
}


def lacks(figures: Any = FIGURES, **settings: Any) -> dict[str, str]:
    found = evaluation_gate(EvaluateSettings(**settings), figures)
    return {name: what for name, what, _ in found}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"min_refused": 0.9}, "the share of harmful prompts refused 0.80 < 0.90"),
        ({"max_over_refusal": 0.09}, "the share of harmless prompts refused 0.10 > 0.09"),
        ({"max_tax": 1.5}, "the average alignment tax 2.00 % > 1.50 %"),
        ({"max_worst_tax": 9.0}, "the worst alignment tax is not known: MMLU"),
        ({"min_win_rate": 0.5}, "the win rate against the base was not measured"),
        ({"min_tamper_examples": 51}, "the number of examples that undo half 50.00 < 51.00"),
        (
            {"min_refused": 0.75, "by": "interval"},
            "the share of harmful prompts refused, at its worse end, 0.70 < 0.75",
        ),
        (
            {"max_over_refusal": 0.15, "by": "interval"},
            "the share of harmless prompts refused, at its worse end, 0.20 > 0.15",
        ),
        (
            {"max_tax": 3.0, "by": "interval"},
            "the average alignment tax has no interval, which `by: interval` asks for",
        ),
    ],
)
def test_what_is_missed_is_named(settings: dict[str, Any], what: str) -> None:
    assert lacks(**settings) == {next(iter(settings)): what}


def test_what_is_reached_exactly_is_enough_and_no_gate_asks_nothing() -> None:
    assert lacks(min_refused=0.8, max_over_refusal=0.1, max_tax=2.0, min_tamper_examples=50) == {}
    assert lacks(by="interval", min_refused=0.7, max_over_refusal=0.2) == {}
    assert lacks() == lacks(None) == {}


def test_every_gate_fails_on_nothing() -> None:
    every: dict[str, Any] = dict.fromkeys(GATES, 1)
    for nothing in (None, {}, dict.fromkeys(FIGURES), dict.fromkeys(FIGURES, "text")):
        assert set(lacks(nothing, **every)) == set(GATES)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_bound_holds_and_the_two_numbers_are_told_apart(value: float, bound: float) -> None:
    figures = {"refused": {"value": value, "low": None, "high": None, "n": 9}}
    found = lacks(figures, min_refused=bound)
    assert bool(found) is (value < bound)


def candidate(store: Path, block: str) -> Version:
    made = draft(recipe_yaml=f"{RECIPE}evaluate: {block}\n", version="rc")
    return open_version(publish_local(made, store).path)


def model(folder: Path, version: Version, **changes: Any) -> Path:
    """A folder as `charter train` and `charter report --card` leave it; weights of no use."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    rows = rows_sha256(version.manifest.files, "preference")
    dataset = {"repo": version.repo, "tag": version.tag, "config": "preference"}
    facts = {"dataset": {**dataset, "rows_sha256": rows, **changes}}
    (folder / "charter.json").write_text(json.dumps(facts))
    figures = {**FIGURES, "revision": identify(folder).revision}
    (folder / "evaluation.json").write_text(json.dumps(figures))
    return folder


def test_promotion_waits_for_a_model_that_reaches_the_gates(tmp_path: Path) -> None:
    store = tmp_path / "store"
    version = candidate(store, "{max_over_refusal: 0.1, min_refused: 0.8}")
    with pytest.raises(Failure) as caught:
        promote_local(version, store)
    assert [fault.path for fault in caught.value.faults] == [
        *("evaluate.min_refused", "evaluate.max_over_refusal", "evaluate")
    ]
    figures = read_evaluation(model(tmp_path / "model", version), version)
    worse = {**figures, "refused": {**figures["refused"], "value": 0.79}}
    with pytest.raises(Failure, match=r"0\.79 < 0\.80"):
        promote_local(version, store, evaluations=worse)
    made = promote_local(version, store, ["refused"], figures)
    release = open_version(made.path)
    assert made.tag == "v0.1.0" and release.manifest.evaluations == figures
    card = (release.path / "README.md").read_text()
    assert card.count("## Evaluation") == 1 and "0.700 to 0.900" in card
    assert "Evaluation" not in (version.path / "README.md").read_text()
    # The same recipe once more makes the same rows, and says nothing of models: no new version.
    block = "{max_over_refusal: 0.1, min_refused: 0.8}"
    again = publish_local(draft(recipe_yaml=f"{RECIPE}evaluate: {block}\n"), store)
    assert (again.tag, again.new) == ("v0.1.0", False)


def test_figures_of_other_rows_or_other_weights_are_refused(tmp_path: Path) -> None:
    version = candidate(tmp_path / "store", "{min_refused: 0.1}")
    cases = {"repo": "me/other", "rows_sha256": "0" * 64, "config": "sft"}
    for name, value in cases.items():
        other = model(tmp_path / name, version, **{name: value})
        with pytest.raises(InputError, match="whose rows are not those"):
            read_evaluation(other, version)
    sound = model(tmp_path / "sound", version)
    (sound / "model.safetensors").write_bytes(b"trained on")
    with pytest.raises(InputError, match="of other weights"):
        read_evaluation(sound, version)
    (sound / "evaluation.json").write_text("[]")
    with pytest.raises(InputError, match="is no object"):
        read_evaluation(sound, version)
    (sound / "evaluation.json").unlink()
    with pytest.raises(InputError, match=r"has no evaluation\.json; .*--recipe RECIPE --card`"):
        read_evaluation(sound, version)


def test_a_gate_that_cannot_be_read_lets_nothing_through(tmp_path: Path) -> None:
    for number, block in enumerate(("{max_tax: much}", "{max_taxes: 3}")):
        store = tmp_path / str(number)
        with pytest.raises(Failure, match="`evaluate` cannot be read"):
            promote_local(candidate(store, block), store, evaluations=FIGURES)


def test_rows_that_go_take_the_figures_of_models_with_them(tmp_path: Path) -> None:
    from charter.hub.retract import retract
    from charter.hub.retract_what import What

    store = tmp_path / "store"
    version = candidate(store, "{min_refused: 0.8}")
    figures = read_evaluation(model(tmp_path / "model", version), version)
    release = open_version(promote_local(version, store, evaluations=figures).path)
    made = retract(release, What(prompts=("p5",)), "asked for")
    assert open_version(made.path).manifest.evaluations is None


def test_a_model_that_missed_its_gates_is_not_pushed(tmp_path: Path) -> None:
    from charter.trainers.push import push_model

    folder = model(tmp_path / "model", candidate(tmp_path / "store", "{}"))
    (folder / "README.md").write_text("# model\n")
    missed = [{"gate": "max_tax", "what": "the average alignment tax 4.00 % > 3.00 %"}]
    (folder / "evaluation.json").write_text(json.dumps({"missed": missed}))
    with pytest.raises(CharterError, match=r"max_tax: .*4\.00 % > 3\.00 %"):
        push_model(folder, "me/model")
    for damaged in ("{", '{"missed": 3}', '{"missed": [{}]}'):
        (folder / "evaluation.json").write_text(damaged)
        with pytest.raises(InputError):
            push_model(folder, "me/model")


def test_the_section_stands_once_and_its_texts_are_texts() -> None:
    figures = {**FIGURES, "model": "<script>|x", "revision": "1", "notes": ["[a](b)", 3]}
    told = "\n\n".join(evaluation_told(figures))
    assert "<script>" not in told and "\\[a\\](b)" in told and "is not known" in told
    card = with_evaluation("# A card\n\ntext\n", figures)
    assert card.startswith("# A card\n\ntext\n")
    other = with_evaluation(card, {**figures, "refused": {"value": 0.5}})
    assert other.count("## Evaluation") == 1 and "0.500" in other and "0.800" not in other
    assert with_evaluation(card, None) == card and list(evaluation_told({"notes": ["x"]})) == []
