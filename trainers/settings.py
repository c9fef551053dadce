"""What a training is told: the method, the pinned version, and fields of that TRL config.

No TRL is imported here: field names and types come from the generated `trl_fields.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from charter.documents import read_value
from charter.errors import Fault, InputError, nearest
from charter.recipes.train import COMMON_FIELDS, METHODS, own_fields
from charter.trainers.coerce import advice, coerced
from charter.trainers.labels import Labels, label_faults, read_labels
from charter.trainers.recovery import Recovery, read_recovery, recovery_faults
from charter.trainers.secret_fields import secret_faults
from charter.trainers.trackers import tracker_faults

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["CHARTER_FIELDS", "Judge", "Lora", "TrainSettings", "check_values", "read_settings"]

# Keys of Charter's own beside the fields of the TRL config, of every method, with their types.
CHARTER_FIELDS: Final = COMMON_FIELDS
# Fields that Charter decides itself, and what to do instead.
_OURS: Final = {
    "output_dir": "name the folder with --out",
    "push_to_hub": "upload the folder of the model when it is done",
    "disable_tqdm": "leave it out; Charter shows its own progress",
    "resume_from_checkpoint": "leave it out; the same command goes on from what it left",
    "hub_token": "leave it out and set HF_TOKEN; fields stand in the card and the lineage",
}


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters on every linear layer but the head, merged into the saved model.

    Hu et al. 2021 (arXiv 2106.09685); on every linear layer, as Dettmers et al. 2023
    (arXiv 2305.14314, section 4) found necessary to match full fine-tuning.

    Attributes:
        r: rank.
        alpha: scale; the update is multiplied by alpha / r.
    """

    r: int = 16
    alpha: int = 32


@dataclass(frozen=True, slots=True)
class Judge:
    """Who scores the answers of `grpo` (see `charter.trainers.judge`).

    Attributes:
        name: `local`, the folder of a checkpoint, or a model's name at `url`; None is the
            version's own judge, where that is a local one.
        url: of an OpenAI-like server.
        mode: `logprob` or `verdict`; None is the first for a local judge, the second else.
        principles: ids of those that are asked; empty for all.
        reward_model: a folder that `charter train reward` made; alone where no judge is named.
    """

    name: str | None = None
    url: str | None = None
    mode: str | None = None
    principles: tuple[str, ...] = ()
    reward_model: str | None = None

    @property
    def asked(self) -> bool:
        """Whether there is a judge at all."""
        return self.reward_model is None or any((self.name, self.url, self.mode, self.principles))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """One training. Only the `train` split of the version can be trained on.

    Attributes:
        method: one of `charter.recipes.train.METHODS`.
        dataset: the pinned version.
        out: the folder of the model; must not exist, or be empty.
        model: a folder or a name on the Hub; None for the version's own generator.
        fields: fields of that TRL config, checked; what is not here is Charter's default for
            the device, else TRL's.
        lora: adapters instead of all weights; None trains everything.
        limit: only the first rows of `train`, in the order of the version.
        chat_template: a file or the name of a shipped one, instead of the model's own.
        labels: how far the labels of pairs are believed.
        judge: of `grpo`.
        recovery: rows of `sft` that show the revision after the start of the unrevised answer.
        track: where figures go while training: `none`, `tensorboard` (files in the folder of the
            model), `trackio` or `wandb`.
        resume: refuse to begin anew where checkpoints of another training are at `out`.
    """

    method: str
    dataset: Version
    out: Path
    model: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    lora: Lora | None = None
    limit: int | None = None
    chat_template: str | None = None
    labels: Labels = field(default_factory=Labels)
    judge: Judge = field(default_factory=Judge)
    recovery: Recovery | None = None
    track: str = "tensorboard"
    resume: bool = False


def read_settings(
    method: str,
    dataset: Version,
    out: Path,
    *,
    model: str | None = None,
    values: Mapping[str, Any] | Iterable[str] = (),
    resume: bool = False,
) -> TrainSettings:
    """Settings from a recipe's block (a mapping) or from `--set FIELD=VALUE` (texts).

    Args:
        method: the trainer.
        dataset: the pinned version.
        out: the folder of the model.
        model: what `--model` says; it goes before a `model` among the values.
        values: fields of the TRL config and Charter's own (`charter.recipes.train`).
        resume: as in `TrainSettings`.

    Raises:
        InputError: every unknown method or field and every value of the wrong type, at once.
    """
    given, faults = check_values(method, values)
    if faults:
        raise InputError(faults)
    ours = {name: given.pop(name) for name in own_fields(method) if name in given}
    return TrainSettings(
        method=method,
        dataset=dataset,
        out=Path(out),
        model=model if model is not None else ours.get("model"),
        fields=given,
        lora=_lora(ours),
        limit=ours.get("limit"),
        chat_template=ours.get("chat_template"),
        labels=read_labels(method, ours, given),
        judge=_judge(ours),
        recovery=read_recovery(ours.get("recovery")),
        track=ours.get("track", "tensorboard"),
        resume=resume,
    )


