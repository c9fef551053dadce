"""What the audit of a constitution found, in sentences and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from charter.constitutions.lint import LintWarning
from charter.evals.constitution_votes import (
    REDUNDANT_ABOVE,
    Agreement,
    ConstitutionFigures,
    PrincipleFigures,
)
from charter.html import figures as figure_row
from charter.html import page, section, table, text
from charter.plots import estimates, grid, heat
from charter.stats import Estimate, wilson

__all__ = ["BRIEF", "COLUMNS", "audit_page", "brief_rows", "findings", "principle_rows", "short"]

COLUMNS: Final = (
    "principle",
    "applies",
    "same in both orders",
    "same again",
    "first wins",
    "ties",
    "unparsed",
    "labels it changes",
)
# The same for a terminal, where the intervals of four of them have no room.
BRIEF: Final = (
    "principle",
    "applies",
    "both orders",
    "again",
    "first",
    "ties",
    "unparsed",
    "flips",
)
_SELDOM = 0.2  # the upper end of `applies` below which a principle is called idle


def short(found: Estimate) -> str:
    """An estimate for a narrow column: `0.85 (0.64-0.95)`."""
    if found.value is None or found.low is None or found.high is None:
        return "-"
    return f"{found.value:.2f} ({found.low:.2f}-{found.high:.2f})"


def _shares(found: ConstitutionFigures) -> Iterator[tuple[str, tuple[Estimate, ...]]]:
    """What the tables of principles show, in the order of their columns."""
    changed = {flips.principle_id: flips.changed for flips in found.flips}
    none = Estimate(None, None, None, 0)
    for each in found.principles:
        yield (
            each.principle_id,
            (
                each.applies,
                each.order_consistency,
                each.retest,
                each.first_position,
                each.ties,
                each.unparsed,
                changed.get(each.principle_id, none),
            ),
        )


def principle_rows(found: ConstitutionFigures) -> Iterator[tuple[str, ...]]:
    """The table of principles, by `COLUMNS`."""
    for name, shares in _shares(found):
        yield (name, *map(short, shares))


def brief_rows(found: ConstitutionFigures) -> Iterator[tuple[str, ...]]:
    """The table of principles, by `BRIEF`."""
    for name, shares in _shares(found):
        bare = ("-" if share.value is None else f"{share.value:.2f}" for share in shares[3:])
        yield (name, *map(short, shares[:3]), *bare)


def findings(found: ConstitutionFigures) -> list[str]:
    """The findings in sentences, the weightiest first."""
    said = [*map(_contradiction, found.contradictions), *_unreliable(found)]
    said += [*map(_redundant, found.redundant), *_idle(found), *_flipping(found), *_first(found)]
    said += _unread(found)
    if not said:
        said = ["Nothing stands out on these pairs."]
    return said + list(_too_few(found))


def _contradiction(pair: Agreement) -> str:
    one, other = pair.principles
    return (
        f"{one} and {other} contradict: of the pairs that both decide they give the same winner "
        f"to {pair.share}; keep one, or write into both when it applies."
    )


def _redundant(pair: Agreement) -> str:
    one, other = pair.principles
    return (
        f"{one} and {other} say the same here: of the pairs that both decide they give the same "
        f"winner to {pair.share}; together they count twice."
    )


def _unreliable(found: ConstitutionFigures) -> Iterator[str]:
    for each in found.principles:
        if each.unreliable == "orders":
            yield (
                f"{each.principle_id} is unreliable: shown in the other order, the judge repeats "
                f"its verdict in {each.order_consistency} of the pairs, which a coin might do."
            )
        elif each.unreliable == "retest":
            yield (
                f"{each.principle_id} is unreliable: asked again, the judge repeats "
                f"{each.retest} of its verdicts, which a coin might do."
            )


def _idle(found: ConstitutionFigures) -> Iterator[str]:
    for each in found.principles:
        if each.applies.high is not None and each.applies.high < _SELDOM:
            yield (
                f"{each.principle_id} decides hardly any of these pairs: {each.applies}; "
                "look whether it is about such conversations at all."
            )


def _flipping(found: ConstitutionFigures) -> Iterator[str]:
    """The principle on which most labels hang, against what changes by itself."""
    known = [flips for flips in found.flips if flips.changed.value]
    if not known:
        return
    most = max(known, key=lambda flips: (flips.changed.value or 0.0, flips.reversed.value or 0.0))
    said = (
        f"Most labels hang on {most.principle_id}: without it {most.changed} of them change, "
        f"{most.reversed} to the other winner"
    )
    again = found.again
    if again.value is None:
        yield f"{said}."
    elif (most.changed.value or 0.0) > again.value:
        yield f"{said}; asking again with nothing left out changes {again}."
    else:
        yield f"{said}; but asking again with nothing left out changes as many, {again}."


def _first(found: ConstitutionFigures) -> Iterator[str]:
    drawn = [p.principle_id for p in found.principles if (p.first_position.low or 0.0) > 0.5]
    if drawn:
        yield (
            f"The judge leans to the response shown first under {len(drawn)} of "
            f"{len(found.principles)} principles ({', '.join(drawn)}): that is a trait of "
            "the judge and not of their wording."
        )


def _unread(found: ConstitutionFigures) -> Iterator[str]:
    for each in found.principles:
        if each.failed:
            yield f"{each.principle_id}: {each.failed} calls failed; their votes count nowhere."
        elif each.unparsed.value:
            yield f"{each.principle_id}: {each.unparsed} of the votes cannot be read."


def _too_few(found: ConstitutionFigures) -> Iterator[str]:
    """What so few pairs cannot show: no finding must not be taken for a good sign."""
    most = max((pair.share.n for pair in found.agreement), default=0)
    needed = next(n for n in range(1, 1000) if (wilson(n, n).low or 0.0) > REDUNDANT_ABOVE)
    if found.agreement and most < needed:
        yield (
            f"No two principles can be called redundant here: that takes {needed} pairs that both "
            f"decide, and there are at most {most}."
        )


def audit_page(
    title: str,
    about: Sequence[tuple[str, str]],
    warnings: Sequence[LintWarning],
    found: ConstitutionFigures | None,
) -> str:
    """The page of the audit.

    Args:
        title: of the page.
        about: (name, value) of what was audited, and by whom.
        warnings: of the lint.
        found: the figures; None where no model was asked.
    """
    parts = [figure_row(about)]
    if found is not None:
        said = "".join(f"<p>{text(line)}</p>\n" for line in findings(found))
        parts.append(section("Findings", [said]))
        parts += _measured(found)
    parts.append(section("Wording", [_warnings(warnings)]))
    return page(title, parts)


def _warnings(warnings: Sequence[LintWarning]) -> str:
    if not warnings:
        return "<p>No warning.</p>\n"
    head = ("principle", "text", "rule", "words", "advice")
    return table(head, [(w.principle_id, w.field, w.rule, w.found, w.advice) for w in warnings])


def _measured(found: ConstitutionFigures) -> Iterator[str]:
    note = (
        '<p class="note">Shares with 95 % intervals. Applies: the principle alone gives the pair '
        "a label. Labels it changes: those of all principles together that come out otherwise "
        "without it.</p>\n"
    )
    yield section("Principles", [note, table(COLUMNS, principle_rows(found))])
    shown: list[tuple[str, Any]] = [
        ("The same in both orders", lambda p: p.order_consistency),
        ("The same when asked again", lambda p: p.retest),
        ("Applies", lambda p: p.applies),
    ]
    if any(p.bears.n for p in found.principles):
        shown.append(("Bears on the conversation, says the judge", lambda p: p.bears))
    yield grid(_plot(title, found.principles, pick) for title, pick in shown)
    if found.agreement:
        names = [p.principle_id for p in found.principles]
        plot = heat("Share of pairs with the same winner", names, found.matrix())
        head = ("principles", "", "same winner", "pairs", "kappa", "")
        yield section("Agreement", [plot, table(head, map(_agreement, _sorted(found)))])


def _plot(title: str, principles: Sequence[PrincipleFigures], pick: Any) -> str:
    return estimates(title, [(p.principle_id, pick(p)) for p in principles])


def _sorted(found: ConstitutionFigures) -> list[Agreement]:
    known = [pair for pair in found.agreement if pair.share.value is not None]
    return sorted(known, key=lambda pair: (pair.share.value or 0.0, pair.principles))


def _agreement(pair: Agreement) -> tuple[Any, ...]:
    mark = "contradict" if pair.contradicts else "redundant" if pair.redundant else ""
    kappa = "-" if pair.kappa is None else f"{pair.kappa:.2f}"
    return (*pair.principles, short(pair.share), pair.share.n, kappa, mark)
