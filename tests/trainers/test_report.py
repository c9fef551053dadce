"""What a training leaves to look at: curves on a page, TensorBoard's files, and `kl`."""

import json
import re

import pytest

from charter.errors import InputError
from charter.trainers import read_settings
from charter.trainers.report import render
from charter.trainers.train import train

FAST = {"max_steps": 4, "per_device_train_batch_size": 4, "learning_rate": 1e-2}


def run(version, model, out, method="dpo", **values):
    return train(read_settings(method, version, out, model=str(model), values={**FAST, **values}))


def scalars(folder):
    """Tag -> [(step, value)] as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


@pytest.mark.parametrize("soft", ["none", "conservative"])
def test_the_page_and_tensorboard_show_loss_accuracy_margin_and_kl(
    make_version, tiny_model, place, soft
):
    done = run(make_version(), tiny_model, place / "out", soft_labels=soft, beta=0.5)
    page = (done.model / "report.html").read_text()
    titles = re.findall(r"<figcaption>([^<]*)", page)
    assert titles[:4] == [
        "Loss",
        "Share of pairs in the order of their label",
        "Margin: reward of chosen - reward of rejected",
        "KL to the reference",
    ]
    assert "an estimate of KL(reference || policy)" in page
    assert "me/tiny@v0.1.0" in page and "re" * 32 in page and "Seed" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert str(place) not in page
    seen = scalars(done.model / "runs")
    for name in ("loss", "rewards/accuracies", "rewards/margins", "kl"):
        logged = [(entry["step"], entry[name]) for entry in done.history]
        assert len(logged) == 4
        assert seen[f"train/{name}"] == [(s, pytest.approx(v, rel=1e-5)) for s, v in logged]
    assert seen["test/loss"][-1][1] == pytest.approx(done.metrics["test_loss"], rel=1e-5)
    for entry in done.history:
        both = entry["rewards/chosen"] + entry["rewards/rejected"]
        assert entry["kl"] == pytest.approx(-both / (2 * 0.5), abs=1e-6)
    assert done.history[0]["kl"] == 0 and done.metrics["last_kl"] == done.history[-1]["kl"] != 0
    for file in (done.model / "runs").iterdir():
        assert str(place).encode() not in file.read_bytes()


def test_without_a_tracker_there_are_no_files_of_one(make_version, tiny_model, place):
    done = run(make_version(), tiny_model, place / "out", "sft", track="none")
    assert not (done.model / "runs").exists()
    page = (done.model / "report.html").read_text()
    assert ">train</text>" in page and ">test</text>" in page, "the loss on `test` before and after"
    lineage = json.loads((done.model / "charter.json").read_text())
    assert lineage["seed"] == 11 and "track" not in lineage["fields"]
    card = (done.model / "README.md").read_text()
    assert "Seed: 11." in card and f"| Python | {lineage['python']} |" in card


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"track": "wandb"}, "track: wandb is not installed; pip install wandb, or use tensor"),
        ({"track": "trackio"}, "track: trackio is not installed; pip install trackio"),
        ({"track": "tensorbord"}, "track: is"),
        ({"report_to": ["tensorboard"]}, "report_to: would put TensorBoard's files beside"),
    ],
)
def test_trackers_that_are_not_there(make_version, place, monkeypatch, values, fault):
    monkeypatch.setattr("charter.trainers.trackers.find_spec", lambda name: None)
    with pytest.raises(InputError) as error:
        read_settings("sft", make_version(), place / "out", values=values)
    assert fault in str(error.value)


def facts(**more):
    return {
        "method": "kto",
        "base": {"name": "<b>base</b>", "revision": "r"},
        "dataset": {
            "repo": "me/tiny",
            "tag": "v1",
            "config": "preference",
            "commit": None,
            "manifest_sha256": "m",
            "recipe": "r",
            "constitution": "c",
        },
        "seed": 1,
        "python": "3",
        "packages": {"trl": "1"},
        "fields": {"run_name": "</table><script>alert(1)</script>"},
        "notes": ["<img src=x onerror=alert(1)>"],
        "metrics": {"steps": 3, "last_loss": 0.25},
        **more,
    }


def test_texts_stay_texts_and_what_is_no_number_is_not_drawn():
    history = [{"step": s, "loss": 1.0 / s, "kl": float("nan"), "grad_norm": s} for s in (1, 2, 3)]
    page = render("<i>x</i>", facts(), history, [2])
    assert "<script" not in page and "<img" not in page and "<b>base" not in page
    assert "<i>x" not in page
    assert page.count("<figcaption>") == 2, "loss and gradient; nothing of kl is a number"
    assert "taken up again" in page and "nan" not in page


def test_a_curve_below_nought_stays_in_its_frame():
    values = (-3.0, 1.0, -0.5)
    history = [{"step": s, "rewards/margins": v} for s, v in enumerate(values, 1)]
    page = render("x", facts(), history)
    (points,) = re.findall(r'points="([^"]*)"', page)
    ys = [float(point.split(",")[1]) for point in points.split()]
    assert all(20 <= y <= 195 for y in ys)
    assert ys[0] > ys[2] > ys[1]
