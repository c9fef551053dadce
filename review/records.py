"""A row as a record of Argilla's HTTP API: fields, metadata and, where wanted, the AI's label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from charter.review.questions import P_CHOSEN
from charter.review.sample import category_of
from charter.review.spot_check import Kind
from charter.review.texts import (
    MOST_BUBBLES,
    First,
    bubbles,
    plain,
    shown_texts,
    texts_digest,
)

if TYPE_CHECKING:
    from charter.constitutions import Constitution

__all__ = ["Frame", "Planned", "external_id", "record_of", "too_long"]

_CHATS: Final = ("prompt", "response_a", "response_b", "original", "revision")
_NO_AGENT: Final = re.compile(r"[^A-Za-z0-9_:./\s-]")
_MOST: Final = 8_000_000
"""Bytes of a record, about; 500 bubbles of 20,000 characters are the server's own limit."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A row that is to be sent, and what the draw said of it.

    Attributes:
        row_id: its id.
        first: which response is A; None for `sft`.
        share: why it was drawn.
        stratum: its cell of the design.
        inclusion: its probability.
        gold: the known answer of a test row; None else.
    """

    row_id: str
    first: First
    share: str
    stratum: str
    inclusion: float
    gold: str | None


@dataclass(frozen=True, slots=True)
class Frame:
    """What all records of a dataset have in common.

    Attributes:
        repo: `owner/name`.
        tag: of the version.
        kind: config of the rows.
        constitution: of the version, or None.
        shown: whether the AI's label is shown.
        better: id of the question `better` on the server.
        votes: row id -> the judge's votes on it, where its rationale is to be shown.
    """

    repo: str
    tag: str
    kind: Kind
    constitution: Constitution | None
    shown: bool
    better: str
    votes: Mapping[str, Sequence[Mapping[str, Any]]]

    def texts(self, row: Mapping[str, Any], first: First) -> dict[str, Any]:
        """See `shown_texts`."""
        return shown_texts(self.kind, row, first, self.constitution)


def external_id(row_id: str, texts: str) -> str:
    """The record's id outside of the server: the row's and the beginning of its texts' digest."""
    return f"{row_id}@{texts[:8]}"


def too_long(row: Mapping[str, Any]) -> bool:
    """Whether a row has more text than a page or the server can take; it is never cut."""
    chats = [row[name] for name in ("prompt", "chosen", "rejected", "completion") if name in row]
    if "initial_response" in row:
        chats.append([{"content": row["initial_response"]}])
    # Without making the bubbles: of 15,000 characters at most where the text is all markup.
    over = any(sum(len(m["content"]) // 15_000 + 1 for m in c) > MOST_BUBBLES for c in chats)
    return over or sum(len(m["content"]) for c in chats for m in c) > _MOST


def record_of(row: Mapping[str, Any], planned: Planned, frame: Frame) -> dict[str, Any]:
    """The record, as JSON values.

    Args:
        row: its columns.
        planned: the draw's part.
        frame: the dataset's part.
    """
    texts = frame.texts(row, planned.first)
    sha = texts_digest(texts)
    fields: dict[str, Any] = {
        name: bubbles(value) if name in _CHATS else plain(value) for name, value in texts.items()
    }
    rationale = _rationale(frame.votes.get(planned.row_id, ()), planned.first)
    if rationale:
        fields["rationale"] = plain(rationale)
    record: dict[str, Any] = {
        # The server takes no empty text for a value; the field is optional.
        "fields": {name: value for name, value in fields.items() if value != ""},
        "external_id": external_id(planned.row_id, sha),
        "metadata": _metadata(row, planned, frame, sha),
    }
    if frame.shown and planned.gold is None:
        record["suggestions"] = [_suggestion(row, planned, frame)]
    return record


def _metadata(
    row: Mapping[str, Any], planned: Planned, frame: Frame, sha: str
) -> dict[str, str | float]:
    if frame.kind == "sft":
        ids = {each["principle_id"] for each in row["revisions"]} - {""}
    else:
        ids = set(row["principle_ids"])
    found: dict[str, Any] = {
        "repo": frame.repo,
        "version": frame.tag,
        "row_id": planned.row_id,
        "prompt_id": row["prompt_id"],
        "principle_id": next(iter(ids)) if len(ids) == 1 else None,
        "category": category_of(row["source"]),
        "first": planned.first,
        "share": planned.share,
        "stratum": planned.stratum,
        "inclusion": planned.inclusion,
        "gold": planned.gold,
        "saw_ai": "yes" if frame.shown else "no",
        "texts": sha,
        P_CHOSEN: row.get("p_chosen"),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _suggestion(row: Mapping[str, Any], planned: Planned, frame: Frame) -> dict[str, Any]:
    """The AI's label: which it prefers, how surely, and which model said so."""
    if frame.kind == "sft":
        # Who revises means to better: the only label that an `sft` row has.
        model = row["revisions"][-1]["model"] if row["revisions"] else ""
        value, score = "BETTER", None
    else:
        model, score = row["judge_model"], row["p_chosen"]
        value = "A" if planned.first == "chosen" else "B"
    agent = _NO_AGENT.sub("-", model)[:200]
    found = {"question_id": frame.better, "value": value, "score": score, "type": "model"}
    return found | ({"agent": agent} if re.search("[A-Za-z0-9]", agent) else {})


def _rationale(votes: Sequence[Mapping[str, Any]], first: First) -> str:
    """What the judge wrote for its choice, from a vote in the order shown here if there is one.

    The judge calls A what it saw first. `p_a` is of the candidates, and the row's `chosen` is the
    one that most votes are for.
    """
    told = [vote for vote in votes if vote["rationale"]]
    if not told:
        return ""
    lead = float(sum({"A": 1, "B": -1}.get(vote["verdict"], 0) for vote in votes))
    lead = lead or sum((0.5 if vote["p_a"] is None else vote["p_a"]) - 0.5 for vote in votes)
    winner = "A" if lead >= 0 else "B"
    a_first = (winner == "A") == (first == "chosen")
    order = "AB" if a_first else "BA"
    ranked = sorted(told, key=lambda vote: (vote["verdict"] != winner, vote["order"] != order))
    best = ranked[0]
    if best["order"] == order:
        return str(best["rationale"])
    return f"(The judge saw the two in the other order: its A is B here.)\n{best['rationale']}"
