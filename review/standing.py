"""How answers stand to a version: on its texts or on others, and on which label of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from charter.review.answers import CheckedRow
from charter.review.spot_check import Kind, SpotCheck
from charter.review.texts import First, shown_texts, texts_digest

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["Standing"]

_KINDS: Final[tuple[Kind, ...]] = ("preference", "sft")


@dataclass(frozen=True, slots=True)
class _Label:
    """What the version has under an id that was answered.

    Attributes:
        shown: which was shown first -> digest of the texts as they would be shown now.
        p_chosen: the label's confidence; None for `sft`.
        human: whether people have overruled the AI's label in this version.
    """

    shown: dict[First, str]
    p_chosen: float | None
    human: bool


class Standing:
    """Tells of each answer whether it is on this version's texts, and on which label of them.

    Figures are of the AI's labels, and only rows with one are sent to people: where people have
    overruled it since, an answer still says something of what the AI said, and stands as it is.

    Args:
        version: the version.
        checks: the answers that will be asked about.
        removed: whether answers count on pairs that left the version because people named no
            winner. They must in figures: without them the AI would agree with people the better,
            the more of its labels they had removed. Such a pair's texts are gone with it.
    """

    def __init__(
        self, version: Version, checks: Iterable[SpotCheck], *, removed: bool = False
    ) -> None:
        self._version = version
        self._removed = _removed(version) if removed else frozenset()
        ids: dict[Kind, set[str]] = {kind: set() for kind in _KINDS}
        for each in checks:
            if each.gold is None:
                ids[each.kind].add(each.row_id)
        self._labels = {
            (kind, row_id): label
            for kind in _KINDS
            for row_id, label in _labels(version, kind, ids[kind])
        }
        self._known: dict[str, float] = {}
        for each in checks:
            label = self._labels.get((each.kind, each.row_id))
            overruled = label.human if label else each.kind == "preference" and each.gold is None
            if overruled and self(each) is not None and each.p_chosen is not None:
                self._known[each.row_id] = each.p_chosen

    def __call__(self, answer: SpotCheck) -> bool | None:
        """See `charter.review.answers.Turn`."""
        label = self._labels.get((answer.kind, answer.row_id))
        if label is None and answer.kind == "preference" and answer.row_id in self._removed:
            return False
        if label is None or answer.texts not in label.shown.values():
            return None
        return not label.human and answer.texts != label.shown.get(answer.first)

    def placed(self, row: CheckedRow) -> CheckedRow:
        """A row with the confidence of the AI's label, which may have changed since the answer."""
        label = self._labels.get((row.kind, row.row_id))
        if label is not None and not label.human:
            return replace(row, p_chosen=label.p_chosen)
        return replace(row, p_chosen=self._known.get(row.row_id))

    def population(self) -> list[float]:
        """The confidence of all AI labels of `preference`, seen by people or not.

        Of labels that were overruled it is known from the answers alone.
        """
        import polars as pl

        rows = self._version.rows("preference").filter(pl.col("label_source") == "ai")
        return [*rows["p_chosen"].to_list(), *self._known.values()]


def _removed(version: Version) -> frozenset[str]:
    """The pairs that people took out of the version."""
    import polars as pl

    from charter.hub.reviews import STAGE

    rows = version.rows("rejects").filter(pl.col("stage") == STAGE)
    return frozenset(rows["pair_id"].drop_nulls().to_list())


def _labels(version: Version, kind: Kind, ids: set[str]) -> Iterator[tuple[str, _Label]]:
    """What the version has under each of the ids; nothing for ids that it lacks."""
    if not ids or kind not in version.configs():
        return
    import polars as pl

    from charter.constitutions import load_constitution

    constitution = load_constitution(version.path / "constitution.yaml")
    places: tuple[First, ...] = ("chosen", "rejected") if kind == "preference" else (None,)
    rows = version.rows(kind).filter(pl.col("id").is_in(list(ids)))
    for row in rows.iter_rows(named=True):
        shown = {
            first: texts_digest(shown_texts(kind, row, first, constitution)) for first in places
        }
        human = row.get("label_source") == "human"
        yield row["id"], _Label(shown, row.get("p_chosen"), human)
