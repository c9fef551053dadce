from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.review.embedded.inside.filters import WrongFilter, moment
from charter.review.embedded.inside.sorting import shuffled
from charter.review.embedded.inside.source import microseconds

START = datetime(1970, 1, 1, tzinfo=UTC)


def said(micro: int) -> str:
    return (START + timedelta(microseconds=micro)).isoformat()


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)))
def test_moments_are_read_as_they_are_written(when: datetime) -> None:
    expected = microseconds(when)
    assert moment(when.isoformat(timespec="microseconds")) == expected
    assert moment(when.isoformat(" ", "microseconds") + "+00:00") == expected
    assert moment(when.isoformat(timespec="microseconds") + "+02:00") == expected - 7200 * 10**6


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01T00:00:00+00:00", "2024-12-31T23:59:59.999999+00:00"),
        ("2024-02", "2024-02-01T00:00:00+00:00", "2024-02-29T23:59:59.999999+00:00"),
        ("2024-12-31", "2024-12-31T00:00:00+00:00", "2024-12-31T23:59:59.999999+00:00"),
        ("2024-12-31T23", "2024-12-31T23:00:00+00:00", "2024-12-31T23:59:59.999999+00:00"),
        ("2024-12-31T23:30Z", "2024-12-31T23:30:00+00:00", "2024-12-31T23:30:59.999999+00:00"),
        ("2024-12-31 23:30:05", "2024-12-31T23:30:05+00:00", "2024-12-31T23:30:05.999999+00:00"),
        (
            "2024-12-31 23:30:05.5",
            "2024-12-31T23:30:05.500000+00:00",
            "2024-12-31T23:30:05.500000+00:00",
        ),
        ("1000", "1970-01-01T00:00:01+00:00", "1970-01-01T00:00:01+00:00"),
    ],
)
def test_a_moment_cut_short_is_a_span(text: str, first: str, last: str) -> None:
    if text == "1000":  # four digits are a year
        text = "1000.0"
    assert said(moment(text)) == first
    assert said(moment(text, last=True)) == last


@pytest.mark.parametrize("text", ["", "now", "2024-13", "2024-02-30", "24-01-01", "nan", "1e999"])
def test_what_is_no_date_is_said_to_be_none(text: str) -> None:
    with pytest.raises(WrongFilter, match="no date"):
        moment(text)


def test_orders_of_people_are_spread_evenly() -> None:
    import sqlite3

    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE r (shuffle INTEGER)")
    db.executemany(
        "INSERT INTO r VALUES (?)", [(place * 2_000_003 % 2**31,) for place in range(2000)]
    )
    seen = []
    for user in ("ann", "bob"):
        share = [row[0] for row in db.execute(f"SELECT {shuffled(user).sql} FROM r")]
        assert min(share) > 0 and max(share) <= 1
        assert 0.45 < sum(share) / len(share) < 0.55
        seen.append(sorted(range(2000), key=share.__getitem__))
    db.close()
    together = len(set(seen[0][:200]) & set(seen[1][:200]))
    assert together < 60  # 20 by chance
