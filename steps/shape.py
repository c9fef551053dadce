"""Shape: from a walked row to the rows that are published, and the rejects that are not."""

from __future__ import annotations

import math
from typing import Any

from charter.rows import Ledger, Message, Reason, Row
from charter.steps.asking import fault_at, prepared
from charter.steps.critique import REVISED
from charter.steps.respond import INITIAL

__all__ = ["judgment_rows", "planned_pairs", "preference_rows", "reject_rows", "sft_rows"]


def _said(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def _reject(ledger: Ledger, row: Row, fault: dict[str, str], pair_id: str | None) -> Row:
    return {
        "ledger": ledger.value,
        "prompt_id": row["prompt_id"],
        "pair_id": pair_id,
        "stage": fault["stage"],
        "reason": fault["reason"],
        "detail": fault["detail"],
    }


def _sft_fault(row: Row) -> dict[str, str] | None:
    return fault_at(row, INITIAL) or fault_at(row, REVISED)


def sft_rows(row: Row) -> list[Row]:
    """The supervised row: the prompt and the last revision, or nothing where it is missing."""
    row = prepared(row)
    if _sft_fault(row) or not row["revisions"] or not row["revisions"][-1]["revision"]:
        return []
    return [
        {
            "id": f"{row['prompt_id']}#sft",
            "prompt": row["prompt"],
            "completion": _said(row["revisions"][-1]["revision"]),
            "initial_response": row["initial_response"],
            "revisions": row["revisions"],
            "prompt_id": row["prompt_id"],
            "source": row["source"],
        }
    ]


def preference_rows(row: Row, judge_model: str = "") -> list[Row]:
    """One row for each pair that has a label."""
    row = prepared(row)
    texts = {c["slot"]: c for c in row["candidates"]}
    rows = []
    for label in row["labels"]:
        if label["reason"]:
            continue
        won, lost = (label["a"], label["b"]) if label["winner"] == "A" else (label["b"], label["a"])
        p_chosen = label["p_chosen"]
        rows.append(
            {
                "id": label["pair_id"],
                "prompt": row["prompt"],
                "chosen": _said(texts[won]["text"]),
                "rejected": _said(texts[lost]["text"]),
                "p_chosen": p_chosen,
                # The odds of certainty are infinite, which no JSON can hold: null says so.
                "log_odds": math.log(p_chosen / (1 - p_chosen)) if p_chosen < 1 else None,
                "principle_ids": label["principle_ids"],
                "n_votes": label["n_votes"],
                "order_consistent": label["order_consistent"],
                "label_source": "ai",
                "source_label": _source_label(row, label),
                "chosen_model": texts[won]["model"],
                "rejected_model": texts[lost]["model"],
                "judge_model": judge_model,
                "prompt_id": row["prompt_id"],
                "source": row["source"],
            }
        )
    return rows


def _source_label(row: Row, label: Row) -> str | None:
    """What the source's own label says of our chosen one: `chosen`, `rejected`, `tie`, or None."""
    side = _source_side(row, label["a"], label["b"])
    if side in (None, "TIE"):
        return side and "tie"
    return "chosen" if side == label["winner"] else "rejected"


def _source_side(row: Row, a: str, b: str) -> str | None:
    """Which of two candidates the source's own label prefers: A, B, TIE; None where it is mute."""
    best: str | None = row.get("source_best")
    if best is None or (best != "" and best not in (a, b)):
        return None
    return "TIE" if best == "" else "A" if best == a else "B"


def judgment_rows(row: Row, judge_model: str = "") -> list[Row]:
    """One row a vote, parsed or not."""
    row = prepared(row)
    scores = row.get("scores") or {}
    return [
        {
            "comparison_id": vote["comparison_id"],
            "prompt_id": row["prompt_id"],
            "candidate_a": f"{row['prompt_id']}#{vote['candidate_a']}",
            "candidate_b": f"{row['prompt_id']}#{vote['candidate_b']}",
            "principle_id": vote["principle_id"],
            "order": vote["order"],
            "sample": vote.get("sample", 0),
            "verdict": vote["verdict"],
            "p_a": vote["p_a"],
            "rationale": vote.get("rationale"),
            "raw": vote["raw"],
            "judge_model": judge_model,
            "score_a": scores.get(vote["candidate_a"]),
            "score_b": scores.get(vote["candidate_b"]),
            "source_label": _source_side(row, vote["candidate_a"], vote["candidate_b"]),
            "prompt_tokens": vote["prompt_tokens"],
            "completion_tokens": vote["completion_tokens"],
        }
        for vote in row["votes"]
    ]


def _broken_pairs(row: Row, slots: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """Pairs of which one candidate is missing while the row formed others."""
    made = {c["slot"] for c in row["candidates"]}
    broken = []
    for i, a in enumerate(slots):
        for b in slots[i + 1 :]:
            if a in made and b in made:
                continue
            missing = a if a not in made else b
            fault = fault_at(row, missing) or _sft_fault(row)
            if fault:
                broken.append((f"{row['prompt_id']}#{a}~{b}", fault))
    return broken


def planned_pairs(row: Row, slots: tuple[str, ...]) -> int:
    """Pairs formed: labelled, rejected, or broken off; none when the row has no whole pair."""
    row = prepared(row)
    return len(row["labels"]) + (len(_broken_pairs(row, slots)) if row["labels"] else 0)


def reject_rows(
    row: Row, slots: tuple[str, ...] = (), sft: bool = True, judged: bool | None = None
) -> list[Row]:
    """Why the prompt has no sft row, and each pair no preference row.

    Args:
        row: a walked row.
        slots: the candidates' slots as the recipe wants them; empty where which pairs are formed
            is seen from the candidates that there are.
        sft: whether sft rows are made.
        judged: whether pairs are judged; by default where there are slots.
    """
    row = prepared(row)
    rejects = []
    fault = _sft_fault(row)
    if sft and fault:
        rejects.append(_reject(Ledger.SFT, row, fault, None))
    if not (bool(slots) if judged is None else judged):
        return rejects
    if not row["labels"]:
        first = row["faults"][0] if row["faults"] else None
        detail = f"no two candidates were made ({first['detail']})" if first else "no candidates"
        lack = {"stage": "pair", "reason": Reason.NO_PAIR.value, "detail": detail}
        return [*rejects, _reject(Ledger.PREFERENCE, row, lack, None)]
    for label in row["labels"]:
        if label["reason"]:
            found: dict[str, Any] = {**label, "stage": "keep"}
            rejects.append(_reject(Ledger.PREFERENCE, row, found, label["pair_id"]))
    for pair_id, lack in _broken_pairs(row, slots):
        rejects.append(_reject(Ledger.PREFERENCE, row, lack, pair_id))
    return rejects
