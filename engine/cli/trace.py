"""Print a walked row: what each step wrote, and every vote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from charter.cli.output import Output
from charter.rows import Row

if TYPE_CHECKING:
    from charter.constitutions import Constitution

__all__ = ["print_answers", "print_pair", "print_prompt", "print_revisions", "print_row"]


def print_prompt(output: Output, messages: list[dict[str, str]]) -> None:
    """The conversation."""
    for message in messages:
        output.quote(message["role"], message["content"])


def print_revisions(output: Output, initial: str | None, revisions: list[Any]) -> None:
    """The first response and each round."""
    output.quote("initial response", initial or "(none)")
    for number, entry in enumerate(revisions, 1):
        output.quote(f"critique {number} ({entry['principle_id']})", entry["critique"])
        output.quote(f"revision {number}", entry["revision"] or "(none)")


def print_pair(output: Output, row: Row, label: Row) -> None:
    """The two candidates of a pair, each vote, and what came of it."""
    texts = {c["slot"]: c["text"] for c in row["candidates"]}
    output.quote(f"A: {label['a']}", texts[label["a"]])
    output.quote(f"B: {label['b']}", texts[label["b"]])
    votes = [v for v in row["votes"] if v["comparison_id"] == label["pair_id"]]
    print_votes(output, votes)
    p_a = "" if label["p_a"] is None else f", p(A) {label['p_a']:.4f}"
    verdict = label["reason"] or f"{label['winner']} is chosen"
    orders = "agree" if label["order_consistent"] else "disagree"
    output.line(f"  -> {verdict}{p_a}, the two orders {orders}")


def print_votes(output: Output, votes: list[Any]) -> None:
    """One line a vote, and what the judge thought before it, where it was asked to."""
    output.table(
        ("principle", "order", "verdict", "p(A)", "the judge said"),
        [
            (
                vote["principle_id"],
                vote["order"],
                vote["verdict"],
                "" if vote["p_a"] is None else f"{vote['p_a']:.4f}",
                (vote["raw"] or "")[:60],
            )
            for vote in votes
        ],
    )
    for vote in votes:
        if vote.get("rationale"):
            output.quote(f"reasons ({vote['principle_id']}, {vote['order']})", vote["rationale"])


def print_answers(
    output: Output,
    row: Mapping[str, Any],
    answers: list[dict[str, Any]],
    constitution: Constitution,
) -> None:
    """What people said of a row, one line each; nothing where nobody was asked.

    In terms of the row as it stands: what an answer calls rejected may be `chosen` since.
    """
    if not answers:
        return
    from charter.hub.shown import verdict_now

    def now(answer: dict[str, Any]) -> str:
        verdict = verdict_now(answer["kind"], row, answer, constitution)
        return verdict or f"{answer['verdict']}, of other texts"

    marks = {
        "critique_right": "critique right",
        "still_harmful": "still harmful",
        "over_refusing": "over-refusing",
    }

    def said(answer: dict[str, Any]) -> str:
        told = [f"{name}: {'yes' if answer[key] else 'no'}" for key, name in marks.items()
                if answer[key] is not None]  # fmt: skip
        return ", ".join(told)

    output.table(
        ("reviewer", "people say", "sure", "", "comment"),
        [
            (a["reviewer"][:12], now(a), a["sure"] or "", said(a), a["comment"] or "")
            for a in answers
        ],
    )


def print_row(output: Output, row: Row) -> None:
    """Everything of a walked row."""
    output.line(f"== {row['prompt_id']}")
    print_prompt(output, row["prompt"])
    if row["initial_response"] is not None:
        print_revisions(output, row["initial_response"], row["revisions"])
    for candidate in row["candidates"]:
        output.quote(f"candidate {candidate['slot']}", candidate["text"])
    for label in row["labels"]:
        output.line(f"pair {label['a']} ~ {label['b']}")
        print_pair(output, row, label)
    for fault in row["faults"]:
        output.line(f"fault at {fault['stage']}: {fault['reason']}, {fault['detail']}")
    output.line()
