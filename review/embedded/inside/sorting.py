"""Orders as SQL: what to compute for each record that was found, and how to sort by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from charter.review.embedded.inside.filters import RECORD_COLUMNS, Condition, Scope, WrongFilter
from charter.review.embedded.inside.source import clean

__all__ = ["Order", "order_terms", "shuffled", "sort_value"]

_PRIME = 2_147_483_647  # of two of its remainders the product still fits SQLite's integers


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by this; records that lack it stand last either way."""

    scope: Scope
    descending: bool = False


def sort_value(order: Order, dataset: int) -> Condition:
    """The SQL value of a record `r` to sort by.

    Of several values the least counts when ascending and the greatest when descending; of several
    people's ratings the mean.

    Raises:
        WrongFilter: records have no such property.
    """
    scope, pick = order.scope, "max" if order.descending else "min"
    if scope.kind == "record":
        if scope.name not in RECORD_COLUMNS:
            raise WrongFilter(f"records can't be sorted by {scope.name!r}")
        return Condition(f"r.{scope.name}")
    user = (scope.user,) if scope.user else ()
    mine = " AND t.user = ?" if user else ""
    if scope.kind == "status":
        sql = f"(SELECT {pick}(t.status) FROM responses t WHERE t.doc = r.doc{mine})"  # noqa: S608
        return Condition(sql, user)
    table, value = "facts", f"{pick}(t.value)"
    if scope.kind == "response":
        table = "answers"
        value = f"CASE typeof(max(t.value)) WHEN 'text' THEN {value} ELSE avg(t.value) END"
    else:
        user, mine = (), ""
    sql = (
        f"(SELECT {value} FROM {table} t WHERE t.doc = r.doc"  # noqa: S608 - our own names
        f" AND t.key = (SELECT key FROM keys WHERE dataset = ? AND kind = ? AND name = ?){mine})"
    )
    return Condition(sql, (dataset, scope.kind, clean(scope.name), *user))


def order_terms(orders: Sequence[Order]) -> list[str]:
    """The terms of ORDER BY for columns `s0`, `s1`, ..."""
    return [
        f"s{place} {'DESC' if order.descending else 'ASC'} NULLS LAST"
        for place, order in enumerate(orders)
    ]


def shuffled(user: str) -> Condition:
    """A number in (0, 1] for each record, another one for each person; always the same.

    A record keeps its place when it is answered and when the index is made anew, as it depends on
    nothing but the two ids. In SQL alone: a call back to Python for each record takes longer.
    """
    digest = sha256(user.encode()).digest()
    a, b, c = (int.from_bytes(digest[place : place + 4]) % (_PRIME - 1) + 1 for place in (0, 4, 8))
    once = f"((r.shuffle % {_PRIME}) * {a} + {b}) % {_PRIME}"
    twice = f"((({once}) * ({once})) % {_PRIME} + {c}) * {a} % {_PRIME}"
    return Condition(f"(({twice}) + 1) / {_PRIME}.0")
