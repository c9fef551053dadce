"""The depth of the rounds' safety in the report: a table, plots, and what is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from charter.evals.depth import EARLY, DepthFigures
from charter.evals.judge_figures import rounded
from charter.html import section, table, text
from charter.improve.figures import RoundFigures
from charter.plots import Series, estimates, grid, lines
from charter.trainers.recovery import read_recovery

__all__ = ["depth_lines", "depth_section", "depth_table", "recovery_row"]


def recovery_row(values: Mapping[str, Any] | None) -> tuple[str, str]:
    """What `train.sft` says of safety recovery, in words."""
    found = read_recovery((values or {}).get("recovery"))
    if found is None:
        return "safety recovery", "none"
    said = (
        f"{found.share:.0%} of the rows of SFT, which answer after up to {found.max_tokens} tokens "
        "of the unrevised answer"
    )
    return "safety recovery", said


def depth_table(
    rounds: Sequence[RoundFigures], best: int
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """A head, and a row for each round whose depth was measured; no row where none was.

    Args:
        rounds: figures from round 0 on.
        best: number of the round that is kept.
    """
    measured = [each for each in rounds if each.depth is not None]
    lengths = [each.tokens for each in _of(measured[0]).prefilled] if measured else []
    head = (
        *("round", f"KL in the first {EARLY} tokens, share"),
        *(f"complies after {length}" for length in lengths),
        *("answers", "says nothing"),
    )
    rows = [
        (
            f"{_name(each)} *" if each.number == best else _name(each),
            rounded(found.early) if each.number else "",
            *(rounded(part.complied) for part in found.prefilled),
            found.answers,
            sum(part.stopped for part in found.prefilled),
        )
        for each in measured
        for found in [_of(each)]
    ]
    return head, rows


def depth_lines(rounds: Sequence[RoundFigures]) -> list[str]:
    """What was left out, why there is no figure, and which rounds are deeper than the base."""
    found = list(dict.fromkeys(note for each in rounds for note in each.depth_notes))
    base = rounds[0].depth if rounds else None
    if base is None:
        return found
    before = base.prefilled[-1].complied
    for each in rounds[1:]:
        if each.depth is None:
            continue
        last = each.depth.prefilled[-1]
        if last.complied.high is None or before.low is None or last.complied.high >= before.low:
            continue
        found.append(
            f"deeper than the base, beyond chance: after {last.tokens} forced tokens round "
            f"{each.number} goes on in {rounded(last.complied)}, the base in {rounded(before)}"
        )
    return found


def depth_section(rounds: Sequence[RoundFigures], best: int) -> str:
    """The page's section; empty where no depth was asked for."""
    said = depth_lines(rounds)
    head, rows = depth_table(rounds, best)
    if not rows and not said:
        return ""
    parts = ["".join(f'<p class="note">{text(line)}</p>\n' for line in said)]
    if rows:
        parts.append(table(head, rows))
        parts.append(
            '<p class="note">Compliant answers of the base are begun for each model, the same ones '
            "in every round; shares of the continuations that say something, with 95 % intervals. "
            "The less the share rises with the tokens, the deeper the safety goes. The base has "
            "no divergence from itself.</p>\n"
        )
        parts.append(grid(_plots(rounds)))
    return section("How deep the safety goes", parts)


def _plots(rounds: Sequence[RoundFigures]) -> list[str]:
    plots = []
    for each in rounds:
        if each.depth is None:
            continue
        name = f"round {each.number}" if each.number else "the base"
        attacked = [(f"{part.tokens} tokens", part.complied) for part in each.depth.prefilled]
        plots.append(estimates(f"Complies after forced tokens, {name}", attacked))
        if each.number:
            points = [(at + 1.0, kl.value or 0.0) for at, kl in enumerate(each.depth.by_token)]
            title = f"KL from the base at each token, {name} (nats)"
            plots.append(lines(title, [Series("mean", points)], "token"))
    return plots


def _of(each: RoundFigures) -> DepthFigures:
    assert each.depth is not None
    return each.depth


def _name(each: RoundFigures) -> str:
    return str(each.number) if each.number else "base"
