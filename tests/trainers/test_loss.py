"""The loss that TRL's own trainers compute, row by row, beside the formula of the page."""

import math

import pytest
import torch
from transformers import AutoTokenizer

from charter.trainers import METHODS, read_settings
from charter.trainers.defaults import defaults_of
from charter.trainers.method import Job
from charter.trainers.quiet import quiet
from charter.trainers.rows import read_rows

SURE = (0.56, 0.7, 0.9, 1.0)


@pytest.fixture
def built(make_version, tiny_model, place, preference_row):
    """The trainer of a method on four pairs, as `train` builds it."""

    def build(name, **values):
        rows = [{**preference_row(i), "p_chosen": p} for i, p in enumerate(SURE)]
        test = [{**preference_row(i), "p_chosen": p} for i, p in enumerate(SURE, 4)]
        version = make_version({"preference": {"train": rows, "test": test}})
        values |= {"per_device_train_batch_size": 1, "train_sampling_strategy": "sequential"}
        settings = read_settings(name, version, place / "out", values=values)
        method = METHODS[name]
        rows = read_rows(settings, method)
        arguments = {**defaults_of(settings, method), **settings.fields}
        job = Job(
            model=str(tiny_model),
            tokenizer=AutoTokenizer.from_pretrained(tiny_model),
            arguments={**arguments, "output_dir": str(place / "out")},
            train=rows.train,
            test=rows.test,
            peft_config=None,
            callbacks=(),
            settings=settings,
        )
        trainer = method.build(job)
        trainer.model.train()
        return trainer

    with quiet():
        yield build


def yes(d):
    """-log sigmoid(d)."""
    return math.log1p(math.exp(-d))


def row_loss(soft, p, d):
    e = 1 - p
    return {
        "none": yes(d),
        "conservative": (1 - e) * yes(d) + e * yes(-d),
        "robust": ((1 - e) * yes(d) - e * yes(-d)) / (1 - 2 * e),
        "target": p * yes(d) + (1 - p) * yes(-d),
        "margin": yes(d - (2 * p - 1)),
    }[soft]


WEIGHTS = {"none": (1.0,) * 4, "confidence": [(2 * p - 1) / (sum(SURE) / 2 - 1) for p in SURE]}


@pytest.mark.parametrize(
    ("method", "soft", "weight"),
    [
        ("dpo", "none", "confidence"),
        ("dpo", "conservative", "none"),
        ("dpo", "robust", "confidence"),
        ("reward", "none", "confidence"),
        ("reward", "target", "none"),
        ("reward", "target", "confidence"),
        ("reward", "margin", "none"),
        ("reward", "margin", "confidence"),
    ],
)
def test_the_loss_of_each_row_is_the_one_that_is_stated(built, method, soft, weight):
    trainer = built(method, soft_labels=soft, weight=weight)
    with torch.no_grad():  # away from its reference, and from small differences of rewards
        generator = torch.Generator().manual_seed(0)
        for each in trainer.model.parameters():
            each += 0.3 * torch.randn(each.shape, generator=generator)
    named = "rewards/margins" if method == "dpo" else "margin"
    found, expected = [], []
    for p, w, batch in zip(SURE, WEIGHTS[weight], trainer.get_train_dataloader(), strict=True):
        found.append(trainer.compute_loss(trainer.model, batch).item())
        d = trainer._metrics["train"][named][-1]
        assert abs(d) > 0.01
        expected.append(w * row_loss(soft, p, d))
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_the_loss_of_a_batch_is_the_mean_of_its_rows(built, method):
    trainer = built(method, weight="confidence")
    one_by_one = [
        trainer.compute_loss(trainer.model, batch).item()
        for batch in trainer.get_train_dataloader()
    ]
    trainer._train_batch_size = 4
    [batch] = trainer.get_train_dataloader()
    whole = trainer.compute_loss(trainer.model, batch).item()
    assert whole == pytest.approx(sum(one_by_one) / 4, rel=1e-4)


@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_rows_of_test_are_measured_by_their_labels_and_without_weights(built, method):
    [batch] = built(method, weight="confidence").get_eval_dataloader()
    assert batch["p_chosen"].tolist() == pytest.approx(SURE)
    assert batch["row_weight"].tolist() == [1.0] * 4
