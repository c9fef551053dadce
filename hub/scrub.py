"""Take out of a walked row what is not to be published, before anything is made of it.

Done before labels are made, so that the rows of all configs hold the same texts, candidates that
say the same once they are masked become IDENTICAL, and neither report nor details show more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from charter.hub.contamination import Overlap
from charter.hub.secret_rules import SecretKind
from charter.hub.secrets import Policy, find_in, masked
from charter.rows import Reason, Row
from charter.steps.asking import prepared
from charter.steps.respond import INITIAL

__all__ = ["STAGE", "decontaminated", "dropped", "scrub_row", "scrubbed"]

STAGE: Final = "publish"
"""The stage of a reject that is made here."""

# A source may be any column of people's records: their authors, for one.
_ALONE: Final = ("initial_response", "source")
_TEXTS: Final = {
    "prompt": ("content",),
    "revisions": ("critique", "revision"),
    "candidates": ("text",),
    "votes": ("raw", "rationale", "error"),
    "faults": ("detail",),
}


def scrub_row(row: Row, policy: Policy) -> tuple[Row, Counter[SecretKind]]:
    """The row as it may be published, and what was taken out of it, by kind.

    What the policy wants masked is `[KIND]` in every text of the row; the given row stays as it
    is. Where it wants anything dropped the row keeps its prompt and one fault, of reason SECRET:
    it gives one reject in each ledger that it is in, as a prompt whose first call failed does.

    Args:
        row: a walked row, without labels.
        policy: what is done about what.
    """
    row = prepared(row)
    if not policy.changes:
        return row, Counter()
    places = list(_places(row))
    found = find_in(pl.Series([text for _, text in places], dtype=pl.String), policy.kinds)
    kinds = Counter(one.kind for secrets in found.values() for one in secrets)
    taken = Counter({k: n for k, n in kinds.items() if policy.action(k) in ("mask", "drop")})
    if not taken:
        return row, taken
    away = [k for k in taken if policy.action(k) == "drop"]
    if away:
        at = next(at for at, secrets in found.items() if any(one.kind in away for one in secrets))
        detail = f"{', '.join(sorted(away))} (first in {places[at][0]})"
        return scrubbed(dropped(row, Reason.SECRET, detail), policy), taken
    return scrubbed(row, policy), taken


def decontaminated(row: Row, overlap: Overlap) -> Row:
    """The row, or a dropped one where its prompt or an answer overlaps with an evaluation set.

    Compared is what people train on: the prompt, the candidates and the last revision.
    """
    row = prepared(row)
    texts = [message["content"] for message in row["prompt"]]
    texts += [candidate["text"] for candidate in row["candidates"]]
    texts += [entry["revision"] for entry in row["revisions"][-1:]]
    names = overlap.names(texts)
    if not names:
        return row
    return dropped(row, Reason.CONTAMINATED, f"overlaps with {', '.join(names)}")


def scrubbed(value: Any, policy: Policy) -> Any:
    """A value with every text in it masked, whatever the policy masks or drops of it.

    For rows, and for what has no row: the detail of a reject, or the text that splits go by.
    """
    kinds = frozenset(k for k in policy.kinds if policy.action(k) in ("mask", "drop"))
    return _masked(value, kinds) if kinds else value


def dropped(row: Row, reason: Reason, detail: str) -> Row:
    """The row as that of a prompt whose first answer was lost for this reason."""
    fault = {"stage": STAGE, "slot": INITIAL, "reason": reason.value, "detail": detail}
    lists: Row = {name: [] for name in ("revisions", "candidates", "votes", "reasons", "labels")}
    return {**row, **lists, "initial_response": None, "faults": [fault]}


def _places(row: Row) -> Iterator[tuple[str, str]]:
    """Where there are texts in a row."""
    for name in _ALONE:
        if row[name]:
            yield name, row[name]
    for name, keys in _TEXTS.items():
        for item in row[name]:
            for key in keys:
                if item.get(key):
                    yield f"{name}.{key}", item[key]


def _masked(value: Any, kinds: frozenset[SecretKind]) -> Any:
    if isinstance(value, str):
        return masked(value, kinds)
    if not isinstance(value, dict):
        return value
    done = dict(value)
    for name in _ALONE:
        if done.get(name):
            done[name] = masked(done[name], kinds)
    for name, keys in _TEXTS.items():
        if name in done:
            done[name] = [
                {**item, **{key: masked(item[key], kinds) for key in keys if item.get(key)}}
                for item in done[name]
            ]
    return done
