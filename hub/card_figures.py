"""The figures of a card: how soft its labels are, and how far their judge agrees with itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from charter.hub.markdown import escaped, table

__all__ = ["figures_told"]


def figures_told(figures: Mapping[str, Any]) -> Iterator[str]:
    """The section of the figures that a manifest holds (`charter.hub.figures`), part by part."""
    yield "## Figures"
    if "verdicts" in figures:
        yield table(("verdict", "votes"), figures["verdicts"].items())
    yield from _judge(figures)
    if isinstance(figures.get("retracted"), dict):
        yield from _retracted(figures["retracted"])
    if "rejects" in figures:
        yield table(
            ("ledger", "reason", "rejects"),
            [(led, why, n) for led, each in figures["rejects"].items() for why, n in each.items()],
        )
    if isinstance(figures.get("tokens"), dict) and figures["tokens"]:
        yield from _cost(figures)
    if "lengths" in figures:
        lengths = figures["lengths"]
        head = next(iter(lengths.values()))
        yield table(
            ("characters", *head), [(name, *each.values()) for name, each in lengths.items()]
        )


def _judge(figures: Mapping[str, Any]) -> Iterator[str]:
    """How soft the labels are, and how far their judge agrees with itself."""
    if "judge" in figures:
        judge = figures["judge"]
        yield table(
            ("the judge", "share", "95 % interval", "of"),
            [(said, *_estimate(judge[name])) for name, said in _OF_JUDGE.items()],
        )
    if "order_consistent" in figures:
        orders, longer = figures["order_consistent"], figures["chosen_longer"]
        yield (
            f"In {orders['consistent']} of {orders['rows']} labelled pairs both orders name the "
            f"same winner. The chosen text is the longer one in {longer['longer']} of "
            f"{longer['rows']}."
        )
        yield table(("", *figures["p_chosen"]), [_rounded("p_chosen", figures["p_chosen"])])
    if "p_chosen_bins" in figures:
        bins = figures["p_chosen_bins"]
        names = [f"{0.5 + k * 0.05:.2f} to {0.55 + k * 0.05:.2f}" for k in range(len(bins))]
        yield "Soft labels, by `p_chosen`:"
        yield table(("p_chosen", "labels"), zip(names, bins, strict=True))
    if "source_labels" in figures:
        said = figures["source_labels"]
        agreed, other = said.get("chosen", 0), said.get("rejected", 0)
        yield (
            f"Of {agreed + other} labels whose source names a winner of its own, {agreed} are the "
            f"same; {said.get('tie', 0)} more are ties there (`source_label`)."
        )


def _retracted(entry: Mapping[str, Any]) -> Iterator[str]:
    """What was taken out of earlier versions, the latest first."""
    lines = []
    found: Any = entry
    while isinstance(found, dict):
        rows = ", ".join(f"{n} {escaped(name)}" for name, n in found.get("rows", {}).items() if n)
        lines.append(f"- from {escaped(found.get('from'))}: {rows}. {escaped(found.get('reason'))}")
        found = found.get("before")
    yield "Retracted rows (earlier versions still hold them; do not train on those):"
    yield "\n".join(lines)


_OF_JUDGE: Final = {
    "order_consistency": "both orders name the same winner, under one principle",
    "first_position_rate": "votes for the response shown first, of votes with a winner",
    "tie_rate": "votes that say tie",
    "unparsed_rate": "votes that no one can read",
}


def _estimate(found: Mapping[str, Any]) -> tuple[str, str, int]:
    if found["value"] is None:
        return "none", "", found["n"]
    return f"{found['value']:.3f}", f"{found['low']:.3f} to {found['high']:.3f}", found["n"]


def _rounded(name: str, values: Mapping[str, float]) -> tuple[object, ...]:
    return (name, *(f"{value:.4f}" for value in values.values()))


def _cost(figures: Mapping[str, Any]) -> Iterator[str]:
    """What the calls of the run that published this took; those from its cache are not in it."""
    tokens = figures["tokens"].items()
    yield table(("role", "tokens read", "tokens written"), [(name, *pair) for name, pair in tokens])
    cost = figures.get("cost")
    known = "not known (no price was given)" if cost is None else f"{cost:.4f} in the price's money"
    yield f"Cost of the calls that this run made, those from its cache left out: {known}."
