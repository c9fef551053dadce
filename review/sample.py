"""Draw the rows that people look at, with the probability that each one had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from charter.review.spot_check import Kind, Share
from charter.rows import digest, draw_int, draw_unit

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["Candidate", "Drawn", "candidates", "category_of", "draw_rows"]

_BINS: Final = ((0.6, "0.5-0.6"), (0.75, "0.6-0.75"), (0.9, "0.75-0.9"), (1.0, "0.9-1"))
_LONGEST: Final = 200
"""Characters of a category; a source is a name, and what is longer is none."""
_NAMED: Final = 16
"""Digits of the digest at the end of a category that was cut, which tells it from others."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may be drawn.

    Attributes:
        row_id: its id in its config.
        prompt_id: of its prompt.
        principle_id: the only principle of its label; None where it has several or none.
        category: the source of its prompt; may be empty.
        p_chosen: the label's confidence; None for `sft`.
        order_consistent: whether the judge's two orders agreed; True for `sft`.
    """

    row_id: str
    prompt_id: str
    principle_id: str | None
    category: str
    p_chosen: float | None = None
    order_consistent: bool = True

    @property
    def stratum(self) -> str:
        """The cell `principle/category/confidence`."""
        p = self.p_chosen
        confidence = "-" if p is None else next(name for top, name in _BINS if p <= top)
        return f"{self.principle_id or '-'}/{self.category or '-'}/{confidence}"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row of the sample.

    Attributes:
        row: the row.
        share: whether it came by the uniform share or by the one for uncertain labels.
        inclusion: probability in (0, 1], over seeds, that it is in the sample by either share.
    """

    row: Candidate
    share: Share
    inclusion: float


def category_of(source: str) -> str:
    """The category of a prompt from this source: its source, or so much of it as is a name."""
    if len(source) <= _LONGEST:
        return source
    return f"{source[: _LONGEST - _NAMED - 1]}…{digest(source)[:_NAMED]}"


def candidates(version: Version, kind: Kind, split: str | None = None) -> list[Candidate]:
    """The rows of a config that have an AI label; those that people have overruled do not.

    Nor has an `sft` row without a revision anything that could be better.

    Args:
        version: the version.
        kind: the config.
        split: `train` or `test`; both where None.
    """
    if kind not in version.configs():
        return []
    if kind == "sft":
        columns = ["id", "prompt_id", "source", "revisions"]
        rows = version.rows("sft", split).select(columns)
        return [
            Candidate(
                row_id, prompt_id, _only([r["principle_id"] for r in made]), category_of(source)
            )
            for row_id, prompt_id, source, made in rows.iter_rows()
            if made
        ]
    columns = ["id", "prompt_id", "source", "principle_ids", "p_chosen", "order_consistent"]
    frame = version.rows("preference", split)
    rows = frame.filter(frame["label_source"] == "ai").select(columns)
    return [
        Candidate(row_id, prompt_id, _only(ids), category_of(source), p, consistent)
        for row_id, prompt_id, source, ids, p, consistent in rows.iter_rows()
    ]


def _only(ids: Sequence[str]) -> str | None:
    found = set(ids)
    return next(iter(found)) if len(found) == 1 else None


