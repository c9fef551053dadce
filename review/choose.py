"""Choose which rows people look at: some of the least sure labels, the rest uniformly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from charter.rows import draw_unit

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["Chosen", "choose_rows"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row to look at.

    Attributes:
        row_id: of the config `preference`.
        p_chosen: the AI label's confidence.
        order_consistent: whether the judge's two orders agreed.
        inclusion: probability that this row was chosen, for unbiased estimates from the sample;
            1 for the rows taken for their low confidence.
    """

    row_id: str
    p_chosen: float
    order_consistent: bool
    inclusion: float


def choose_rows(version: Version, n: int, seed: int, uncertain: float = 0.5) -> list[Chosen]:
    """Rows of the config `preference` of a pinned version, the same for the same seed.

    Args:
        version: the version.
        n: how many rows; all of them where there are fewer.
        seed: of the uniform part, a hash of it and the row's id.
        uncertain: share of `n` taken from the labels nearest to 0.5.

    Returns:
        First the least sure rows, then the uniform draw from the others.
    """
    if "preference" not in version.configs():
        return []
    columns = ["id", "p_chosen", "order_consistent"]
    rows = version.rows("preference", None).select(columns).rows()
    by_doubt = sorted(rows, key=lambda row: (row[1], row[0]))
    sure_from = min(round(n * uncertain), len(by_doubt))
    others = by_doubt[sure_from:]
    wanted = min(n - sure_from, len(others))
    drawn = sorted(others, key=lambda row: draw_unit(seed, "review", row[0]))[:wanted]
    share = wanted / len(others) if others else 1.0
    return [
        *(Chosen(row[0], row[1], row[2], 1.0) for row in by_doubt[:sure_from]),
        *(Chosen(row[0], row[1], row[2], share) for row in drawn),
    ]
