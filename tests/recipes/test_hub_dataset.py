"""Datasets of the Hub: that it is not reached is said, and is no fault of ours."""

from __future__ import annotations

import huggingface_hub
import pytest
from pointed import pointed

from charter.errors import Failure
from charter.hub.evaluation_datasets import load_dataset_set
from charter.recipes.prompts import hub_records
from charter.recipes.publish import EvaluationSource
from charter.recipes.schema import PromptsSettings


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, tmp_path):
    pointed("http://127.0.0.1:9", None, tmp_path, monkeypatch)
    yield
    huggingface_hub.close_session()


def test_prompts_of_a_hub_that_is_not_reached():
    with pytest.raises(Failure, match=r"me/mine  prompts\.dataset: the Hub is not reached"):
        list(hub_records(PromptsSettings(dataset="me/mine")))


def test_an_evaluation_set_of_a_hub_that_is_not_reached():
    with pytest.raises(Failure, match=r"publish\.decontaminate: the Hub is not reached"):
        load_dataset_set(EvaluationSource(dataset="me/mine"))
