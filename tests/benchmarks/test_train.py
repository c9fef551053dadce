"""The trainers' benchmark: its figures, its formula, its data, and its smallest size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charter.hub import open_version

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import train

    return train


def rounds_of(bench: Any, *ratios: float) -> Any:
    """A round a ratio: bare TRL takes 100 s for 5,000 tokens, and 20 s around them."""
    return bench.Rounds(
        bare=[bench.Timed(100.0, 120.0, 200.0, 5000) for _ in ratios],
        ours=[bench.Timed(100.0 * ratio, 123.0, 210.0, 0) for ratio in ratios],
    )


def plan(bench: Any, model: Path = Path("m"), **settings: Any) -> Any:
    return bench.Plan("sft", "sft, tiny", model, Path("v"), settings)


def test_ratios_are_of_the_two_of_a_round_and_the_goal_is_the_issues(bench: Any) -> None:
    cases = {
        case.figure: case for case in bench.cases_of(plan(bench), rounds_of(bench, 1, 1.25, 2))
    }
    assert cases["bare TRL, throughput"].value == 50.0
    mine = cases["charter, throughput"]
    assert (mine.value, mine.low, mine.high, mine.n) == (40.0, 25.0, 50.0, 3)
    ratio = cases["seconds of the steps over bare TRL"]
    assert (ratio.value, ratio.low, ratio.high, ratio.goal) == (1.25, 1.0, 2.0, 1.03)
    assert ratio.missed
    assert cases["whole command, more than bare TRL"].value == 3.0
    assert cases["CPU of the whole command over bare TRL"].value == 1.05
    small = bench.cases_of(plan(bench), rounds_of(bench, 1.02))
    assert not any(case.missed for case in small)


def test_flops_are_those_of_the_weights_that_a_token_meets(bench: Any) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    # Tied: the head is the embedding, counted once; norms are no products of matrices.
    weights = sum(p.numel() for name, p in model.named_parameters() if "norm" not in name)
    assert bench.flops_a_token(config.to_dict(), 0) == 6 * weights
    more = bench.flops_a_token(config.to_dict(), 10) - 6 * weights
    assert more == 6 * 3 * 32 * 10


def test_a_slower_card_of_a_name_has_a_peak_of_its_own(bench: Any) -> None:
    def peak(device: str) -> float | None:
        return bench.peak_of(f"NVIDIA {device}")

    assert peak("H100 80GB HBM3") == peak("H200") == 989.4e12
    assert (peak("H100 PCIe"), peak("H100 NVL"), peak("H200 NVL")) == (756e12, 835e12, 835e12)
    assert peak("A100-SXM4-80GB") == 312e12
    assert peak("T4") is None


def test_on_a_gpu_windows_are_cut_unless_an_attention_is_named(bench: Any) -> None:
    plain, documents = bench.on_gpu(None), bench.on_gpu("flex_attention")
    assert plain["packing_strategy"] == "wrapped" and "model_init_kwargs" not in plain
    assert documents["packing_strategy"] == "bfd"
    assert documents["model_init_kwargs"] == {"attn_implementation": "flex_attention"}


def test_weights_that_differ_in_a_bit_are_not_the_same(bench: Any, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    for name, value in (("a", 1.0), ("b", 1.0), ("c", 1.0 + 2**-20)):
        (tmp_path / name).mkdir()
        save_file({"w": torch.tensor([value, 2.0])}, tmp_path / name / "model.safetensors")
    assert bench.same_weights(tmp_path / "a", tmp_path / "b")
    assert not bench.same_weights(tmp_path / "a", tmp_path / "c")


def test_the_version_is_a_sound_one_without_test_rows(bench: Any, tmp_path: Path) -> None:
    version = open_version(bench.version_of(tmp_path, rows=5, words=7))
    assert version.splits("sft") == version.splits("preference") == ("train",)
    rows = version.rows("preference", "train")
    assert rows.height == 5 and rows["p_chosen"].to_list() == [1.0] * 5
    assert rows["chosen"].to_list() != rows["rejected"].to_list()


@pytest.mark.slow
@pytest.mark.model
def test_the_smallest_size_runs_to_its_end(tmp_path: Path) -> None:
    out = tmp_path / "train.json"
    command = [sys.executable, FOLDER / "train.py", "--short", "--only", "sft", "--out", out]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert ran.returncode == 0, ran.stderr
    cases = json.loads(out.read_text(encoding="utf-8"))["cases"]
    fields = {"case", "figure", "value", "low", "high", "n", "unit", "better", "goal"}
    assert all(set(case) == fields for case in cases)
    assert [case["goal"] for case in cases if "steps" in case["figure"]] == [1.03]
    assert all(case["value"] > 0 for case in cases if "throughput" in case["figure"])