def draw_rows(rows: Sequence[Candidate], n: int, seed: int, uncertain: float = 0.5) -> list[Drawn]:
    """Draw `n` rows: some of the least sure labels, and some of all.

    The design. Of N rows, n = n1 + n2 are wanted, n2 of them for the uncertain labels. The pool
    is the smallest set of least sure rows that n2 can be drawn from: M = ceil(n2 N / (N - n1)).
    Every row of the population, in the pool or not, has the chance n1/N through the uniform
    share; a row of the pool has n2/M more through the other one; the shares are exclusive, so
    that a row is in the sample with the sum of both (M is such that it is at most 1, and nearly
    1). Rows are drawn without replacement with just these probabilities and a fixed n by Madow's
    systematic method (Madow 1949, Annals of Mathematical Statistics 20:333): they are laid end to
    end, each as long as its probability, and taken where the points u, u + 1, ... fall. They lie
    by pool, principle, category and confidence, and by a hash of the seed in each cell; so each
    cell, and each principle, gets its share of the sample to within one row. A drawn row of the
    pool is then told off to the uniform share with the probability that it came by it.

    Estimates. The mean over the rows of y, weighted by 1/inclusion (Hajek), or the sum of
    y/inclusion over N (Horvitz and Thompson), estimates the population's; so does the plain mean
    of the uniform share alone, whose rows were all as likely. Rows with known answers are no part
    of it. After an earlier draw `rows` are what that draw left, and `inclusion` is given that
    draw: each draw estimates the mean of the rows that were left before it, and a total over all
    is the sum of the rows known before plus the draw's own estimate. A mean that pools draws with
    these weights is of no one population exactly: it counts the rows left by the first draw more
    than once.

    `sft` rows have no confidence, so that all of them come by the uniform share.

    Args:
        rows: the population, in any order; ids are unique.
        n: how many; all rows where there are fewer.
        seed: of every draw; the same seed and rows give the same sample in whatever order.
        uncertain: share of `n` for the uncertain labels, in [0, 1).

    Returns:
        The sample: first by the uncertain share, least sure first, then in an order by hash.
    """
    n = min(n, len(rows))
    if n <= 0:
        return []
    size = len(rows)
    graded = all(row.p_chosen is not None for row in rows)
    # At least one by the uniform share, or the rows outside of the pool had no chance.
    n2 = min(round(n * uncertain), n - 1) if graded else 0
    n1 = n - n2
    pool = _least_sure(rows, -(-n2 * size // (size - n1))) if n2 else frozenset()
    m = len(pool)
    # Lengths in units of 1/(N M), so that nothing is rounded and exactly n points fall on rows.
    unit = size * max(m, 1)
    rest = n1 * max(m, 1)
    in_pool = rest + n2 * size
    order = sorted(rows, key=lambda row: _place(row, pool, seed))
    lengths = [in_pool if row.row_id in pool else rest for row in order]
    taken = _systematic(lengths, unit, draw_int(seed, "review", "start") % unit)
    sample = [order[index] for index in taken]
    doubted = [row for row in sample if row.row_id in pool]
    doubted.sort(key=lambda row: draw_unit(seed, "review", "share", row.row_id))
    start = draw_int(seed, "review", "share") % in_pool
    fair = {doubted[index].row_id for index in _systematic([rest] * len(doubted), in_pool, start)}
    drawn = [
        Drawn(
            row,
            Share.UNCERTAIN if row.row_id in pool and row.row_id not in fair else Share.UNIFORM,
            (in_pool if row.row_id in pool else rest) / unit,
        )
        for row in sample
    ]
    return sorted(drawn, key=lambda each: _shown(each, seed))


def _place(row: Candidate, pool: frozenset[str], seed: int) -> tuple[object, ...]:
    """Where a row lies: in its cell, and there by a hash of the seed."""
    p = 0.0 if row.p_chosen is None else next(top for top, _ in _BINS if row.p_chosen <= top)
    cell = (row.row_id not in pool, row.principle_id or "", row.category, p)
    return (*cell, draw_unit(seed, "review", row.row_id), row.row_id)


def _shown(drawn: Drawn, seed: int) -> tuple[object, ...]:
    row = drawn.row
    if drawn.share is Share.UNCERTAIN:
        return (0, row.p_chosen, row.row_id)
    return (1, draw_unit(seed, "review", "shown", row.row_id), row.row_id)


def _systematic(lengths: Sequence[int], unit: int, start: int) -> list[int]:
    """Which lengths, laid end to end, the points `start`, `start + unit`, ... fall on.

    Args:
        lengths: none longer than `unit`.
        unit: distance of the points.
        start: the first point, in [0, unit).
    """
    taken, end, point = [], 0, start
    for index, length in enumerate(lengths):
        end += length
        if point < end:
            taken.append(index)
            point += unit
    return taken


def _least_sure(rows: Sequence[Candidate], m: int) -> frozenset[str]:
    """The ids of the m least sure rows, whatever the seed.

    In turn the one nearest to 0.5 and, of those that the judge's two orders disagree on, the one
    nearest to 0.5; rows that are as sure go by a hash of their ids.
    """
    by_doubt = sorted(rows, key=lambda row: (row.p_chosen, draw_unit(0, "doubt", row.row_id)))
    inconsistent = [row for row in by_doubt if not row.order_consistent]
    found: dict[str, None] = {}
    for pair in zip_longest(by_doubt, inconsistent):
        for row in pair:
            if row is not None and len(found) < m:
                found.setdefault(row.row_id)
    return frozenset(found)
