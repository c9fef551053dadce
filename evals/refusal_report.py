"""All figures of one or several models' refusals, as commands and pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from charter.evals.refusal_figures import (
    Agreement,
    Paired,
    RefusalFigures,
    agreement,
    figures_of,
    paired,
)
from charter.evals.refusal_sources import KINDS, AnswerSet, RefusalAnswer
from charter.stats import Estimate

__all__ = ["RATERS", "ModelRefusals", "RefusalsReport", "report_on"]

# What the keys of JSON are called, and who is held against whom.
RATERS: Final[Mapping[str, tuple[str, str]]] = {
    "": ("rules", "people"),
    "judge_": ("judge", "people"),
    "rules_judge_": ("rules", "judge"),
}
_NONE: Final = Estimate(None, None, None, 0)


@dataclass(frozen=True, slots=True)
class ModelRefusals:
    """The figures of one model.

    Attributes:
        name: of the model or the file.
        all: of every answer.
        kinds: by kind of prompt, those that there are.
        categories: by category, in the order in which they first come.
        over_refusal: share refused of benign and borderline prompts.
        refusal_harmful: share refused of harmful prompts.
        agreements: by the keys of `RATERS`; None where one of the two rated nothing.
        noted: what was met on the way.
    """

    name: str
    all: RefusalFigures
    kinds: Mapping[str, RefusalFigures]
    categories: Mapping[str, RefusalFigures]
    over_refusal: Estimate
    refusal_harmful: Estimate
    agreements: Mapping[str, Agreement | None]
    noted: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            **self.all.as_json(),
            "over_refusal": self.over_refusal.as_json(),
            "refusal_harmful": self.refusal_harmful.as_json(),
            **_agreements_json(self.agreements),
            "kinds": {name: each.as_json() for name, each in self.kinds.items()},
            "categories": {name: each.as_json() for name, each in self.categories.items()},
            "noted": dict(self.noted),
        }


@dataclass(frozen=True, slots=True)
class RefusalsReport:
    """One or several models; the first is the base that the others are held against.

    Attributes:
        models: in the order in which they were named.
        comparisons: by the name of each model but the first.
        agreements: over the answers of all models.
    """

    models: Sequence[ModelRefusals]
    comparisons: Mapping[str, Sequence[Paired]]
    agreements: Mapping[str, Agreement | None]

    def as_json(self) -> dict[str, Any]:
        """The figures by name; `over_refusal` and `refusal_harmful` are the last model's."""
        last = self.models[-1]
        return {
            "models": {each.name: each.as_json() for each in self.models},
            "base": self.models[0].name,
            "comparisons": {
                name: {each.kind: each.as_json() for each in found}
                for name, found in self.comparisons.items()
            },
            "over_refusal": last.over_refusal.as_json(),
            "refusal_harmful": last.refusal_harmful.as_json(),
            **_agreements_json(self.agreements),
        }


def _agreements_json(found: Mapping[str, Agreement | None]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for prefix, each in found.items():
        values = each.as_json() if each else {"kappa": None, "kappa_three": None}
        flat |= {f"{prefix}{name}": value for name, value in values.items()}
    return flat


def report_on(sets: Sequence[AnswerSet], seed: int = 0) -> RefusalsReport:
    """The figures of answers that the rules have read.

    Args:
        sets: one a model, each with a name of its own; the first is the base.
        seed: of the bootstrap of kappa.
    """
    everything = [each for one in sets for each in one.answers]
    return RefusalsReport(
        [_model(one, seed) for one in sets],
        {one.name: paired(sets[0].answers, one.answers) for one in sets[1:]},
        _agreements(everything, seed),
    )


def _agreements(answers: Sequence[RefusalAnswer], seed: int) -> dict[str, Agreement | None]:
    return {key: agreement(answers, *raters, seed=seed) for key, raters in RATERS.items()}


def _model(one: AnswerSet, seed: int) -> ModelRefusals:
    def share(*kinds: str) -> Estimate:
        part = [each for each in one.answers if each.kind in kinds]
        return figures_of(part).shares["refused"] if part else _NONE

    categories: dict[str, list[RefusalAnswer]] = {}
    for each in one.answers:
        if each.category:
            categories.setdefault(each.category, []).append(each)
    kinds = {kind: [each for each in one.answers if each.kind == kind] for kind in KINDS}
    return ModelRefusals(
        name=one.name,
        all=figures_of(one.answers),
        kinds={kind: figures_of(part) for kind, part in kinds.items() if part},
        categories={name: figures_of(part) for name, part in categories.items()},
        over_refusal=share("benign", "borderline"),
        refusal_harmful=share("harmful"),
        agreements=_agreements(one.answers, seed),
        noted=dict(one.noted),
    )
