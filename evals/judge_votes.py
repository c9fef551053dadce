"""Votes of a judge as the audit takes them, and recorded ones read from a file without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from charter.errors import Fault, InputError, nearest
from charter.evals.judge_lines import Lines, text_of
from charter.rows import Order, Verdict
from charter.steps.label import KeepRule
from charter.steps.verdict import Labels, parse_verdict

__all__ = ["JudgedVote", "RecordedVotes", "read_votes", "swapped", "votes_of_rows"]

_SWAPPED: Final = {Verdict.A: Verdict.B, Verdict.B: Verdict.A}


def swapped(verdict: Verdict) -> Verdict:
    """The verdict with A and B exchanged."""
    return _SWAPPED.get(verdict, verdict)


@dataclass(frozen=True, slots=True)
class JudgedVote:
    """One vote of a judge on two candidates, with what people say of the pair.

    Attributes:
        comparison_id: the pair.
        order: which candidate was shown first.
        verdict: in terms of the candidates, not of the places.
        p_a: probability that A is better; None where the vote has none, then the verdict counts.
        human: A, B or TIE; None where no one was asked.
        principle_id: what was judged by; empty where nothing is known of it.
        category: of the prompt.
        length_a: characters of candidate A; None where its text is not at hand.
        length_b: characters of candidate B.
        judge_model: who voted; the votes of two judges are never one comparison.
        sample: which of several votes on the same question.
        recorded: the winner that the source itself read from the vote.
        weight: of the principle.
        rule: how the judge was asked (`mode`, `orders`), where that is known.
    """

    comparison_id: str
    order: Order
    verdict: Verdict
    p_a: float | None = None
    human: Verdict | None = None
    principle_id: str = ""
    category: str = ""
    length_a: int | None = None
    length_b: int | None = None
    judge_model: str = ""
    sample: int = 0
    recorded: Verdict | None = None
    weight: float = 1.0
    rule: KeepRule | None = None


@dataclass(slots=True)
class RecordedVotes:
    """What a file of recorded votes holds.

    Attributes:
        passes: votes by pass, in the order in which the passes first come; the name is empty
            where the rows name none.
        noted: what was found odd and counted instead of turned away.
    """

    passes: dict[str, list[JudgedVote]] = field(default_factory=dict)
    noted: Counter[str] = field(default_factory=Counter)


def read_votes(path: Path, labels: Labels, only: str | None = None) -> RecordedVotes:
    """Votes from a jsonl file: `comparison_id`, `order` and `text` in each row.

    In order BA the first place was candidate B's. Further keys that are used where they are
    there: `response_a`, `response_b`, `human_label`, `pass`, `judge_model`, `mode`,
    `principle_id`, `category`, `sample`, `recorded_winner`. A text of null is an answer that was
    never given: UNPARSED. Two votes on the same question, or two human labels for one pair, are
    faults: which one counts is not for us to guess.

    Args:
        path: the file, plain or gzipped.
        labels: how the judge was told to name the places.
        only: the one pass wanted.

    Raises:
        InputError: lines that are no such rows, each with its number; or no such pass.
    """
    lines = Lines(path)
    found = RecordedVotes()
    reader = _Reader(lines, labels, found.noted)
    for number, row in lines:
        vote = reader.vote(number, row)
        if vote is not None:
            found.passes.setdefault(str(row.get("pass") or ""), []).append(vote)
    lines.check(len(found.passes), "votes")
    if only is not None:
        if only not in found.passes:
            known = [name for name in found.passes if name]
            fix = nearest(only, known) if known else "leave --pass out"
            raise InputError(Fault(str(path), "pass", f'no vote of the pass "{only}"', fix))
        found.passes = {only: found.passes[only]}
    return found


class _Reader:
    """Turns rows into votes and knows which came before."""

    def __init__(self, lines: Lines, labels: Labels, noted: Counter[str]) -> None:
        self._lines = lines
        self._labels = labels
        self._noted = noted
        self._first: dict[tuple[Any, ...], int] = {}
        self._human: dict[tuple[str, str], tuple[Verdict | None, int]] = {}

    def vote(self, number: int, row: Mapping[str, Any]) -> JudgedVote | None:
        """The vote of a row; None, and a fault, where it is none."""
        texts = text_of(self._lines, number, row, ("comparison_id", "order"))
        said = self._answer(number, row)
        named = self._named(number, row)
        if texts is None or said is None or named is None:
            return None
        comparison, written = texts
        if written not in tuple(Order):
            what = f'no such order "{written}"'
            self._lines.fault(number, "order", what, "use AB (A shown first) or BA")
            return None
        order = Order(written)
        judge = " ".join(filter(None, (named["judge_model"], named["mode"])))
        sample = int(row.get("sample") or 0)
        key = (named["pass"], judge, comparison, named["principle_id"], sample, order)
        if key in self._first:
            what = f"the same vote stands in line {self._first[key]}"
            fix = "keep one of them, or number them by `sample`"
            self._lines.fault(number, "", what, fix)
            return None
        self._first[key] = number
        place = parse_verdict(said, self._labels)
        return JudgedVote(
            comparison_id=comparison,
            order=order,
            verdict=place if order is Order.AB else swapped(place),
            human=self._people(number, row, named["pass"], comparison),
            principle_id=named["principle_id"],
            category=named["category"],
            length_a=_length(row.get("response_a")),
            length_b=_length(row.get("response_b")),
            judge_model=judge,
            sample=sample,
            recorded=self._winner(row, "recorded_winner"),
        )

    def _answer(self, number: int, row: Mapping[str, Any]) -> str | None:
        if "text" in row and row["text"] is None:
            self._noted["votes without an answer, counted as unparsed"] += 1
            return ""
        texts = text_of(self._lines, number, row, ("text",))
        return texts[0] if texts else None

    def _named(self, number: int, row: Mapping[str, Any]) -> dict[str, str] | None:
        """The keys that tell votes apart: text where they are there at all."""
        found = {}
        for key in ("pass", "judge_model", "mode", "principle_id", "category"):
            value = row.get(key)
            if value is not None and not isinstance(value, str):
                self._lines.fault(number, key, "is not text", "give text, or leave it out")
                return None
            found[key] = value or ""
        sample = row.get("sample")
        if sample is not None and (not isinstance(sample, int) or isinstance(sample, bool)):
            self._lines.fault(number, "sample", "is not a whole number", "number votes from 0")
            return None
        return found

    def _people(
        self, number: int, row: Mapping[str, Any], passed: str, comparison: str
    ) -> Verdict | None:
        label = self._winner(row, "human_label")
        before, line = self._human.setdefault((passed, comparison), (label, number))
        if before is not label:
            what = f"people's label of {comparison} is another one in line {line}"
            self._lines.fault(number, "human_label", what, "keep one of them")
        return label

    def _winner(self, row: Mapping[str, Any], key: str) -> Verdict | None:
        """A, B or TIE as the row has it; what is none of them is counted, not guessed at."""
        value = row.get(key)
        if value is None or value == "":
            return None
        word = value.strip().upper() if isinstance(value, str) else ""
        if word in ("A", "B", "TIE"):
            return Verdict(word)
        self._noted[f"rows whose `{key}` is none of A, B, TIE (left out)"] += 1
        return None


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, str) else None


def votes_of_rows(
    rows: Sequence[Mapping[str, Any]],
    humans: Mapping[str, Verdict],
    *,
    judge_model: str = "",
    lengths: Mapping[str, tuple[int, int]] | None = None,
    categories: Mapping[str, str] | None = None,
    weights: Mapping[str, float] | None = None,
    rule: KeepRule | None = None,
) -> list[JudgedVote]:
    """Votes as the pipeline's rows and a version's `judgments` have them.

    Args:
        rows: votes: `comparison_id`, `order`, `verdict`, `p_a`, `principle_id`, perhaps `sample`
            and `judge_model`. Votes on one question without a `sample` are numbered as they come.
        humans: people's label by comparison.
        judge_model: who voted, where the rows do not say it.
        lengths: characters of A and of B by comparison.
        categories: by comparison.
        weights: of the principles; 1 where there is none.
        rule: how the judge was asked, where that is known.
    """
    seen: Counter[tuple[Any, ...]] = Counter()
    votes = []
    for row in rows:
        pair, principle, order = row["comparison_id"], row["principle_id"] or "", row["order"]
        sample = row.get("sample")
        if sample is None:
            sample = seen[pair, principle, order]
            seen[pair, principle, order] += 1
        length_a, length_b = (lengths or {}).get(pair, (None, None))
        votes.append(
            JudgedVote(
                comparison_id=pair,
                order=Order(order),
                verdict=Verdict(row["verdict"]),
                p_a=row.get("p_a"),
                human=humans.get(pair),
                principle_id=principle,
                category=(categories or {}).get(pair, ""),
                length_a=length_a,
                length_b=length_b,
                judge_model=row.get("judge_model") or judge_model,
                sample=sample,
                weight=(weights or {}).get(principle, 1.0),
                rule=rule,
            )
        )
    return votes
