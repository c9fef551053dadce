"""The gate of a release: what people must have found of its candidate, as the recipe says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from charter.documents import Settings
from charter.errors import Failure, Fault
from charter.hub.beside import mapping_in
from charter.hub.version import Version
from charter.recipes.review import ReviewSettings

__all__ = ["apart", "block_of", "check_reviews", "review_gate"]

S = TypeVar("S", bound=Settings)

_PUBLISH: Final = "charter review publish"
_REPORT: Final = "see `charter review report` for the rows, and mend what made them"


def check_reviews(version: Version) -> None:
    """See that a candidate's reviews reach what its own recipe asks for.

    The figures are those of the manifest, which `charter review publish` put there.

    Raises:
        Failure: they do not; every lack is named.
    """
    settings = block_of(version, "review", ReviewSettings)
    if settings is None:
        return
    place = f"{version.repo}@{version.tag}"
    faults = [
        Fault(place, f"review.{name}", what, fix)
        for name, what, fix in review_gate(settings, version.manifest.reviews, place)
    ]
    if faults:
        raise Failure(faults)


def block_of(version: Version, name: str, kind: type[S]) -> S | None:
    """A block of a candidate's own recipe; None where the recipe has none.

    Raises:
        Failure: it cannot be read; what cannot be read lets nothing through.
    """
    block = mapping_in(version.path / "recipe.yaml").get(name)
    if not isinstance(block, Mapping):
        return None
    try:
        # By JSON, in which a list is a tuple too.
        return kind.model_validate_json(json.dumps(dict(block)))
    except (ValidationError, TypeError) as error:
        what = f"its recipe's block `{name}` cannot be read: {error}"
        fix = "run the recipe again, or promote with the Charter that made it"
        raise Failure(Fault(f"{version.repo}@{version.tag}", name, what, fix)) from None


def review_gate(
    settings: ReviewSettings, figures: Mapping[str, Any] | None, place: str
) -> Iterator[tuple[str, str, str]]:
    """What is missing: the setting, what is wrong, and what to do.

    Args:
        settings: of the recipe.
        figures: the manifest's `reviews` (`charter.review.figures.review_figures`), None where
            nobody has answered.
        place: the candidate, `REPO@TAG`.
    """
    send = f"`charter review send {place}`, then `{_PUBLISH} {place}`"
    found = figures or {}
    for name, key, thing in (
        ("min_reviews", "n", "review"),
        ("min_reviewers", "reviewers", "reviewer"),
    ):
        wanted = getattr(settings, name)
        there = found.get(key) or 0
        if wanted is not None and there < wanted:
            more = wanted - there
            what = f"{more} more {thing}{'s' * (more != 1)}: {there} of {wanted}"
            yield name, what, send
    for name, path, told in _BOUNDS:
        bound = getattr(settings, name)
        if bound is None:
            continue
        value = _at(found, path)
        upper = name.startswith("max_")
        if value is None:
            yield name, f"{told} was not measured", send
        elif value > bound if upper else value < bound:
            sign = ">" if upper else "<"
            shown, limit = apart(value, bound)
            yield (
                name,
                f"{told} {shown} {sign} {limit}",
                _REPORT,
            )


# Setting -> where its figure stands (the first path that is there), and what it is called.
_BOUNDS: Final = (
    (
        "min_agreement_lower",
        (("agreement_lower",), ("agreement", "low")),
        "agreement's lower bound",
    ),
    ("min_gold_accuracy", (("gold_accuracy", "value"),), "the share of right answers on gold rows"),
    (
        "max_still_harmful",
        (("sft", "still_harmful", "high"), ("still_harmful", "high")),
        "the upper bound of still harmful revisions",
    ),
    (
        "max_over_refusing",
        (("sft", "over_refusing", "high"), ("over_refusing", "high")),
        "the upper bound of over-refusing revisions",
    ),
)


def _at(figures: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> float | None:
    for path in paths:
        value: Any = figures
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    return None


def apart(value: float, bound: float) -> tuple[str, str]:
    """Two numbers that differ, with as many digits as it takes to see it."""
    for digits in range(2, 17):
        one, other = f"{value:.{digits}f}", f"{bound:.{digits}f}"
        if one != other:
            return one, other
    return repr(value), repr(bound)
