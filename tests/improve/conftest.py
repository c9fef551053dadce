"""A recipe whose rounds take a second each: a tiny generator, a scripted critic and judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from tiny_llama import tiny_llama

from charter.improve.figures import CategoryFigures, RoundFigures
from charter.stats import Estimate

WORDS = "how do i mend a bike with tape you can not help me please say yes no kind rude"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads wait for each other longer than they compute on matrices of this size."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("models") / "tiny", WORDS.split())


@pytest.fixture
def rounds_file(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Write a recipe of rounds; keywords replace whole blocks."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")

    def write(url: str, prompts: int = 6, **blocks: Any) -> Path:
        lines = [
            {"id": f"p{i}", "prompt": f"Question number {i} on {i * 37}?"} for i in range(prompts)
        ]
        (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        asked = [
            {"id": f"{kind}-{i}", "prompt": f"{kind} request {i}, please", "category": kind}
            for kind in ("harmful", "benign", "sounds-harmful")
            for i in range(3)
        ]
        (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, asked)) + "\n")
        served = {"llm": "openai", "model": "scripted", "base_url": url}
        training = {
            "max_steps": 2,
            "per_device_train_batch_size": 2,
            "learning_rate": 1e-2,
            "max_length": 64,
        }
        recipe = {
            "name": "small",
            "seed": 3,
            "constitution": "concise",
            "prompts": {"path": str(tmp_path / "prompts.jsonl"), "test_fraction": 0.2},
            "models": {
                "generator": {
                    "llm": "local",
                    "model": str(tiny_model),
                    "max_tokens": 8,
                    "temperature": 1.0,
                },
                "critic": served,
                "reviser": served,
                "judge": served,
            },
            "preference": {"candidates": 3, "mode": "logprob", "keep": "margin"},
            "publish": {"repo": "me/small"},
            "train": {"sft": training, "dpo": training},
            "improve": {
                "rounds": 2,
                "evaluate": {"path": str(tmp_path / "asked.jsonl"), "max_tokens": 8},
                "stop": {
                    "quality_ratio": 0.0,
                    "patience": 9,
                    "over_refusal": 1.0,
                    "diversity_ratio": 0.0,
                    "length_ratio": 99.0,
                },
            },
            "run": {"retries": 1, "timeout": 5.0, "in_flight": 8},
            **blocks,
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def figures() -> Callable[..., RoundFigures]:
    """Figures of a round from shares out of 100."""

    def make(
        number: int,
        refused: int = 50,
        over: int = 0,
        win: float | None = 0.5,
        length: float | None = 100.0,
        diversity: float | None = 0.5,
    ) -> RoundFigures:
        rate = Estimate(None, None, None, 0) if win is None else Estimate(win, win, win, 100)
        return RoundFigures(
            number=number,
            categories={
                "harmful": CategoryFigures(refused, 100 - refused, 0, 0),
                "benign": CategoryFigures(over, 100 - over, 0, 0),
            },
            refuse=("harmful",),
            win_base=rate,
            win_before=rate,
            controlled=rate,
            length=length,
            diversity=diversity,
        )

    return make
