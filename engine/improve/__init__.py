"""The rounds: generate, train, judge, train, evaluate, again and again, while it helps."""

from charter.improve.figures import RoundFigures, quality_of
from charter.improve.loop import Outcome, run_rounds
from charter.improve.rules import End, best_round, signals

__all__ = [
    "End",
    "Outcome",
    "RoundFigures",
    "best_round",
    "quality_of",
    "run_rounds",
    "signals",
]
