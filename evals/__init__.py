"""Evaluations: what alignment cost and whether it overdid it."""

from charter.evals.measure import (
    CategoryRefusals,
    JudgedAnswer,
    Model,
    RefusalReport,
    measure_refusals,
)
from charter.evals.refusal import Reading, Refusal, classify, read

__all__ = [
    "CategoryRefusals",
    "JudgedAnswer",
    "Model",
    "Reading",
    "Refusal",
    "RefusalReport",
    "classify",
    "measure_refusals",
    "read",
]
