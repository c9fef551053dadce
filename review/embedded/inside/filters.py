"""Filters as SQL conditions on a record (`r`); every name and value is a bound parameter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from charter.review.embedded.inside.source import Scalar, clean, microseconds

__all__ = [
    "All",
    "Between",
    "Condition",
    "Filter",
    "OneOf",
    "Scope",
    "WrongFilter",
    "condition",
    "moment",
]

RECORD_COLUMNS: Final = ("id", "external_id", "status", "inserted_at", "updated_at")
_MOMENTS = ("inserted_at", "updated_at")
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r"(Z|[+-]\d\d:?\d\d)?)?)?)?"
)


class WrongFilter(ValueError):
    """A filter that can't be applied; the message says why."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a record is looked at.

    Attributes:
        kind: `record`, `metadata`, `response`, `status` (of responses), or the part of a
            suggestion: `value`, `score`, `agent`, `type`.
        name: column of the record, metadata property, or question; none for `status`.
        user: only responses of the person with this UUID.
    """

    kind: Literal["record", "metadata", "response", "status", "value", "score", "agent", "type"]
    name: str = ""
    user: str | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """True where any value of the record is one of these. A number may be given as text."""

    scope: Scope
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Between:
    """True where any value of the record lies between two, which are in it."""

    scope: Scope
    ge: str | float | None = None
    le: str | float | None = None


@dataclass(frozen=True, slots=True)
class All:
    """True where all of them are."""

    filters: Sequence[Filter]


Filter = OneOf | Between | All


@dataclass(frozen=True, slots=True)
class Condition:
    """A piece of SQL and what is bound in it, in order."""

    sql: str
    values: tuple[Scalar, ...] = ()


def condition(wanted: Filter, dataset: int) -> Condition:
    """The SQL condition on `records r` of a filter.

    Args:
        wanted: the filter.
        dataset: the number that the dataset has in the index.

    Raises:
        WrongFilter: a scope without meaning, or a date that is none.
    """
    if isinstance(wanted, All):
        parts = [condition(one, dataset) for one in wanted.filters]
        sql = " AND ".join(f"({part.sql})" for part in parts) or "1"
        return Condition(sql, tuple(value for part in parts for value in part.values))
    scope = wanted.scope
    if scope.kind == "record":
        return _record(wanted)
    if scope.kind == "status":
        return _status(wanted)
    table = "answers" if scope.kind == "response" else "facts"
    user = (scope.user,) if scope.kind == "response" and scope.user else ()
    mine = " AND t.user = ?" if user else ""
    test = _test(wanted, "t.value")
    return Condition(
        f"EXISTS (SELECT 1 FROM {table} t WHERE t.doc = r.doc"  # noqa: S608 - our own names
        " AND t.key = (SELECT key FROM keys WHERE dataset = ? AND kind = ? AND name = ?)"
        f"{mine} AND {test.sql})",
        (dataset, scope.kind, clean(scope.name), *user, *test.values),
    )


def moment(given: str | float, *, last: bool = False) -> int:
    """Microseconds since 1970 of a date as people and programs write it; UTC without a zone.

    Args:
        given: ISO 8601, whole or cut short after any part; or milliseconds since 1970.
        last: of what is cut short the last microsecond, not the first.

    Raises:
        WrongFilter: it is no date.
    """
    text = str(given).strip()
    found = _DATE.fullmatch(text)
    try:
        if found:
            return _moment(found, last=last)
        if _NUMBER.fullmatch(text):
            return round(float(text) * 1000)
    except (ValueError, OverflowError):
        pass
    raise WrongFilter(f"{clean(text)[:80]!r} is no date; one is 2026-11-28T19:30:00")


def _moment(found: re.Match[str], *, last: bool) -> int:
    *parts, fraction, zone = found.groups()
    year, month, day, hour, minute, second = (int(part) if part else None for part in parts)
    tz = UTC
    if zone and zone != "Z":
        tz = datetime.strptime(zone, "%z").tzinfo  # type: ignore[assignment]
    micro = int((fraction or "").ljust(6, "0")[:6])
    start = datetime(
        year or 1, month or 1, day or 1, hour or 0, minute or 0, second or 0, micro, tz
    )
    if not last or fraction:
        return microseconds(start)
    return microseconds(_next(start, month, day, hour, minute, second)) - 1


def _next(start: datetime, *given: int | None) -> datetime:
    month, day, hour, minute, second = given
    if month is None:
        return start.replace(year=start.year + 1)
    if day is None:
        return (start + timedelta(days=31)).replace(day=1)
    for part, length in ((hour, "days"), (minute, "hours"), (second, "minutes")):
        if part is None:
            return start + timedelta(**{length: 1})
    return start + timedelta(seconds=1)


def _record(wanted: OneOf | Between) -> Condition:
    name = wanted.scope.name
    if name not in RECORD_COLUMNS:
        raise WrongFilter(f"records can't be filtered by {name!r}")
    column = f"r.{name}"
    if name in _MOMENTS:
        if isinstance(wanted, OneOf):
            return _among(column, [moment(value) for value in wanted.values])
        ge = None if wanted.ge is None else moment(wanted.ge)
        le = None if wanted.le is None else moment(wanted.le, last=True)
        return _bounds(column, ge, le)
    if isinstance(wanted, OneOf):
        values = [clean(value) for value in wanted.values]
        return _among(column, [value.lower() for value in values] if name == "id" else values)
    return _bounds(column, _text(wanted.ge), _text(wanted.le))


def _status(wanted: OneOf | Between) -> Condition:
    if not isinstance(wanted, OneOf):
        raise WrongFilter("responses can't be filtered by a range of statuses")
    user: tuple[Scalar, ...] = (wanted.scope.user,) if wanted.scope.user else ()
    mine = " AND t.user = ?" if user else ""
    there = f"SELECT 1 FROM responses t WHERE t.doc = r.doc{mine}"  # noqa: S608 - our own names
    given = [clean(value) for value in wanted.values if value != "pending"]
    test = _among("t.status", given)
    answered = Condition(f"EXISTS ({there} AND {test.sql})", user + test.values)
    if "pending" not in wanted.values:
        return answered
    pending = Condition(f"NOT EXISTS ({there})", user)
    if not given:
        return pending
    return Condition(f"{pending.sql} OR {answered.sql}", pending.values + answered.values)


def _test(wanted: OneOf | Between, column: str) -> Condition:
    if isinstance(wanted, OneOf):
        values: list[Scalar] = []
        for value in wanted.values:
            number = _as_number(value)
            values += [clean(value)] if number is None else [clean(value), number]
        return _among(column, values)
    # Text is compared with text, and numbers with numbers; which they are the record says.
    sides = []
    texts = _bounds(column, _text(wanted.ge), _text(wanted.le))
    sides.append(Condition(f"typeof({column}) = 'text' AND {texts.sql}", texts.values))
    ge, le = _as_number(wanted.ge), _as_number(wanted.le)
    if (ge is None) == (wanted.ge is None) and (le is None) == (wanted.le is None):
        numbers = _bounds(column, ge, le)
        sides.append(Condition(f"typeof({column}) <> 'text' AND {numbers.sql}", numbers.values))
    sql = " OR ".join(f"({side.sql})" for side in sides)
    return Condition(f"({sql})", tuple(value for side in sides for value in side.values))


def _among(column: str, values: Sequence[Scalar]) -> Condition:
    return Condition(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))


def _bounds(column: str, ge: Scalar | None, le: Scalar | None) -> Condition:
    tests = [(">=", ge), ("<=", le)]
    given = [(sign, value) for sign, value in tests if value is not None]
    sql = " AND ".join(f"{column} {sign} ?" for sign, _ in given) or f"{column} IS NOT NULL"
    return Condition(sql, tuple(value for _, value in given))


def _text(value: str | float | None) -> str | None:
    return None if value is None else clean(str(value))


def _as_number(value: str | float | None) -> float | int | None:
    if value is None or isinstance(value, int | float):
        return value
    if not _NUMBER.fullmatch(value) or not value.isascii():
        return None
    try:
        whole = int(value) if len(value) < 40 else 2**63
    except ValueError:
        return float(value)
    return whole if -(2**63) <= whole < 2**63 else float(value)
