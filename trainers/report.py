"""The page on a training: its figures, its curves, and what it was made from. Nothing from outside.

No text of a row and no path of this machine stands in it, so it may go where the model goes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from charter.html import figures, page, section, table
from charter.plots import Series, grid, lines

__all__ = ["render"]

Entry = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Curve:
    """One plot: its title, and what is logged of it by TRL's name and ours."""

    title: str
    series: tuple[tuple[str, str], ...]


def _both(title: str, *names: str) -> _Curve:
    """A figure while training and on `test`; the methods call it by one of these names."""
    trained = tuple((name, "train") for name in names)
    return _Curve(title, (*trained, *((f"eval_{name}", "test") for name in names)))


_CURVES: Final = (
    _both("Loss", "loss"),
    _both("Reward (all that score, weighed)", "reward"),
    _both("Share of pairs in the order of their label", "rewards/accuracies", "accuracy"),
    _both("Margin: reward of chosen - reward of rejected", "rewards/margins", "margin"),
    _both("KL to the reference", "kl"),
    _Curve("Rewards", (("rewards/chosen", "chosen"), ("rewards/rejected", "rejected"))),
    _both("Share of tokens foreseen", "mean_token_accuracy"),
    _both("Entropy in nats a token", "entropy"),
    _both("Tokens in an answer", "completions/mean_length"),
    _both("Share of answers cut at their longest", "completions/clipped_ratio"),
    _Curve("Learning rate", (("learning_rate", "train"),)),
    _Curve("Norm of the gradient", (("grad_norm", "train"),)),
)
_KL: Final = {
    "dpo": "KL: the mean over a batch's answers, chosen and rejected, of log reference - log "
    "policy, in nats an answer; an estimate of KL(reference || policy) where the answers are the "
    "reference's own, and perhaps below 0 where they are not.",
    "kto": "KL: TRL's estimate of KL(policy || reference), in nats an answer, on answers that "
    "belong to other prompts, held to 0 at least.",
    "grpo": "KL: TRL's estimate in nats a token on the policy's own answers; it is there only "
    "with `beta` above 0.",
}


def render(
    name: str, facts: Mapping[str, Any], history: Sequence[Entry], resumed_at: Sequence[int] = ()
) -> str:
    """The page.

    Args:
        name: of the model.
        facts: as `charter.json` of the model holds them.
        history: all that was logged, by `step`; figures on `test` begin with `eval_`.
        resumed_at: steps after which the training was taken up again.
    """
    metrics, dataset = facts["metrics"], facts["dataset"]
    shown = {key: metrics[key] for key in _first(metrics)}
    parts = [
        figures((key.replace("_", " "), _number(value)) for key, value in shown.items()),
        section("Curves", [grid(_plots(facts, history, resumed_at)), _note(facts["method"])]),
        section("All figures", [table(("figure", "value"), _rows(metrics))]),
        section(
            "Made from",
            [
                table(
                    ("", ""),
                    [
                        ("method", facts["method"]),
                        ("base model", f"{facts['base']['name']} ({facts['base']['revision']})"),
                        ("dataset", f"{dataset['repo']}@{dataset['tag']}, {dataset['config']}"),
                        ("commit", dataset["commit"] or "of no Hub"),
                        ("manifest", dataset["manifest_sha256"]),
                        ("recipe", dataset["recipe"]),
                        ("constitution", dataset["constitution"]),
                        ("seed", str(facts["seed"])),
                        ("Python", facts["python"]),
                        *facts["packages"].items(),
                    ],
                )
            ],
        ),
        section(
            "Settings that are not TRL's defaults",
            [table(("field", "value"), [(k, json.dumps(v)) for k, v in facts["fields"].items()])],
        ),
    ]
    if facts["notes"]:
        parts.append(section("Warnings of TRL", [table(("",), [(n,) for n in facts["notes"]])]))
    return page(f"{name}: training by {facts['method']}", parts)


def _first(metrics: Mapping[str, float]) -> list[str]:
    """The figures that matter most, as far as there are any."""
    wanted = ("steps", "rows", "truncated_rows", "dropped_rows", "first_loss", "last_loss")
    tested = ("test_loss_before", "test_loss", "test_accuracy", "test_margin", "test_reward")
    return [name for name in (*wanted, *tested, "last_kl", "seconds") if name in metrics]


def _plots(
    facts: Mapping[str, Any], history: Sequence[Entry], resumed_at: Sequence[int]
) -> Iterable[str]:
    before = facts["metrics"].get("test_loss_before")
    entries = [*([{"step": 0, "eval_loss": before}] if before is not None else []), *history]
    names = {name for entry in entries for name in entry}
    for curve in (*_CURVES, *_principles(names)):
        series = [
            Series(said, points) for name, said in curve.series if (points := _of(entries, name))
        ]
        if sum(len(each.points) for each in series) > 1:
            yield lines(curve.title, series, "step", marks=resumed_at)


def _principles(names: Iterable[str]) -> list[_Curve]:
    """A plot for each that scores an answer: TRL logs `rewards/NAME/mean`."""
    found = sorted(name for name in names if name.startswith("rewards/") and name.endswith("/mean"))
    return [
        _Curve(f"Reward: {name.split('/', 1)[1].removesuffix('/mean')}", ((name, "train"),))
        for name in found
    ]


def _of(entries: Iterable[Entry], name: str) -> list[tuple[float, float]]:
    """Step and value, where it was logged and is a number; of a step logged twice, the last."""
    found = {entry["step"]: entry[name] for entry in entries if name in entry}
    return [(step, value) for step, value in sorted(found.items()) if math.isfinite(value)]


def _note(method: str) -> str:
    return f'<p class="note">{_KL[method]}</p>\n' if method in _KL else ""


def _rows(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    return [(name, _number(value)) for name, value in metrics.items()]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
