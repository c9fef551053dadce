"""`p_chosen` in the loss: the stock loss where it is 1, and better than hard labels where not."""

import math

import pytest

from charter.errors import InputError
from charter.trainers import read_settings
from charter.trainers.labels import Labels, read_labels
from charter.trainers.train import train

FAST = {"max_steps": 4, "per_device_train_batch_size": 4, "learning_rate": 1e-2}


def run(version, model, out, method, **values):
    return train(read_settings(method, version, out, model=str(model), values={**FAST, **values}))


def certain(preference_row, p=1.0):
    rows = [{**preference_row(i), "p_chosen": p} for i in range(8)]
    return {"preference": {"train": rows[:6], "test": rows[6:]}}


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("dpo", {"soft_labels": "conservative"}),
        ("dpo", {"soft_labels": "robust", "weight": "confidence"}),
        ("dpo", {"weight": "confidence", "soft_labels": "none"}),
        ("dpo", {"soft_labels": "conservative", "precompute_ref_log_probs": True}),
        ("reward", {"soft_labels": "target"}),
        ("reward", {"soft_labels": "target", "weight": "confidence"}),
        ("reward", {"soft_labels": "target", "center_rewards_coefficient": 0.1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_certain_labels_are_the_stock_loss_to_the_last_bit(
    make_version, tiny_model, place, preference_row, method, values
):
    """The other side is TRL's own class: `soft_labels: none` without a weight uses it."""
    version = make_version(certain(preference_row))
    plain = {name: v for name, v in values.items() if name not in ("soft_labels", "weight")}
    stock = run(version, tiny_model, place / "stock", method, soft_labels="none", **plain)
    soft = run(version, tiny_model, place / "soft", method, **values)
    assert [entry["loss"] for entry in stock.history] == [entry["loss"] for entry in soft.history]
    assert stock.metrics["test_loss"] == soft.metrics["test_loss"]
    ours, theirs = weights(soft.model), weights(stock.model)
    assert all(ours[name].equal(theirs[name]) for name in theirs)


@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_unsure_labels_are_another_loss(make_version, tiny_model, place, preference_row, method):
    version = make_version(certain(preference_row, p=0.6))
    hard = run(version, tiny_model, place / "a", method, soft_labels="none")
    soft = run(version, tiny_model, place / "b", method)
    assert hard.metrics["last_loss"] < soft.metrics["last_loss"]
    assert hard.metrics["test_margin"] > soft.metrics["test_margin"]


def _row_loss(kind, p, d):
    """The losses as the page writes them, one row at a time, in plain Python."""
    e = 1 - p
    yes, no = math.log1p(math.exp(-d)), math.log1p(math.exp(d))
    if kind == "none":
        return yes
    if kind == "robust":
        return ((1 - e) * yes - e * no) / (1 - 2 * e)
    return (1 - e) * yes + e * no


@pytest.mark.parametrize("kind", ["none", "conservative", "robust"])
def test_the_smoothing_gives_the_formula_for_every_row(kind):
    import torch
    from torch.nn.functional import logsigmoid
    from trl import DPOConfig  # noqa: F401 - the formula below is that of this TRL

    from charter.trainers.soft_dpo import RowSmoothing, smoothing_of

    p = torch.tensor([0.56, 0.7, 0.9, 1.0])
    d = torch.tensor([-1.5, 0.0, 0.4, 3.0])
    w = torch.tensor([0.2, 1.0, 1.3, 2.0])
    s = RowSmoothing(smoothing_of(kind, p), w)
    clean = -(1 - s) * logsigmoid(d)
    flipped = -s * logsigmoid(-d)
    found = (clean - flipped) / (1 - 2 * s)
    rows = zip(p.tolist(), d.tolist(), w.tolist(), strict=True)
    expected = [weight * _row_loss(kind, each, at) for each, at, weight in rows]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("kind", "least"), [("conservative", 0.5005), ("robust", 0.55)])
def test_a_label_near_a_half_stays_a_number(kind, least):
    import torch

    from charter.trainers.soft_dpo import smoothing_of

    found = smoothing_of(kind, torch.tensor([0.5 + 1e-9, 0.5000001, 0.5001, least])).tolist()
    error = 1 - least
    held = error if kind == "robust" else -error / (1 - 2 * error)
    assert found == pytest.approx([held] * 4, rel=1e-3)
    [beyond] = smoothing_of(kind, torch.tensor([least + 0.01])).tolist()
    assert abs(beyond) < 0.99 * abs(held)


def test_min_p_leaves_rows_out_of_both_splits(make_version, tiny_model, place, preference_row):
    rows = [{**preference_row(i), "p_chosen": 0.55 + 0.05 * i} for i in range(9)]
    version = make_version({"preference": {"train": rows[:7], "test": [rows[0] | {"prompt_id": "x"},
                            rows[8]]}})  # fmt: skip
    done = run(version, tiny_model, place / "out", "dpo", min_p=0.7)
    assert (done.metrics["rows"], done.metrics["unsure_rows"]) == (4, 3)
    assert done.metrics["test_rows"] == 1
    with pytest.raises(InputError, match=r"no row of `train` has a p_chosen of 0\.99 or more"):
        run(version, tiny_model, place / "none", "dpo", min_p=0.99)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("p", [None, float("nan"), 0.3, 1.5])
def test_a_label_that_is_no_probability_is_told(
    make_version, tiny_model, place, preference_row, split, p
):
    data = {
        part: [{**preference_row(at), "p_chosen": 0.7} for at in range(start, start + 3)]
        for part, start in (("train", 0), ("test", 3))
    }
    data[split][1]["p_chosen"] = p
    version = make_version({"preference": data})
    for values in ({}, {"min_p": 0.6}):
        with pytest.raises(InputError, match=rf"{split}: p_chosen of 1 rows is no number.*row 1"):
            train(
                read_settings("dpo", version, place / "out", model=str(tiny_model), values=values)
            )


def test_a_weight_moves_what_is_learned(make_version, tiny_model, place, preference_row):
    rows = [{**preference_row(i), "p_chosen": 0.51 if i % 2 else 1.0} for i in range(8)]
    version = make_version({"preference": {"train": rows}})
    for method in ("dpo", "reward"):
        flat = run(version, tiny_model, place / f"{method}-a", method, soft_labels="none")
        sure = run(
            version, tiny_model, place / f"{method}-b", method, soft_labels="none",
            weight="confidence",
        )  # fmt: skip
        assert not all(
            weights(flat.model)[name].equal(value) for name, value in weights(sure.model).items()
        )


def test_a_margin_reaches_the_loss(make_version, tiny_model, place, preference_row):
    version = make_version(certain(preference_row, p=0.9))
    plain = run(version, tiny_model, place / "a", "reward", soft_labels="none")
    margin = run(version, tiny_model, place / "b", "reward", soft_labels="margin")
    assert margin.metrics["first_loss"] > plain.metrics["first_loss"] + 0.2


@pytest.mark.parametrize(
    ("method", "values", "fault"),
    [
        ("dpo", {"min_p": 0.4}, "min_p: is 0.4, and p_chosen lies in (0.5, 1]"),
        ("kto", {"min_p": 1.5}, "min_p: is 1.5"),
        (
            "dpo",
            {"loss_type": ["ipo"], "soft_labels": "robust"},
            "the loss ipo has no form of; leave loss_type out, or set soft_labels to none",
        ),
        ("dpo", {"loss_type": ["hinge"], "weight": "confidence"}, "or set weight to none"),
        ("dpo", {"label_smoothing": 0.1}, "label_smoothing: is not read by the loss sigmoid"),
        (
            "dpo",
            {"loss_type": ["sigmoid", "robust"], "soft_labels": "conservative"},
            "soft_labels: is conservative, which can't be told from that of robust",
        ),
        ("dpo", {"loss_type": ["sigmoid", "aot"], "weight": "confidence"}, "from that of aot"),
        (
            "dpo",
            {"loss_type": ["aot_unpaired", "sigmoid"], "soft_labels": "robust"},
            "from that of aot_unpaired",
        ),
        ("kto", {"soft_labels": "target"}, 'kto has no field "soft_labels"'),
        ("reward", {"soft_labels": "robust"}, "use one of: none, target, margin"),
    ],
)
def test_what_does_not_go_together_is_a_fault(method, values, fault):
    with pytest.raises(InputError) as error:
        read_settings(method, None, "out", values=values)
    assert fault in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"min_p": 0.5},
        {"min_p": 1.0},
        {"label_smoothing": 0.1, "loss_type": ["robust"]},
        {"loss_type": ["ipo"], "soft_labels": "none", "weight": "none"},
    ],
)
def test_what_goes_together_is_none(make_version, values):
    read_settings("dpo", make_version(), "out", values=values)


def test_what_is_soft_where_nothing_is_said():
    assert read_labels("dpo", {}, {}) == Labels("conservative")
    assert read_labels("dpo", {}, {"loss_type": ["ipo"]}) == Labels()
    assert read_labels("dpo", {}, {"loss_type": ["sigmoid", "sft"]}) == Labels("conservative")
    # These read one `label_smoothing` for all rows; ours, one a row, would reach them too.
    assert read_labels("dpo", {}, {"loss_type": ["sigmoid", "exo_pair"]}) == Labels()
    assert read_labels("reward", {}, {}) == Labels("target")
    assert read_labels("kto", {}, {"loss_type": "kto"}) == Labels()
    # A filter alone needs the column too.
    assert read_labels("kto", {"min_p": 0.7}, {}).columns == ("p_chosen",)
    assert Labels().columns == ()
