"""Which principle is drawn where: a hash of (seed, prompt id, what), never a global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from charter.constitutions import Constitution, Principle
from charter.rows import draw_int, draw_unit

__all__ = [
    "Choice",
    "Compared",
    "comparison_principles",
    "principle_weights",
    "round_principle",
    "rounds_of",
]

Choice = Literal["random", "round-robin", "all"] | Mapping[str, float]
# The principles of a comparison: so many drawn, all, or those named, each with its weight.
Compared = int | Literal["all"] | Mapping[str, float]


def rounds_of(constitution: Constitution, rounds: int, choice: Choice) -> int:
    """Critique-revision rounds a prompt; with `all`, each round walks every principle."""
    return rounds * len(constitution.principles) if choice == "all" else rounds


def round_principle(
    constitution: Constitution, choice: Choice, seed: int, prompt_id: str, round_index: int
) -> Principle:
    """The principle of a round (from 0) of a prompt.

    `random` draws one uniformly in each round (Bai et al. 2022, section 3.1); `round-robin`
    starts at a drawn principle and goes on in order; `all` walks them in order; weights draw in
    proportion.
    """
    principles = constitution.principles
    count = len(principles)
    if choice == "all":
        return principles[round_index % count]
    if choice == "round-robin":
        start = draw_int(seed, prompt_id, "principle-start") % count
        return principles[(start + round_index) % count]
    if isinstance(choice, str):
        return principles[draw_int(seed, prompt_id, "principle", round_index) % count]
    weights = [choice.get(p.id, 0.0) for p in principles]
    return _weighted(principles, weights, draw_unit(seed, prompt_id, "principle", round_index))


def _weighted(principles: Sequence[Principle], weights: Sequence[float], unit: float) -> Principle:
    mark = unit * sum(weights)
    for principle, weight in zip(principles, weights, strict=True):
        if weight > 0 and mark < weight:
            return principle
        mark -= weight
    return next(p for p, w in reversed(list(zip(principles, weights, strict=True))) if w > 0)


def comparison_principles(
    constitution: Constitution, wanted: Compared, seed: int, pair_key: str
) -> list[Principle]:
    """The principles a pair is judged under: all, those named, or so many drawn.

    Drawing is uniform and without replacement. They come in the constitution's order, so that a
    draw of all is the same as `all`.
    """
    if wanted == "all":
        return list(constitution.principles)
    if isinstance(wanted, Mapping):
        return [p for p in constitution.principles if wanted.get(p.id, 0.0) > 0]
    keyed = sorted(
        constitution.principles, key=lambda p: draw_int(seed, pair_key, "comparison", p.id)
    )
    drawn = {p.id for p in keyed[:wanted]}
    return [p for p in constitution.principles if p.id in drawn]


def principle_weights(constitution: Constitution, wanted: Compared) -> dict[str, float]:
    """How much each principle counts in a label: as the recipe weighs it, else the constitution."""
    if isinstance(wanted, Mapping):
        return {name: weight for name, weight in wanted.items() if weight > 0}
    return {p.id: p.weight for p in constitution.principles}
