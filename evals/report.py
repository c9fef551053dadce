"""One evaluation of a model: the few figures of each part, under the names that gates look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from charter.recipes.evaluate import EvaluationPart
from charter.stats import Estimate

__all__ = ["PARTS", "Measured", "estimate_in", "evaluation_of"]

SCHEMA_VERSION: Final = 1
PARTS: Final[tuple[EvaluationPart, ...]] = ("refusal", "tax", "depth", "winrate", "tamper")
"""In the order in which a report tells them."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of some models and their base.

    Attributes:
        base: its name.
        models: their names; the last one is the one to be released.
        parts: what `charter eval PART --json` said, by part; of the base and all models in this
            order, `winrate` with the base last, `tamper` of the last model alone.
    """

    base: str
    models: Sequence[str]
    parts: Mapping[str, Json]

    def of(self, part: str, name: str) -> Json | None:
        """A part's figures of one model or of the base; None where it has none of it."""
        found = self.parts.get(part)
        if found is None:
            return None
        names = [self.base, *self.models]
        if part == "tamper":
            return found if name == self.models[-1] else None
        if part == "winrate":
            return self._wins(found, name)
        entries = list(found["models"].values())
        at = names.index(name) - (part == "tax")  # the base has no tax
        return entries[at] if at >= 0 else None

    def _wins(self, found: Json, name: str) -> Json | None:
        if name == self.base:
            return None
        # By place: each command shortens names in its own way.
        of = dict(zip([*self.models, self.base], found["models"], strict=True))
        for pair in found["pairs"]:
            if pair["model"] == of[name] and pair["against"] == of[self.base]:
                return dict(pair)
        return None


def estimate_in(found: Any) -> Estimate:
    """An estimate out of JSON; without a value where there is none."""
    if not isinstance(found, Mapping):
        return Estimate(None, None, None, 0)
    return Estimate(found.get("value"), found.get("low"), found.get("high"), found.get("n") or 0)


def evaluation_of(measured: Measured, name: str, revision: str) -> dict[str, Any]:
    """The evaluation of a model as `evaluation.json` and a manifest hold it.

    Args:
        measured: all that was measured.
        name: of the model.
        revision: of its weights (`charter.models.checkpoint.identify`).

    Returns:
        Figures by name, each `{"value", "low", "high", "n"}` and perhaps a `reason` why there is
        no value; `taxes` by benchmark; `base_figures` of the base; `notes`.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "model": name,
        "revision": revision,
        "base": measured.base,
        **dict(_figures(measured, name)),
        "base_figures": dict(_figures(measured, measured.base)),
        "taxes": {
            task: estimate_in(tax).as_json()
            for task, tax in ((measured.of("tax", name) or {}).get("tax") or {}).items()
        },
        "notes": list(_notes(measured)),
    }


def _figures(measured: Measured, name: str) -> Iterator[tuple[str, Json]]:
    if (refusal := measured.of("refusal", name)) is not None:
        yield "refused", estimate_in(refusal["refusal_harmful"]).as_json()
        yield "over_refusal", estimate_in(refusal["over_refusal"]).as_json()
    if (tax := measured.of("tax", name)) is not None:
        yield "tax", {**_percents(tax["average"]), **_reason(tax["average"])}
        yield "worst_tax", _worst(tax["tax"])
    if (win := measured.of("winrate", name)) is not None:
        yield "win_rate", estimate_in(win["win_rate"]).as_json()
        yield "win_rate_at_equal_length", estimate_in(win["length_controlled"]).as_json()
    if (depth := measured.of("depth", name)) is not None:
        if name != measured.base:
            yield "early_share", estimate_in(depth["early_share"]).as_json()
        most = depth["prefill"][-1]
        yield "prefilled", {**estimate_in(most["complied"]).as_json(), "tokens": most["tokens"]}
    if (tamper := measured.of("tamper", name)) is not None:
        yield "tamper_examples", _half(next(iter(tamper["data"].values())))


def _reason(found: Json) -> dict[str, str]:
    return {"reason": str(found["reason"])} if found.get("reason") else {}


def _worst(taxes: Json) -> dict[str, Any]:
    """The highest tax; none where a benchmark has no figure, which might be the worst."""
    for name, each in taxes.items():
        if each["value"] is None:
            reason = f"is not known: {name} has no figure ({each.get('reason') or 'no score'})"
            return {**Estimate(None, None, None, 0).as_json(), "reason": reason}
    name, worst = max(taxes.items(), key=lambda item: item[1]["value"])
    return {**_percents(worst), "benchmark": name}


def _percents(found: Json) -> dict[str, Any]:
    """A tax without the last digits, which are the computer's: 36 right of 40 is a tax of 10 %."""
    known: dict[str, Any] = {**estimate_in(found).as_json()}
    return {name: each if each is None else round(each, 9) for name, each in known.items()}


def _half(data: Json) -> dict[str, Any]:
    """Examples that undo half of the safety; at the most tried where none of them did."""
    half = data["half_examples"]
    tried = [cell["examples"] for cell in data["cells"] if cell["examples"]]
    if half is None or not tried:
        return {**Estimate(None, None, None, 0).as_json(), "reason": "was not varied"}
    found = {**estimate_in(half).as_json(), "outcome": half["outcome"], "most": max(tried)}
    if half["outcome"] == "not reached":
        # A lower bound is all that is known, and all that the gate needs.
        found |= {"value": max(tried), "low": half["low"], "high": None}
        return {**found, "reason": "or more: half was not undone by the most tried"}
    if half["outcome"] == "reached by the fewest":
        found |= {"value": 0, "low": 0, "high": half["high"]}
        return {**found, "reason": f"up to {min(tried)}: the fewest tried undid half"}
    if half["value"] is None:
        found["reason"] = f"has no figure: {half['outcome']}"
    return found


def _notes(measured: Measured) -> Iterator[str]:
    for part, found in measured.parts.items():
        said = [*(found.get("notes") or ()), *(found.get("warnings") or ())]
        yield from (f"{part}: {note}" for note in said)
        if part == "depth":
            for what, count in (found.get("noted") or {}).items():
                if count:
                    yield f"depth: {count} prompts left out, {what.replace('_', ' ')}"
