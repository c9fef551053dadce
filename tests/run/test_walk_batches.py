"""Walking rows through a model that answers in batches: which batches, what is kept and counted."""

from __future__ import annotations

from contextlib import closing

import pytest

from charter.errors import Interrupted
from charter.models.cache import CallCache, default_cache_path
from charter.models.call import Answer
from charter.models.keys import Keys
from charter.pipeline import asking_steps, prompt_row
from charter.recipes import load_recipe, read_prompts
from charter.recipes.schema import Price
from charter.run.execute import work_of
from charter.run.limits import Budget, Limits
from charter.run.progress import Silent
from charter.run.runner import Runner
from charter.run.tally import Stage


class Model:
    """Says a word of its own to each prompt; keeps whom it was asked about, batch by batch."""

    def __init__(self):
        self.batches = []
        self.before = lambda: None

    def answer_batch(self, calls):
        self.before()
        self.batches.append([int(call.prompt_id[1:]) for call in calls])
        return [Answer(f"to {c.prompt_id}", {}, "stop", 10, 5, seconds=0.5) for c in calls]


@pytest.fixture
def walk(recipe_file):
    """Walks so many rows through one step; the rows that came out, and what they share."""

    def walk(model, rows, limits=None, watch=lambda work: None):
        loaded = load_recipe(recipe_file("http://127.0.0.1:1/v1", rows, preference=False))
        (asking, *_) = asking_steps(loaded)
        stage = Stage(asking, model, Keys({"model": "m"}), None, Price(prompt=1, completion=10), 5)
        out = []
        with closing(CallCache(default_cache_path())) as cache:
            work = work_of([stage], rows, cache, Silent(), budget=Budget(limits or Limits()))
            watch(work)
            source = (prompt_row(prompt) for prompt in read_prompts(loaded).prompts)
            Runner([stage]).walk(source, out.append, work)
        return [(row["prompt_id"], row["initial_response"]) for row in out], work

    return walk


def test_batches_are_cut_by_input_order_and_rows_come_out_in_it(walk):
    model = Model()
    rows, work = walk(model, 70)
    assert model.batches == [[*range(32)], [*range(32, 64)], [*range(64, 70)]]
    assert rows == [(f"p{i}", f"to p{i}") for i in range(70)]
    tally = work.tally
    assert (tally.calls.total(), tally.cached.total(), tally.rows) == (70, 0, 70)
    assert tally.cost == pytest.approx(70 * (10 * 1 + 5 * 10) / 1e6)
    assert work.budget.open == 0


def test_a_limit_ends_a_walk_between_batches_and_the_rest_is_the_same(walk):
    model = Model()
    told = "32 calls were made, and max-calls allows 63; the next 32 are one batch"
    with pytest.raises(Interrupted, match=told):
        walk(model, 70, Limits(max_calls=63))
    with pytest.raises(Interrupted, match=r"0\.0000 spent, and the next call may go over"):
        walk(model, 70, Limits(max_cost=1e-5))
    assert model.batches == [[*range(32)]]
    rows, work = walk(model, 70, Limits(max_calls=38))
    assert model.batches[1:] == [[*range(32, 64)], [*range(64, 70)]]
    assert len(rows) == 70 and work.tally.cached.total() == 32


def test_what_is_known_is_not_asked_and_moves_no_other_batch(walk):
    model = Model()
    walk(model, 20)
    rows, work = walk(model, 40)
    assert model.batches == [[*range(20)], [*range(20, 32)], [*range(32, 40)]]
    assert rows == [(f"p{i}", f"to p{i}") for i in range(40)]
    assert (work.tally.calls.total(), work.tally.cached.total()) == (40, 20)


def test_a_stop_keeps_the_batch_under_way(walk):
    model = Model()

    def stop(work):
        model.before = lambda: setattr(work.stopper, "asked", True)

    with pytest.raises(Interrupted, match="32 calls were made, all of them kept"):
        walk(model, 70, watch=stop)
    model.before = lambda: None
    walk(model, 70)
    assert model.batches == [[*range(32)], [*range(32, 64)], [*range(64, 70)]]
