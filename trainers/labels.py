"""How far the labels of pairs are believed: soft targets, weights and a filter by `p_chosen`.

`p_chosen` is the judge's probability, in (0.5, 1], that the chosen answer is the better one. With
d the difference of the two answers' scores (DPO: beta times the difference of log-ratios; reward
model: of rewards) and e = 1 - p_chosen, a row's loss is

- `none`: -logsig(d). The label counts as certain.
- `conservative` (DPO): -(1 - e) logsig(d) - e logsig(-d). Mitchell 2023, "A note on DPO with noisy
  preferences and relationship to IPO" (cDPO), with each row's own e instead of one for all.
- `robust` (DPO): (-(1 - e) logsig(d) + e logsig(-d)) / (1 - 2e). Chowdhury, Kini and Natarajan
  2024, "Provably Robust DPO" (arXiv 2403.00409), whose mean over flipped labels is the loss on
  clean ones. The factor grows without bound towards p = 0.5, so e is held to at most 0.45.
- `target` (reward model): the cross-entropy of the first, as the preference models of Bai et al.
  2022 (arXiv 2212.08073, section 4.1) are trained on soft labels.
- `margin` (reward model): -logsig(d - (2 p_chosen - 1)), a margin by how sure the label is, as
  Touvron et al. 2023 (arXiv 2307.09288, section 3.2.2) take one by how much better an answer is.

`weight: confidence` multiplies a row's loss by 2 p_chosen - 1, over its mean over the rows.
With p_chosen = 1 everywhere all but `margin` are the stock loss, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from charter.errors import Fault
from charter.recipes.train import own_fields

__all__ = ["LEAST", "P_CHOSEN", "WEIGHT", "Labels", "label_faults", "read_labels"]

P_CHOSEN: Final = "p_chosen"
"""The column of a version's `preference` rows that holds the judge's probability."""
WEIGHT: Final = "row_weight"
"""The column that carries a row's weight to the loss."""
LEAST: Final[Mapping[str, float]] = {"conservative": 0.5005, "robust": 0.55}
"""What `p_chosen` is held to at least: below it a loss's factors say nothing a float can hold."""

_DEFAULT: Final = {"dpo": "conservative", "reward": "target"}
# The losses of TRL's DPO that read `label_smoothing`; all others ignore it without a word.
_SMOOTHED: Final = frozenset({"exo_pair", "robust", "aot", "aot_unpaired"})


@dataclass(frozen=True, slots=True)
class Labels:
    """What becomes of `p_chosen`.

    Attributes:
        soft: the form of the loss; see the module.
        weight: `none`, or `confidence`.
        min_p: rows with less are left out; None keeps all.
    """

    soft: str = "none"
    weight: str = "none"
    min_p: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a version that are needed for it."""
        used = self.soft != "none" or self.weight != "none" or self.min_p is not None
        return (P_CHOSEN,) if used else ()


def read_labels(method: str, ours: Mapping[str, Any], fields: Mapping[str, Any]) -> Labels:
    """The labels of a training: what was said, else soft where the method's loss has that form."""
    losses = set(_losses(fields))
    has_form = "sigmoid" in losses and not losses & _SMOOTHED
    usual = _DEFAULT.get(method, "none") if has_form else "none"
    return Labels(
        soft=ours.get("soft_labels", usual),
        weight=ours.get("weight", "none"),
        min_p=ours.get("min_p"),
    )


def label_faults(method: str, given: Mapping[str, Any]) -> Iterable[Fault]:
    """What doesn't go together in the values of a training."""
    # The `min_p` of `grpo` is TRL's, of sampling.
    least = given.get("min_p") if "min_p" in own_fields(method) else None
    if least is not None and not 0.5 <= least <= 1:
        what = f"is {least}, and p_chosen lies in (0.5, 1]"
        yield Fault("", "min_p", what, "give a number from 0.5 to 1")
    if method != "dpo":
        return
    losses = _losses(given)
    for name in ("soft_labels", "weight"):
        if given.get(name, "none") != "none" and "sigmoid" not in losses:
            what = f"is {given[name]}, which the loss {', '.join(losses)} has no form of"
            yield Fault("", name, what, f"leave loss_type out, or set {name} to none")
        elif given.get(name, "none") != "none" and (beside := _SMOOTHED & set(losses)):
            # Ours is a `label_smoothing` of each row, and these read that too.
            what = f"is {given[name]}, which can't be told from that of {', '.join(sorted(beside))}"
            yield Fault("", name, what, f"leave those out of loss_type, or set {name} to none")
    if given.get("label_smoothing") and not _SMOOTHED & set(losses):
        what = f"is not read by the loss {', '.join(losses)}"
        fix = "use soft_labels for p_chosen of each row, or loss_type=robust for one figure"
        yield Fault("", "label_smoothing", what, fix)


def _losses(fields: Mapping[str, Any]) -> list[str]:
    return list(fields.get("loss_type") or ["sigmoid"])
