"""The block `preference` of a recipe: candidates, comparisons and labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from charter.constitutions.schema import Identifier
from charter.documents import Clashes, Document, Settings
from charter.errors import Fault
from charter.values import Loc

__all__ = ["PreferenceSettings", "Source", "unread_faults"]

Source = Literal["sampled", "revised", "initial"]
_SOURCES: tuple[Source, ...] = ("sampled", "revised")
# A judge without log-probabilities is asked for votes under `logprob` as well.
_READ_IN: Final = {"votes": ("vote", "logprob"), "clamp": ("cot",)}


class PreferenceSettings(Settings):
    """Candidates, comparisons and labels (Bai et al. 2022, section 4)."""

    candidates: Annotated[int, Field(ge=2, le=16)] | Literal["given"] = Field(
        default=2,
        description="Candidates a prompt; `given`: the prompts bring them, and are only judged.",
    )
    sources: Annotated[tuple[Source, ...], Field(min_length=1)] = Field(
        default=_SOURCES,
        description="`initial` and `revised` give one candidate each, `sampled` the rest.",
    )
    pairs: Literal["all", "revised-vs-initial", "best-worst", "adaptive"] = Field(
        default="all",
        description="Which pairs of candidates become rows: all; these two; the best against the "
        "worst by the judgments on all; or those that a tournament needs to find the best.",
    )
    principles: (
        Annotated[int, Field(ge=1)]
        | Literal["all"]
        | dict[Identifier, Annotated[float, Field(ge=0)]]
    ) = Field(
        default=1,
        description="Principles drawn for each pair; all of them; or those named, by weight.",
    )
    mode: Literal["verdict", "logprob", "cot", "vote"] = Field(
        default="verdict",
        description="The judge's text; the log-odds of its first token; its reasons and then the "
        "label; or the share of several answers.",
    )
    votes: int = Field(
        default=5,
        ge=1,
        le=64,
        description="`vote`: answers to each question in each order; also `logprob`, where the "
        "judge gives no log-probabilities.",
    )
    clamp: tuple[float, float] = Field(
        default=(0.4, 0.6), description="`cot`: what a vote's probability is held to."
    )
    orders: Literal["both", "single"] = Field(
        default="both",
        description="Each pair in both orders; or in one that is drawn, at half the cost and with "
        "the judge's liking for a place in every label.",
    )
    keep: Literal["consistent", "margin"] = Field(
        default="consistent",
        description="Keep pairs whose two orders agree, or whose p_chosen is far enough from 0.5.",
    )
    min_margin: float = Field(
        default=0.0, ge=0, lt=0.5, description="Smallest |p - 0.5| under `keep: margin`."
    )
    tie_band: float = Field(
        default=0.0, ge=0, lt=0.5, description="|p - 0.5| up to this is a TIE in every mode."
    )
    min_order_consistency: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Smallest share of a pair's principles, by weight, whose two orders agree.",
    )
    near_equal: float = Field(
        default=0.98,
        gt=0.5,
        le=1,
        description="Two candidates with this share of their words in common are not judged.",
    )
    injections: Literal["reject", "ignore"] = Field(
        default="reject",
        description="What becomes of a pair whose winner speaks to the judge.",
    )

    @model_validator(mode="after")
    def _fit(self) -> PreferenceSettings:
        found = [*self._candidates_clashes(), *self._rules_clashes()]
        if found:
            raise Clashes(found)
        return self

    def _candidates_clashes(self) -> Iterator[tuple[Loc, str]]:
        if self.candidates == "given":
            if self.sources != _SOURCES:
                yield ("sources",), "candidates: given has no sources; remove sources"
            if self.pairs == "revised-vs-initial":
                yield ("pairs",), "revised-vs-initial needs our candidates; set pairs: all"
            return
        if len(set(self.sources)) != len(self.sources):
            yield ("sources",), "names one twice; name each once"
            return
        fixed = sum(source != "sampled" for source in self.sources)
        sampled = "sampled" in self.sources
        if self.candidates < len(self.sources) or (not sampled and self.candidates != fixed):
            fix = f"set candidates: {len(self.sources)}, or change sources"
            if len(self.sources) < 2:  # one candidate is no pair
                fix = "add sampled to sources"
            yield (
                ("sources",),
                f"{self.candidates} candidates cannot come from these sources; {fix}",
            )
        elif self.pairs == "revised-vs-initial" and set(self.sources) != {"revised", "initial"}:
            # A sampled candidate would be paid for and be in no pair.
            fix = "set candidates: 2 and sources: [initial, revised]"
            yield ("pairs",), f"revised-vs-initial compares these two alone; {fix}"

    def _rules_clashes(self) -> Iterator[tuple[Loc, str]]:
        if self.min_margin and self.keep != "margin":
            yield ("min_margin",), "counts under keep: margin alone; set keep or remove it"
        if self.orders == "single" and self.keep == "consistent":
            fix = "set keep: margin, or orders: both"
            yield ("orders",), f"keep: consistent needs both orders; {fix}"
        if self.orders == "single" and self.min_order_consistency:
            fix = "remove it, or set orders: both"
            yield ("min_order_consistency",), f"needs both orders; {fix}"
        low, high = self.clamp
        if not (0 <= low < 0.5 < high <= 1) or abs(low + high - 1) > 1e-9:
            # Held to other ends on one side than on the other, A and B would not be alike.
            yield ("clamp",), "is not even around 0.5; write it like [0.4, 0.6]"
        elif self.mode == "cot":
            for name in ("min_margin", "tie_band"):
                if getattr(self, name) >= high - 0.5:
                    what = f"no label of mode: cot is further from 0.5 than {high - 0.5:g}"
                    yield (name,), f"{what}; lower it, or widen clamp"


def unread_faults(document: Document, settings: PreferenceSettings) -> list[Fault]:
    """A fault for each setting of a recipe's file that its judge's mode does not read.

    Of a file alone: whoever makes settings for several modes may give all of them.
    """
    faults = []
    for name, modes in _READ_IN.items():
        default = PreferenceSettings.model_fields[name].default
        if settings.mode not in modes and getattr(settings, name) != default:
            what = f"counts under mode: {' or '.join(modes)} alone"
            faults.append(document.fault(("preference", name), what, "set mode or remove it"))
    return faults
