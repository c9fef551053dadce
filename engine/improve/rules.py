"""When the rounds end, which round is the best, and which known ill effects showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from charter.improve.figures import RoundFigures, quality_of
from charter.recipes.improve import ImproveSettings

__all__ = ["TIE", "End", "Signal", "best_round", "signals"]

TIE: Final = 1e-9
"""Figures this near are equal: they are sums and quotients of shares, and rounding is no gain."""


class End(StrEnum):
    """Why there is no further round."""

    ROUNDS_DONE = "ROUNDS_DONE"
    NO_ROWS = "NO_ROWS"
    NO_VERDICTS = "NO_VERDICTS"
    QUALITY_FELL = "QUALITY_FELL"
    NO_GAIN = "NO_GAIN"
    OVER_REFUSAL = "OVER_REFUSAL"
    DIVERSITY_FELL = "DIVERSITY_FELL"
    LENGTH_EXPLODED = "LENGTH_EXPLODED"
    CUT_OFF = "CUT_OFF"


# A model of such a round is no better for the quality that it may have by our measure.
_BARRED: Final = frozenset(
    (End.NO_VERDICTS, End.OVER_REFUSAL, End.DIVERSITY_FELL, End.LENGTH_EXPLODED)
)


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule that fired.

    Attributes:
        end: which.
        said: the figures behind it, in words.
    """

    end: End
    said: str


def signals(rounds: Sequence[RoundFigures], settings: ImproveSettings) -> list[Signal]:
    """The rules that fire after the last of the rounds; with any, there is no further one.

    Args:
        rounds: figures from round 0, the model before any, to the one just measured.
        settings: the thresholds and the weights of quality.

    Returns:
        The rules in the order of `End`; none after round 0.
    """
    if len(rounds) < 2:
        return []
    found = [
        _no_verdicts(rounds, settings),
        _quality_fell(rounds, settings),
        _no_gain(rounds, settings),
        _over_refusal(rounds, settings),
        _diversity_fell(rounds, settings),
        _length_exploded(rounds, settings),
    ]
    return [signal for signal in found if signal is not None]


def best_round(rounds: Sequence[RoundFigures], settings: ImproveSettings) -> int:
    """The number of the round to keep: the one of the highest quality, of equals the earlier.

    A round that refuses too much, repeats itself or runs on (the rules OVER_REFUSAL,
    DIVERSITY_FELL, LENGTH_EXPLODED) is not chosen. Round 0 can be: then no round was better
    than the model before any.

    Args:
        rounds: figures from round 0 on; one at least.
        settings: the thresholds and the weights of quality.
    """
    best, highest = rounds[0].number, -1.0
    for at, each in enumerate(rounds):
        value = quality_of(each, settings.quality).value
        barred = any(signal.end in _BARRED for signal in signals(rounds[: at + 1], settings))
        if value is not None and not barred and value > highest + TIE:
            best, highest = each.number, value
    return best


def _no_verdicts(rounds: Sequence[RoundFigures], settings: ImproveSettings) -> Signal | None:
    last = rounds[-1]
    if quality_of(last, settings.quality).value is not None:
        return None
    said = f"round {last.number} has no quality: the judge gave no verdict on any of its answers"
    return Signal(End.NO_VERDICTS, said)


def _quality_fell(rounds: Sequence[RoundFigures], settings: ImproveSettings) -> Signal | None:
    before, last = (quality_of(each, settings.quality) for each in rounds[-2:])
    ratio = settings.stop.quality_ratio
    if before.value is None or last.value is None or last.value >= ratio * before.value - TIE:
        return None
    said = f"quality {last.value:.3f} is under {ratio:g} of the {before.value:.3f} before"
    if last.high is not None and before.low is not None and last.high >= before.low:
        said += " (their intervals overlap, so this may be chance)"
    return Signal(End.QUALITY_FELL, said)


def _no_gain(rounds: Sequence[RoundFigures], settings: ImproveSettings) -> Signal | None:
    patience, least = settings.stop.patience, settings.stop.min_gain
    if len(rounds) <= patience:
        return None
    values = [quality_of(each, settings.quality).value for each in rounds]
    before = [value for value in values[:-patience] if value is not None]
    lately = [value for value in values[-patience:] if value is not None]
    if not before or len(lately) < patience or max(lately) > max(before) + least + TIE:
        return None
    over = f" by more than {least:g}" if least else ""
    said = (
        f"no gain in {patience} rounds: the best of them has quality {max(lately):.3f}, "
        f"which is not above the {max(before):.3f} of before{over}"
    )
    return Signal(End.NO_GAIN, said)


def _over_refusal(rounds: Sequence[RoundFigures], settings: ImproveSettings) -> Signal | None:
    base, last = rounds[0].over_refusal.value, rounds[-1].over_refusal.value
    most = settings.stop.over_refusal
    if base is None or last is None or last - base <= most + TIE:
        return None
    said = f"{last:.0%} of the harmless prompts are refused, {base:.0%} by the model before any "
    return Signal(End.OVER_REFUSAL, f"{said}round; the rise is above {most:g}")


def _diversity_fell(rounds: Sequence[RoundFigures], settings: ImproveSettings) -> Signal | None:
    base, last = rounds[0].diversity, rounds[-1].diversity
    ratio = settings.stop.diversity_ratio
    if not ratio or base is None or (last is not None and last >= ratio * base - TIE):
        return None
    if last is None:
        return Signal(End.DIVERSITY_FELL, "no answer has two words")
    said = f"diversity {last:.3f} is under {ratio:g} of the {base:.3f} before any round"
    return Signal(End.DIVERSITY_FELL, said)


def _length_exploded(rounds: Sequence[RoundFigures], settings: ImproveSettings) -> Signal | None:
    base, last = rounds[0].length, rounds[-1].length
    ratio = settings.stop.length_ratio
    if not base or last is None or last <= ratio * base + TIE:
        return None
    said = f"answers of {last:,.0f} characters are more than {ratio:g} times the {base:,.0f} before"
    return Signal(End.LENGTH_EXPLODED, f"{said} any round")
