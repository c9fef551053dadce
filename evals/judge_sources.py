"""What a judge is audited on besides recorded votes: a published version, or labelled pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from charter.errors import Fault, InputError
from charter.evals.judge_lines import Lines
from charter.evals.judge_pairs import comparisons
from charter.evals.judge_people import People, people_of_file
from charter.evals.judge_votes import JudgedVote, swapped, votes_of_rows
from charter.rows import Message, Verdict, draw_unit, messages_id, normalised
from charter.steps.label import KeepRule

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["LabelledPair", "Pairs", "VersionVotes", "read_pairs", "votes_of_version"]

_ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class VersionVotes:
    """The votes of a version, with what people say of them.

    Attributes:
        votes: of its `judgments`.
        people: their labels; empty where there are none.
        published: the pairs whose label by the judge became a row of `preference`.
    """

    votes: list[JudgedVote]
    people: People
    published: frozenset[str]


def votes_of_version(version: Version, people: Path | None = None) -> VersionVotes:
    """The votes behind a version's labels.

    Lengths are known of the pairs that became rows, categories are the prompts' sources where
    there are several, weights are those of the recipe or the constitution as run.

    Args:
        version: the version.
        people: a file of people's labels; without one those of its `reviews`, where it has any,
            or else those that came with pairs judged again (`source_label`), which is said.

    Raises:
        InputError: it has no judgments, or the file is wrong.
    """
    rows: list[dict[str, Any]] = version.rows("judgments").to_dicts()
    if not rows:
        what = "has no judgments to audit"
        raise InputError(Fault(str(version.path), "", what, "name a version with preferences"))
    weights, rule = _weights(version), _rule(version)
    bare = comparisons(votes_of_rows(rows, {}, weights=weights, rule=rule))
    winners = {each.id: each.label for each in bare}
    if people is not None:
        found = people_of_file(people, winners)
    elif "reviews" in version.configs():
        found = _people_of_reviews(version, winners)
    else:
        found = _people_of_source(rows)
    preference = version.rows("preference").to_dicts()
    votes = votes_of_rows(
        rows,
        found.labels,
        lengths=_lengths(preference, winners),
        categories=_sources(version, rows),
        weights=weights,
        rule=rule,
    )
    published = frozenset(row["id"] for row in preference if row["label_source"] == "ai")
    return VersionVotes(votes, found, published)


def _weights(version: Version) -> dict[str, float]:
    """The principles' weights by which labels were made."""
    from charter.constitutions import load_constitution
    from charter.documents import read_document

    constitution = load_constitution(version.path / "constitution.yaml")
    weights = {principle.id: principle.weight for principle in constitution.principles}
    named = read_document(version.path / "recipe.yaml").at("preference", "principles")
    return weights | named if isinstance(named, dict) else weights


def _rule(version: Version) -> KeepRule | None:
    """How the judge was asked, as the recipe says; None where it says nothing of pairs."""
    from charter.documents import read_document

    named = read_document(version.path / "recipe.yaml").at("preference")
    if not isinstance(named, dict):
        return None
    return KeepRule(**{name: named[name] for name in ("mode", "orders") if name in named})


def _people_of_reviews(version: Version, winners: Mapping[str, Verdict]) -> People:
    """What most reviewers said blindly of each pair; no winner, or both bad, is a tie.

    Answers on test rows, on texts that are not this version's, with the AI's label in sight, or of
    reviewers whom its figures leave out are not the people's labels.
    """
    from charter.review.answers import sort_answers
    from charter.review.spot_check import Human
    from charter.review.standing import Standing
    from charter.review.store import spot_check_of

    checks = [
        spot_check_of(row)
        for row in version.rows("reviews").iter_rows(named=True)
        if row["kind"] == "preference"
    ]
    figures: Mapping[str, Any] = version.manifest.reviews or {}
    failed = frozenset(figures.get("left_out") or ())
    sorted_out = sort_answers(checks, Standing(version, checks, removed=True), failed)
    found = People(sampling={})
    for row in sorted_out.blind:
        winner = winners.get(row.row_id)
        if winner not in (Verdict.A, Verdict.B):
            found.noted["reviewed pairs that the judge did not decide (left out)"] += 1
            continue
        sides = {Human.CHOSEN: winner, Human.REJECTED: swapped(winner)}
        found.labels[row.row_id] = sides.get(row.verdict, Verdict.TIE)
        assert found.sampling is not None
        found.sampling[row.row_id] = 1 / row.inclusion
        found.noted["pairs on which people disagree (the majority counts)"] += row.divided
    found.noted["answers on other texts than the version's (left out)"] = sorted_out.stale
    found.noted["rows seen with the AI's label (left out)"] = len(sorted_out.shown)
    found.noted = +found.noted
    return found


def _people_of_source(rows: list[dict[str, Any]]) -> People:
    """The labels that pairs had before they were judged here; their source knows whose they are."""
    found = People()
    for row in rows:
        if row.get("source_label") is not None:
            found.labels[row["comparison_id"]] = Verdict(row["source_label"])
    if found.labels:
        found.noted["labels of the pairs' own source, taken for people's"] = len(found.labels)
    return found


