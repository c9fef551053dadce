"""Figures that are counted from the rows of a version: for its manifest and its card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from charter.rows import Verdict

__all__ = ["figures"]

Rows = Mapping[str, Sequence[Mapping[str, Any]]]

_QUANTILES: Final = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
_TEXTS: Final = (
    ("sft", "prompt"),
    ("sft", "completion"),
    ("preference", "chosen"),
    ("preference", "rejected"),
)


def figures(rows: Rows) -> dict[str, Any]:
    """Counts and distributions of the rows; names without rows behind them are left out.

    Returns:
        `verdicts`: verdict -> votes.
        `order_consistent`: `consistent` of `rows` labels have one winner in both orders.
        `label_sources`: source -> rows.
        `p_chosen`: quantiles.
        `chosen_longer`: in `longer` of `rows` pairs the chosen text has more characters.
        `rejects`: ledger -> reason -> rejects.
        `lengths`: `config.column` -> quantiles of its length in characters.
    """
    pairs, votes = rows.get("preference", ()), rows.get("judgments", ())
    result: dict[str, Any] = {}
    if votes:
        counts = Counter(str(vote["verdict"]) for vote in votes)
        result["verdicts"] = {verdict.value: counts[verdict.value] for verdict in Verdict}
    if pairs:
        result |= _pair_figures(pairs)
    if rows.get("rejects"):
        result["rejects"] = _reject_figures(rows["rejects"])
    lengths = {
        f"{config}.{column}": _quantiles(_length(row[column]) for row in rows[config])
        for config, column in _TEXTS
        if rows.get(config)
    }
    if lengths:
        result["lengths"] = lengths
    return result


def _pair_figures(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    longer = sum(_length(row["chosen"]) > _length(row["rejected"]) for row in pairs)
    return {
        "order_consistent": {
            "consistent": sum(row["order_consistent"] for row in pairs),
            "rows": len(pairs),
        },
        "label_sources": dict(sorted(Counter(str(row["label_source"]) for row in pairs).items())),
        "p_chosen": _quantiles(row["p_chosen"] for row in pairs),
        "chosen_longer": {"longer": longer, "rows": len(pairs)},
    }


def _reject_figures(rejects: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    counts = Counter((str(row["ledger"]), str(row["reason"])) for row in rejects)
    result: dict[str, dict[str, int]] = {}
    for (ledger, reason), n in sorted(counts.items()):
        result.setdefault(ledger, {})[reason] = n
    return result


def _length(messages: Iterable[Mapping[str, str]]) -> int:
    return sum(len(message["content"]) for message in messages)


def _quantiles(values: Iterable[float]) -> dict[str, float]:
    """Nearest-rank quantiles: each is a value that occurs."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {name: ordered[round(share * last)] for name, share in _QUANTILES.items()}
