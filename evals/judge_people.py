"""What people say of pairs, by a file of theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from charter.errors import Fault, InputError
from charter.evals.judge_lines import Lines
from charter.evals.judge_votes import swapped
from charter.rows import Verdict

__all__ = ["People", "people_of_file"]

_IDS: Final = ("comparison_id", "pair_id", "row_id", "id")
_LABELS: Final = ("human_label", "label", "verdict")
# What a weight or a probability may be; sums of more than these are no numbers any more.
_LEAST: Final = 1e-100
_MOST: Final = {"weight": 1e100, "inclusion_probability": 1 + 1e-9}  # but for rounding
_OUT: Final = " (left out)"
_NOT_JUDGED: Final = f"labels of pairs that were not judged{_OUT}"


@dataclass(slots=True)
class People:
    """People's labels by pair.

    Attributes:
        labels: A, B or TIE: what most say of the pair; TIE where as many say one as the other.
        sampling: one over the probability with which a pair was shown to people; None where the
            rows say nothing of it.
        noted: what was left out, and how often.
    """

    labels: dict[str, Verdict] = field(default_factory=dict)
    sampling: dict[str, float] | None = None
    noted: Counter[str] = field(default_factory=Counter)


def people_of_file(path: Path, winners: Mapping[str, Verdict]) -> People:
    """People's labels from a jsonl file, plain or gzipped.

    A row has the pair's id (`comparison_id`, `pair_id`, `row_id` or `id`), a label
    (`human_label`, `label` or `verdict`: A, B, TIE, or `chosen`, `rejected`, `tie`), and perhaps
    `weight` or `inclusion_probability`. Several rows on a pair are several people.

    Args:
        path: the file.
        winners: the judge's label of each pair there is, for `chosen` and `rejected`.

    Raises:
        InputError: lines that are no such rows, or no row on any of the pairs.
    """
    lines = Lines(path)
    found = _gathered(lines, lines, winners)
    lines.check(1, "rows")
    if not found.labels:
        raise InputError(_without(path, found.noted))
    return found


def _without(path: Path, noted: Mapping[str, int]) -> Fault:
    """Why a file has no label that counts: its ids, or what it says of the pairs."""
    unused = [
        f"{count:,} {note.removesuffix(_OUT)}"
        for note, count in noted.items()
        if note != _NOT_JUDGED
    ]
    if unused:
        what = f"has no label that counts for the judged pairs, but {', '.join(unused)}"
        return Fault(str(path), _LABELS[0], what, "say A, B or TIE of each pair")
    what = "has no label for any of the judged pairs"
    return Fault(str(path), "", what, "give the ids as `judgments` has them")


def _gathered(
    rows: Iterable[tuple[int, dict[str, Any]]], lines: Lines, winners: Mapping[str, Verdict]
) -> People:
    said: dict[str, Counter[Verdict]] = {}
    weights: dict[str, float] = {}
    places: dict[str, int] = {}
    found = People()
    for number, row in rows:
        pair = _one(lines, number, row, _IDS)
        label = _one(lines, number, row, _LABELS)
        weight = _weight(lines, number, row)
        if pair is None or label is None:
            continue
        if pair not in winners:
            found.noted[_NOT_JUDGED] += 1
            continue
        verdict = _verdict(label, winners[pair])
        if isinstance(verdict, str) and not isinstance(verdict, Verdict):
            found.noted[verdict] += 1
            continue
        said.setdefault(pair, Counter())[verdict] += 1
        places.setdefault(pair, number)
        if weight is not None and weights.setdefault(pair, weight) != weight:
            lines.fault(number, "weight", f"{pair} has another weight before", "keep one")
    for pair, counts in said.items():
        found.labels[pair] = _most(counts)
        found.noted["pairs on which people disagree (the majority counts)"] += len(counts) > 1
    found.noted = +found.noted
    if weights:
        found.sampling = weights
        missing = next((pair for pair in found.labels if pair not in weights), None)
        if missing is not None:
            what = f"{missing} has no weight, others have"
            lines.fault(places[missing], "weight", what, "give all, or none")
    return found


def _one(lines: Lines, number: int, row: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    """The text under the first of the keys that is there; a fault where there is none."""
    key = next((key for key in keys if key in row), None)
    if key is None:
        what = f"none of the keys {', '.join(keys)} is there"
        lines.fault(number, keys[0], what, f"add `{keys[0]}`")
        return None
    value = row[key]
    if value is None:
        return ""
    if not isinstance(value, str):
        lines.fault(number, key, "is not text", "give text")
        return None
    return value


def _verdict(label: str, winner: Verdict) -> Verdict | str:
    """The label in terms of A and B, or why it has to be left out."""
    word = label.strip().upper()
    if not word:
        return "rows without a label" + _OUT
    if word in ("A", "B", "TIE"):
        return Verdict(word)
    if word not in ("CHOSEN", "REJECTED"):
        return "labels that are none of A, B, TIE, chosen, rejected" + _OUT
    if winner not in (Verdict.A, Verdict.B):
        return "labels `chosen` or `rejected` of pairs that the judge did not decide" + _OUT
    return winner if word == "CHOSEN" else swapped(winner)


def _most(counts: Counter[Verdict]) -> Verdict:
    best = max(counts.values())
    first = [verdict for verdict, count in counts.items() if count == best]
    return first[0] if len(first) == 1 else Verdict.TIE


def _weight(lines: Lines, number: int, row: Mapping[str, Any]) -> float | None:
    """One over the probability of having been drawn; None where the row says nothing of it."""
    for key in _MOST:
        value = row.get(key)
        if value is None:
            continue
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not _LEAST <= value <= _MOST[key]:
            what = f"is no {'number' if key == 'weight' else 'probability'} above 0"
            lines.fault(number, key, what, "mend it, or leave it out of all rows")
            return None
        return float(value) if key == "weight" else 1 / float(value)
    return None