def check_values(
    method: str, values: Mapping[str, Any] | Iterable[str]
) -> tuple[dict[str, Any], list[Fault]]:
    """The values as their fields' types take them, and every fault.

    Raises:
        InputError: there is no such method.
    """
    types = _types(method)
    faults: list[Fault] = []
    given: dict[str, Any] = {}
    for name, value, text in _assignments(values, faults):
        place = f"--set {name}" if text is not None else ""
        path = "" if text is not None else f"train.{method}.{name}"
        if name in _OURS:
            faults.append(Fault(place, path, "is set by Charter", _OURS[name]))
        elif name not in types:
            what = f'{method} has no field "{name}"'
            faults.append(Fault(place, path, what, _hint(name, types)))
        else:
            try:
                given[name] = coerced(value, text, types[name])
            except ValueError as error:
                faults.append(Fault(place, path, str(error), advice(types[name])))
    more = [*_range_faults(given), *label_faults(method, given), *recovery_faults(given)]
    more += [*_idle_faults(given), *secret_faults(given)]
    more += tracker_faults(given.get("track"), given.get("report_to"))
    if isinstance(values, Mapping):
        more = [replace(fault, path=f"train.{method}.{fault.path}") for fault in more]
    return given, [*faults, *more]


def _judge(ours: Mapping[str, Any]) -> Judge:
    return Judge(
        name=ours.get("judge"),
        url=ours.get("judge_url"),
        mode=ours.get("judge_mode"),
        principles=tuple(ours.get("judge_principles", ())),
        reward_model=ours.get("reward_model"),
    )


def _lora(ours: Mapping[str, Any]) -> Lora | None:
    if not ours.get("lora", "lora_r" in ours or "lora_alpha" in ours):
        return None
    r = ours.get("lora_r", Lora().r)
    # Twice the rank unless said otherwise: the scale stays what it is when the rank is changed.
    return Lora(r=r, alpha=ours.get("lora_alpha", 2 * r))


@cache
def _all_types() -> dict[str, dict[str, str]]:
    text = resources.files("charter.recipes").joinpath("trl_fields.json").read_text("utf-8")
    loaded: dict[str, dict[str, str]] = json.loads(text)
    return loaded


def _types(method: str) -> dict[str, str]:
    if method not in METHODS:
        raise InputError(Fault("", "method", f'no trainer "{method}"', nearest(method, METHODS)))
    return {**_all_types()[method], **own_fields(method)}


def _assignments(
    values: Mapping[str, Any] | Iterable[str], faults: list[Fault]
) -> Iterable[tuple[str, Any, str | None]]:
    """Name, value as YAML reads it, and the text as typed (None in a mapping)."""
    if isinstance(values, Mapping):
        yield from ((name, value, None) for name, value in values.items())
        return
    for assignment in values:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            what = f'"{assignment}" sets nothing'
            faults.append(Fault("--set", "", what, "write FIELD=VALUE"))
            continue
        value, misread = read_value(text, name)
        # What YAML reads otherwise than people do (`010`) is the text that it is.
        yield name.strip(), text.strip() if misread else value, text.strip()


def _hint(name: str, types: Iterable[str]) -> str:
    hint = nearest(name, types)
    # The whole list is 130 names long: nothing anyone reads in an error.
    return hint if hint.startswith("did you") else "see `charter train --help` for the fields"


def _range_faults(given: Mapping[str, Any]) -> list[Fault]:
    faults = [
        Fault("", name, f"is {given[name]}", "give a number above 0")
        for name in ("lora_r", "lora_alpha", "limit")
        if given.get(name) is not None and given[name] <= 0
    ]
    steps = given.get("max_steps", -1)
    if steps == 0 or steps < -1:  # transformers makes one step of 0, and takes the others for -1
        fix = "give a number above 0, or -1 for num_train_epochs"
        faults.append(Fault("", "max_steps", f"is {steps}", fix))
    if isinstance(given.get("model_init_kwargs"), str):
        fix = "write a mapping, such as {dtype: bfloat16}"
        faults.append(Fault("", "model_init_kwargs", "is a text", fix))
    return faults


def _idle_faults(given: Mapping[str, Any]) -> Iterable[Fault]:
    """What would be taken and change nothing."""
    if given.get("load_best_model_at_end"):
        for name, steps in (("eval_strategy", "eval_steps"), ("save_strategy", "save_steps")):
            if given.get(name, "steps" if steps in given else "no") == "no":
                what = f"finds no best model without {name}"
                fix = f"set {name}, steps or epoch"
                yield Fault("", "load_best_model_at_end", what, fix)
