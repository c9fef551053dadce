"""The model a training starts from: where it is, and who it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.errors import Fault, InputError
from charter.models.checkpoint import EMBEDDED_NAME, embedded_checkpoint, identify

if TYPE_CHECKING:
    from charter.trainers.settings import TrainSettings

__all__ = ["Base", "load_tokenizer", "resolve_base"]


@dataclass(frozen=True, slots=True)
class Base:
    """A model to train.

    Attributes:
        path: what transformers loads: a folder, or a name on the Hub.
        name: what a card calls it; never a path.
        revision: of the weights: a checksum for a folder, what was asked for on the Hub.
        licence: as its own card says, or None.
        on_hub: whether `name` is one that others find on the Hub.
        parent: for a model that Charter trained, its own lineage; else None.
    """

    path: str
    name: str
    revision: str | None
    licence: str | None
    on_hub: bool
    parent: Mapping[str, Any] | None = None


def resolve_base(settings: TrainSettings) -> Base:
    """The model of the settings, else the version's own generator where that is a local one.

    Raises:
        InputError: neither names a model that is there.
    """
    if settings.model is not None:
        return _named(settings.model, settings)
    generator = settings.dataset.manifest.models.get("generator", {})
    where = f"{settings.dataset.repo}@{settings.dataset.tag}"
    if generator.get("llm") != "local":
        what = f"the answers of {where} come from {generator.get('model')}, no local model"
        raise InputError(Fault("", "model", what, "name the model to train with --model NAME"))
    # A trained generator's `model` is its name; where it was on the run's machine is its `path`.
    model = generator.get("path") or generator.get("model")
    if model is None or model == EMBEDDED_NAME:
        return _folder(embedded_checkpoint())
    if not Path(str(model)).is_dir():
        what = f'the generator of {where}, "{model}", is not on this machine'
        raise InputError(Fault("", "model", what, "name its folder with --model DIR"))
    return _folder(Path(str(model)))


def _named(name: str, settings: TrainSettings) -> Base:
    if Path(name).is_dir():
        return _folder(Path(name))
    if name == EMBEDDED_NAME:
        return _folder(embedded_checkpoint())
    if Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise InputError(Fault(name, "model", "there is no such folder", "check the path"))
    revision = (settings.fields.get("model_init_kwargs") or {}).get("revision")
    return Base(path=name, name=name, revision=revision, licence=None, on_hub=True)


def _folder(folder: Path) -> Base:
    identity = identify(folder)
    lineage = _json(folder / "charter.json")
    trained = lineage if lineage.get("kind") == "model" else None
    licence = (trained or {}).get("licence") or _json(folder / "charter-model.json").get("licence")
    return Base(
        path=str(folder),
        name=identity.name,
        revision=identity.revision,
        licence=str(licence).lower() if licence else None,
        on_hub=identity.name == EMBEDDED_NAME,
        parent=trained,
    )


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def load_tokenizer(base: Base, fields: Mapping[str, Any]) -> Any:
    """The model's tokenizer, with a chat template.

    Raises:
        InputError: there is no such model, or its tokenizer has no chat template.
    """
    from transformers import AutoTokenizer

    revision = (fields.get("model_init_kwargs") or {}).get("revision") or "main"
    trust = bool(fields.get("trust_remote_code"))
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            base.path, revision=revision, trust_remote_code=trust
        )
        if path := fields.get("chat_template_path"):
            # TRL sets it as well; here it is needed to count tokens before.
            tokenizer.chat_template = _template(str(path))
    except (OSError, ValueError) as error:
        what = f'"{base.name}" could not be loaded: {" ".join(str(error).split())}'
        raise InputError(Fault("", "model", what, "name another with --model")) from error
    if tokenizer.chat_template is None:
        what = f'the tokenizer of "{base.name}" has no chat template'
        fix = "name an instruction-tuned model, or for sft set chat_template_path"
        raise InputError(Fault("", "model", what, fix))
    return tokenizer


def _template(path: str) -> str:
    from transformers import AutoTokenizer

    if Path(path).is_file():
        return Path(path).read_text("utf-8")
    return str(AutoTokenizer.from_pretrained(path).chat_template)
