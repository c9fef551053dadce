"""What is made of lm-eval's results, and what of them is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from charter.errors import InputError
from charter.evals.tax_figures import Leaf, Score
from charter.evals.tax_harness import score_of
from charter.evals.tax_names import SHIPPED
from charter.evals.tax_plan import ModelPlan, TaxPlan, model_plan, server_plan
from charter.evals.tax_store import load_score, result_key, save_score
from charter.evals.tax_tasks import needs_no_network


def _results(values: dict[str, list[float]], headline: float, **figures: Any) -> dict[str, Any]:
    samples = {
        leaf: [
            {"doc_hash": f"{leaf}-{i // 2:015d}", "filter": filtered, "acc": value, "f1": (1, 2)}
            for filtered in ("none", "other")
            for i, value in enumerate(values[leaf])
        ]
        for leaf in values
    }
    return {
        "results": {"g": {"alias": "g", "acc,none": headline, "acc_stderr,none": 0.1, **figures}},
        "n-samples": {leaf: {"effective": len(each)} for leaf, each in values.items()},
        "higher_is_better": {leaf: {"acc": True} for leaf in values},
        "samples": samples,
    }


TWO = {"a": [1.0, 0.0, 1.0, 1.0], "b": [0.0, 0.0]}


@pytest.mark.parametrize(
    ("headline", "weights"),
    [(3 / 6, {"a": 4 / 6, "b": 2 / 6}), (0.375, {"a": 0.5, "b": 0.5}), (0.6, None)],
)
def test_weights_of_tasks_are_those_that_make_the_score(headline, weights):
    found = score_of(_results(TWO, headline), "g", ["a", "b"], "acc,none")
    assert (found.value, found.standard_error, found.n) == (headline, 0.1, 6)
    if weights is None:
        assert found.leaves is None and "no mean of numbers by item" in found.reason
        return
    assert {leaf: each.weight for leaf, each in found.leaves.items()} == pytest.approx(weights)
    # Two items in each task share a hash: both are kept, and only once a filter.
    assert [len(each.values) for each in found.leaves.values()] == [4, 2]


def test_metrics_are_found_by_name_or_are_told():
    results = _results(TWO, 0.5, **{"f1,none": 0.4, "f1_stderr,none": "N/A"})
    first = score_of(results, "g", ["a", "b"], None)
    assert first.value == 0.5
    f1 = score_of(results, "g", ["a", "b"], "f1")
    assert (f1.value, f1.standard_error, f1.leaves) == (0.4, None, None)
    missing = score_of(results, "g", ["a", "b"], "bleu")
    assert missing.value is None and "acc,none, f1,none" in missing.reason
    nan = score_of(_results(TWO, float("nan")), "g", ["a", "b"], None)
    assert nan.value is None and nan.reason == "acc,none is nan"
    assert score_of({"results": {}}, "g", [], None).value is None


def test_a_result_is_read_as_it_was_kept(tmp_path: Path):
    score = Score(0.5, 0.1, 2, {"t": Leaf({"x": 1.0, "y": 0.0}, 1.0)}, "", higher_is_better=False)
    save_score(tmp_path / "new", "k", score, {"model": "m"})
    assert load_score(tmp_path / "new", "k") == score
    path = tmp_path / "new" / "k.json"
    whole = path.read_text()
    for damaged in (
        whole[:-9],
        "[]",
        "{}",
        whole.replace('"schema_version": 1', '"schema_version": 2'),
    ):
        path.write_text(damaged)
        assert load_score(tmp_path / "new", "k") is None
    assert load_score(tmp_path, "k") is None


def test_a_key_changes_with_all_that_decides_a_score():
    given: dict[str, Any] = {
        "model": "m",
        "task": {"t": {"items": "x", "config": {"num_fewshot": 0}}},
        "limit": None,
        "chat_template": False,
        "versions": {"lm_eval": "0.4.13"},
    }
    others = [
        {"model": "n"},
        {"task": {"t": {"items": "y", "config": {"num_fewshot": 0}}}},
        {"task": {"t": {"items": "x", "config": {"num_fewshot": 5}}}},
        {"limit": 5},
        {"chat_template": True},
        {"versions": {"lm_eval": "0.4.14"}},
    ]
    keys = {result_key(**given), *(result_key(**{**given, **other}) for other in others)}
    assert len(keys) == 1 + len(others)
    assert result_key(**given) == result_key(**json.loads(json.dumps(given)))


def _checkpoint(folder: Path, **files: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)
    return folder


def test_a_checkpoint_is_known_by_its_bytes(tmp_path: Path):
    one = model_plan("m", str(_checkpoint(tmp_path / "one")))
    assert model_plan("x", str(_checkpoint(tmp_path / "two"))).identity == one.identity
    for name in ("tokenizer", "generation_config", "config"):
        other = model_plan("m", str(_checkpoint(tmp_path / name, **{name: '{"a": 1}'})))
        assert other.identity != one.identity
    (tmp_path / "two" / "model.safetensors").write_bytes(b"other!!")
    assert model_plan("m", str(tmp_path / "two")).identity != one.identity
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError):
            model_plan("m", str(wrong))
    assert model_plan("m", "owner/name").identity == ""


@pytest.mark.parametrize(
    "url",
    ["host:8000", "ftp://h/v1", "http://", "http://me:key@h/v1", "http://[x", "http://h/v1?k=key"],
)
def test_an_address_is_one_and_holds_no_key(url: str):
    with pytest.raises(InputError, match="is no address") as told:
        server_plan("m", "m", url)
    assert "me:key" not in str(told.value) and "k=key" not in str(told.value)


def test_the_network_is_shut_off_where_nothing_needs_it(tmp_path: Path):
    def plan(*tasks: str, model: str = str(tmp_path)) -> TaxPlan:
        models = (ModelPlan(name="m", kind="transformers", source=model),)
        return TaxPlan(models=models, tasks=tasks, folders=(str(tmp_path),), results="r")

    (tmp_path / "own.yaml").write_text("task: own\ndataset_path: json\n")
    assert needs_no_network(plan(*SHIPPED, "own"))
    assert not needs_no_network(plan("own", "mmlu"))
    assert not needs_no_network(plan("own", model="owner/name"))
    (tmp_path / "hub.yaml").write_text("task: hub\ndataset_path: owner/data\n")
    assert not needs_no_network(plan("own"))
