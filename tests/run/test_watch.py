"""The watch over a run: what it makes of the counts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from charter.run import watch as watching
from charter.run.journal import Journal
from charter.run.progress import Silent
from charter.run.tally import Tally
from charter.run.watch import Watch


def stage(price):
    asking = SimpleNamespace(most_calls=lambda: 2)
    return SimpleNamespace(name="respond", asking=asking, price=price, lane=None)


def count(tally, calls, cached, written):
    tally.calls["respond"], tally.cached["respond"] = calls, cached
    tally.tokens["generator"] = [0, written]


def test_rates_are_of_the_last_seconds_and_what_is_left_goes_by_them():
    tally = Tally()
    watch = Watch([stage(object())], 100, tally, Silent(), Journal(None))
    first = watch.snapshot(0.0)
    assert (first.calls_per_s, first.tokens_per_s, first.left) == (0.0, 0.0, None)
    count(tally, 60, 20, 400)
    now = watch.snapshot(4.0)
    # Of 60 answers 20 were known; 140 of 200 are to come, at 15 a second.
    assert (now.calls_per_s, now.tokens_per_s) == (10.0, 100.0)
    assert now.left == pytest.approx(140 / 15)
    assert (now.steps[0].total, now.steps[0].done, now.steps[0].cached) == (200, 60, 20)
    watch.snapshot(11.0)
    count(tally, 80, 20, 400)
    assert watch.snapshot(13.0).calls_per_s == pytest.approx(20 / 9)  # since the second 4
    assert now.cost == 0.0


def test_a_cost_is_not_known_where_a_price_is_not():
    watch = Watch([stage(object()), stage(None)], 1, Tally(), Silent(), Journal(None))
    assert watch.snapshot(1.0).cost is None


def test_people_are_told_more_often_than_the_log_and_both_of_the_end(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: clock.now))
    told, logged = [], []
    progress = SimpleNamespace(update=lambda snapshot: told.append(clock.now))
    journal = SimpleNamespace(event=lambda name, **facts: logged.append(clock.now))
    watch = Watch([stage(object())], 1, Tally(), progress, journal)
    for eighth in range(41):
        clock.now = eighth / 8
        watch.look()
    assert told == [quarter / 4 for quarter in range(1, 21)] and logged == [2.0, 4.0]
    watch.look(last=True)
    assert told[-1] == logged[-1] == 5.0 and len(told) == 21
