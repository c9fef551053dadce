"""The benchmarks that are known by name: which task of lm-eval, and which of its metrics counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["BENCHMARKS", "SHIPPED", "SHIPPED_FOLDER", "Benchmark", "benchmark_of", "plain_name"]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One of lm-eval's tasks, as it is usually quoted.

    Attributes:
        task: name of the task or group.
        metric: the headline, as lm-eval writes it: `metric,filter`.
        shots: solved examples in the prompt; None leaves what the task says.
        folder: of lm-eval's own tasks, in which the task stands.
        runs_code: whether it executes what a model wrote.
    """

    task: str
    metric: str
    shots: int | None
    folder: str
    runs_code: bool = False


BENCHMARKS: Final = {
    "MMLU": Benchmark("mmlu", "acc,none", 5, "mmlu/default"),
    "HumanEval": Benchmark("humaneval", "pass@1,create_test", None, "humaneval", runs_code=True),
    "GSM8K": Benchmark("gsm8k", "exact_match,strict-match", 5, "gsm8k"),
    "TruthfulQA": Benchmark("truthfulqa_mc2", "acc,none", None, "truthfulqa"),
    "HellaSwag": Benchmark("hellaswag", "acc_norm,none", None, "hellaswag"),
}

SHIPPED: Final = ("charter_knowledge", "charter_arithmetic", "charter_reading", "charter_code")
"""The tasks written for this project; they need no network."""

SHIPPED_FOLDER: Final = Path(__file__).parent / "tasks"

_PLAIN: Final = {
    **{name.lower(): name for name in BENCHMARKS},
    **{each.task: name for name, each in BENCHMARKS.items()},
    "truthful_qa": "TruthfulQA",
    "human_eval": "HumanEval",
    "hella_swag": "HellaSwag",
}


def plain_name(name: str) -> str:
    """The name by which a benchmark is shown: `mmlu` is MMLU; an unknown one keeps its own."""
    return _PLAIN.get(name.strip().lower().replace("-", "_"), name.strip())


def benchmark_of(name: str) -> Benchmark | None:
    """The benchmark of that plain name, or of lm-eval's; None for all others."""
    return BENCHMARKS.get(plain_name(name))
