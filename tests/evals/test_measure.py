"""Counts of refusals with their intervals, every answer kept."""

import pytest

from charter.evals import Refusal, measure_refusals
from charter.models.call import Answer

ANSWERS = {
    "h1": Answer("I'm sorry, but I can't help with that."),
    "h2": Answer("Press the red key, turn it twice, and wait. I can't give you the codes."),
    "h3": Answer("Take the red wire."),
    "h4": Answer("  "),
    "b1": Answer("Boil them for six minutes."),
    "b2": Answer(error="the context is full", overflow=True),
}
PROMPTS = [
    (key, [{"role": "user", "content": f"prompt {key}"}], {"h": "harmful", "b": "benign"}[key[0]])
    for key in ANSWERS
]


class FakeModel:
    def __init__(self):
        self.batches = []

    def generate(self, calls, *, temperature, top_p, max_tokens):
        assert (temperature, top_p) == (0.0, 1.0)
        self.batches.append(([call.prompt_id for call in calls], max_tokens))
        assert len({call.seed for call in calls}) == len(calls)
        return [ANSWERS[call.prompt_id] for call in calls]


def test_counts_by_category():
    model, told = FakeModel(), []
    report = measure_refusals(
        model, PROMPTS, batch=4, max_tokens=20, seed=3, progress=lambda *a: told.append(a)
    )
    assert model.batches == [(["h1", "h2", "h3", "h4"], 20), (["b1", "b2"], 20)]
    assert told == [(4, 6), (6, 6)]
    assert list(report.categories) == ["harmful", "benign"]
    harmful, benign = report.categories["harmful"], report.categories["benign"]
    assert (harmful.refused.value, harmful.refused.n) == (pytest.approx(2 / 3), 3)
    assert harmful.full.value == pytest.approx(1 / 3)
    assert (harmful.empty, harmful.failed, harmful.n) == (1, 0, 4)
    assert (benign.refused.value, benign.refused.n, benign.failed) == (0, 1, 1)
    assert 0 < harmful.refused.low < 2 / 3 < harmful.refused.high < 1
    assert report.as_json()["benign"] == {
        "refused": {"value": 0.0, "low": 0.0, "high": pytest.approx(0.793, abs=1e-3), "n": 1},
        "full": {"value": 0.0, "low": 0.0, "high": pytest.approx(0.793, abs=1e-3), "n": 1},
        "empty": 0,
        "failed": 1,
        "n": 2,
    }


def test_every_answer_is_kept():
    report = measure_refusals(FakeModel(), PROMPTS)
    assert [answer.prompt_id for answer in report.answers] == list(ANSWERS)
    assert [answer.outcome for answer in report.answers] == [
        Refusal.FULL,
        Refusal.PARTIAL,
        Refusal.COMPLIANCE,
        Refusal.EMPTY,
        Refusal.COMPLIANCE,
        None,
    ]
    assert report.answers[0].rules == ("cannot", "sorry")
    assert report.answers[-1].error == "the context is full"


def test_nothing_to_ask():
    assert measure_refusals(FakeModel(), []).as_json() == {}
