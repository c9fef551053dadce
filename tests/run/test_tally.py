"""What a run asked, counted in one process or in several."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from charter.models.call import Answer
from charter.recipes.schema import Price
from charter.run.tally import Tally

PRICE = Price(prompt=2.0, completion=10.0)


def stage(name, role, price=PRICE, one_token=False):
    return SimpleNamespace(
        asking=SimpleNamespace(name=name, role=role, one_token=one_token), price=price
    )


def said(text="yes", finish="stop", **fields):
    return Answer(text, {}, finish, 100, 10, seconds=0.5, **fields)


RESPOND, JUDGE = stage("respond", "generator"), stage("judge", "judge", None, one_token=True)
COUNTS = [
    lambda tally: tally.made(RESPOND, said()),
    lambda tally: tally.known(RESPOND, said()),
    lambda tally: tally.made(RESPOND, said(finish="length")),
    lambda tally: tally.made(RESPOND, said(error="no")),
    lambda tally: tally.known(RESPOND, said(" ")),
    lambda tally: tally.made(JUDGE, said(finish="length")),
    lambda tally: tally.probed(PRICE, said()),
]


def counted(*counts):
    tally = Tally()
    for count in counts:
        count(tally)
    return tally


def test_what_is_known_costs_nothing_and_what_fails_is_paid_as_well():
    found = counted(*COUNTS).as_json()
    assert found["calls"] == {"respond": 5, "judge": 1, "probe": 1}
    assert found["cached"] == {"respond": 2}
    assert found["failed"] == {"respond": 2}
    assert found["cut"] == {"respond": 1}  # one token of a judge is all that is asked for
    assert found["tokens"] == {"generator": [300, 30], "judge": [200, 20]}
    assert found["seconds"] == {"respond": 1.5, "judge": 0.5, "probe": 0.5}
    assert found["cost"] == pytest.approx(4 * (100 * 2 + 10 * 10) / 1e6)
    assert found["unpriced"] == ["judge"]


def test_counts_of_several_processes_add_up():
    whole, parts = counted(*COUNTS), [counted(*COUNTS[:3]), counted(*COUNTS[3:])]
    whole.rows, parts[0].rows, parts[1].rows = 7, 3, 4
    merged = Tally()
    for part in parts:
        merged.merge(part.as_json())
    assert merged.as_json() == {**whole.as_json(), "cost": pytest.approx(whole.cost)}
