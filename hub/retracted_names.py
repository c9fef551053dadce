"""What retractions named, as the figures of a version have it: the last one, and those before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charter.hub.number import Tag, is_tag, parse_tag

__all__ = ["Named", "chain", "named_in", "telling"]


@dataclass(frozen=True, slots=True)
class Named:
    """Names by which rows were taken out, each with its reason.

    A principle is not among them: its rows went by their ids, and under a principle of that id
    that was mended new rows may come.

    Attributes:
        ids: of rows, and of pairs that were rejected.
        prompts: ids of prompts.
        sources: of prompts.
    """

    ids: Mapping[str, str]
    prompts: Mapping[str, str]
    sources: Mapping[str, str]

    def why(self, row: Mapping[str, Any]) -> str | None:
        """Why a row stays out, also one that was not published when its name was given.

        Args:
            row: of `sft`, `preference` or `judgments`; a vote goes by its pair.
        """
        for names, key in (
            (self.ids, "comparison_id" if "comparison_id" in row else "id"),
            (self.prompts, "prompt_id"),
            (self.sources, "source"),
        ):
            if (reason := names.get(row.get(key, ""))) is not None:
                return reason
        return None


def named_in(figure: Any) -> Named:
    """The names in the figure `retracted` of a version, or of none."""
    found: dict[str, dict[str, str]] = {"ids": {}, "prompts": {}, "sources": {}}
    for reason, what in chain(figure):
        for kind, names in found.items():
            for name in what.get(kind, ()):
                names.setdefault(name, reason)
    return Named(**found)


def chain(figure: Any) -> Iterator[tuple[str, Mapping[str, list[str]]]]:
    """Reason and names of each retraction, the last one first."""
    while isinstance(figure, dict):
        what = figure.get("what")
        if isinstance(what, dict):
            yield str(figure.get("reason", "")), what
        figure = figure.get("before")


def telling(figure: Any, releases: Sequence[Tag]) -> list[Tag]:
    """The releases whose rejects say what was taken out: those that took it out, and the latest.

    A version between may have no such reject: that of a run over fewer prompts, for one.

    Args:
        figure: `retracted` of the latest one.
        releases: all that there are, oldest first.
    """
    told = {releases[-1]}
    while isinstance(figure, dict):
        if is_tag(origin := str(figure.get("from"))):
            later = (tag for tag in releases if tag > parse_tag(origin))
            told.update([next(later, releases[-1])])
        figure = figure.get("before")
    return sorted(told)