def _lengths(
    rows: list[dict[str, Any]], winners: Mapping[str, Verdict]
) -> dict[str, tuple[int, int]]:
    """Characters of A and B; which of them is the chosen one, the judge's own label says."""
    found = {}
    for row in rows:
        winner = winners.get(row["id"])
        if row["label_source"] != "ai" or winner not in (Verdict.A, Verdict.B):
            continue
        lengths = len(row["chosen"][-1]["content"]), len(row["rejected"][-1]["content"])
        found[row["id"]] = lengths if winner is Verdict.A else lengths[::-1]
    return found


def _sources(version: Version, judgments: list[dict[str, Any]]) -> dict[str, str]:
    by_prompt = {
        row["prompt_id"]: row["source"]
        for config in ("sft", "preference")
        for row in version.rows(config).select("prompt_id", "source").iter_rows(named=True)
    }
    if len(set(by_prompt.values())) < 2:
        return {}
    return {row["comparison_id"]: by_prompt.get(row["prompt_id"], "") for row in judgments}


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two responses of which people prefer one.

    Attributes:
        id: of the pair.
        prompt: the conversation.
        a: what is called A: by a draw, so that people's winner is not always first.
        b: the other one.
        human: the one that people prefer.
        category: of the prompt, where the row says one.
    """

    id: str
    prompt: tuple[Message, ...]
    a: str
    b: str
    human: Verdict
    category: str


@dataclass(slots=True)
class Pairs:
    """Labelled pairs of a file.

    Attributes:
        pairs: in the order of the file.
        noted: what was left out, and how often.
    """

    pairs: list[LabelledPair]
    noted: Counter[str]

    def votes(
        self, judged: list[list[dict[str, Any]]], *, judge_model: str, weights: Mapping[str, float]
    ) -> list[JudgedVote]:
        """The votes on the pairs, in their order, with people's labels and lengths."""
        rows = [
            {**vote, "comparison_id": pair.id}
            for pair, votes in zip(self.pairs, judged, strict=True)
            for vote in votes
        ]
        # Log-odds stand beside the votes of that mode alone.
        odds = any(row.get("log_odds") is not None for row in rows)
        return votes_of_rows(
            rows,
            {pair.id: pair.human for pair in self.pairs},
            judge_model=judge_model,
            lengths={pair.id: (len(pair.a), len(pair.b)) for pair in self.pairs},
            categories={pair.id: pair.category for pair in self.pairs},
            weights=weights,
            rule=KeepRule(mode="logprob" if odds else "verdict"),
        )


def read_pairs(path: Path, limit: int | None = None, seed: int = 0) -> Pairs:
    """Pairs from a jsonl file, plain or gzipped: `prompt`, `chosen`, `rejected`, perhaps `id`.

    Each is a text or a list of messages; of `chosen` and `rejected` the last message counts. The
    `preference` config of a version has such rows, and so has hh-rlhf. `category` is used where
    it is there. Equal responses are left out: there is nothing to judge.

    Args:
        path: the file.
        limit: take the first so many pairs.
        seed: of the draw of which response is A.

    Raises:
        InputError: lines that are no such rows, or there is no pair.
    """
    lines = Lines(path)
    found = Pairs([], Counter())
    seen: dict[str, int] = {}
    for number, row in islice(lines, limit):
        pair = _pair(lines, number, row, seed)
        if pair is None:
            continue
        if pair.id in seen:
            what = f'the id "{pair.id}" stands in line {seen[pair.id]} too'
            lines.fault(number, "id", what, "give every pair its own id")
            continue
        seen[pair.id] = number
        if normalised(pair.a) == normalised(pair.b):
            found.noted["pairs of equal responses (left out)"] += 1
            continue
        found.pairs.append(pair)
    lines.check(len(found.pairs), "pairs")
    return found


def _pair(lines: Lines, number: int, row: Mapping[str, Any], seed: int) -> LabelledPair | None:
    read = {key: _messages(lines, number, row, key) for key in ("prompt", "chosen", "rejected")}
    prompt, chosen, rejected = read["prompt"], read["chosen"], read["rejected"]
    given = row.get("id")
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)  # as recipes take it of the same file
    if given is not None and (not isinstance(given, str) or not given):
        lines.fault(number, "id", "is not text", "give text, or leave it out")
        return None
    if not (prompt and chosen and rejected):
        return None
    won, lost = chosen[-1]["content"], rejected[-1]["content"]
    name = given or messages_id([*prompt, chosen[-1], rejected[-1]])
    category = row.get("category")
    first = draw_unit(seed, name, "audit-side", 0) < 0.5
    return LabelledPair(
        id=name,
        prompt=prompt,
        a=won if first else lost,
        b=lost if first else won,
        human=Verdict.A if first else Verdict.B,
        category=category if isinstance(category, str) else "",
    )


def _messages(
    lines: Lines, number: int, row: Mapping[str, Any], key: str
) -> tuple[Message, ...] | None:
    """A text or a list of messages as messages; None, and a fault, where it is neither."""
    if key not in row:
        lines.fault(number, key, "the key is missing", f"add `{key}` to the line")
        return None
    value = row[key]
    if isinstance(value, str):
        value = [{"role": "user" if key == "prompt" else "assistant", "content": value}]
    good = isinstance(value, list) and value and all(map(_is_message, value))
    if not good:
        what = "is neither a text nor a list of messages with a role and text"
        lines.fault(number, key, what, '[{"role": "user", "content": "..."}]')
        return None
    return tuple(Message(role=each["role"], content=each["content"]) for each in value)


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("role") in _ROLES
        and isinstance(value.get("content"), str)
        and bool(value["content"].strip())
    )
