"""The model a training starts from: where it is, and who it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.errors import Fault, InputError
from charter.models.checkpoint import EMBEDDED_NAME, embedded_checkpoint, identify
from charter.trainers.template import check_template, read_template, shipped_templates

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
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        whose = _json(folder / "adapter_config.json").get("base_model_name_or_path")
        what = f"holds adapters of {whose}, and no whole model"
        fix = "merge them (merge_and_unload of peft), save model and tokenizer, and name that"
        raise InputError(Fault(str(folder), "model", what, fix))
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


def load_tokenizer(base: Base, settings: TrainSettings) -> Any:
    """The model's tokenizer, with a chat template that was there or was asked for.

    Raises:
        InputError: there is no such model, no chat template, or tokenizer and model don't fit.
    """
    from transformers import AutoConfig, AutoTokenizer

    fields = settings.fields
    revision = (fields.get("model_init_kwargs") or {}).get("revision") or "main"
    trust = bool(fields.get("trust_remote_code"))
    given = {"revision": revision, "trust_remote_code": trust}
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.path, **given)
        config = AutoConfig.from_pretrained(base.path, **given).get_text_config()
        if path := fields.get("chat_template_path"):
            # TRL sets it as well; here it is needed to count tokens before.
            tokenizer.chat_template = _template(str(path))
    except (OSError, ValueError) as error:
        what = f'"{base.name}" could not be loaded: {" ".join(str(error).split())}'
        raise InputError(Fault("", "model", what, "name another with --model")) from error
    if settings.chat_template is not None:
        tokenizer.chat_template = read_template(settings.chat_template)
    if tokenizer.chat_template is None:
        what = f'the tokenizer of "{base.name}" has no chat template'
        names = ", ".join(sorted(shipped_templates()))
        fix = f"name an instruction-tuned model, or choose: --chat-template FILE, or one of {names}"
        raise InputError(Fault("", "model", what, fix))
    check_template(tokenizer)
    kinds = getattr(config, "architectures", None) or []
    if settings.method != "reward" and any("SequenceClassification" in kind for kind in kinds):
        what = f'"{base.name}" is a {kinds[0]}, which gives a score and no text'
        raise InputError(Fault("", "model", what, "name a language model with --model"))
    if getattr(config, "is_encoder_decoder", False):
        what = f'"{base.name}" is an encoder with a decoder, which no trainer here reads'
        raise InputError(Fault("", "model", what, "name a decoder-only language model"))
    _check_vocabulary(base, tokenizer, config)
    return tokenizer


def _check_vocabulary(base: Base, tokenizer: Any, config: Any) -> None:
    """See that every token has an embedding: an id too high ends a training in an index error.

    Raises:
        InputError: a token has none, or nothing ends an answer.
    """
    size = getattr(config, "vocab_size", None)
    if size is None:
        return
    faults = []
    fix = "name a folder whose tokenizer is the model's own"
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= size:
        what = (
            f'the tokenizer of "{base.name}" has ids up to {highest}, the model {size} embeddings'
        )
        faults.append(Fault("", "model", what, fix))
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        ids = getattr(config, name, None)
        for number in ids if isinstance(ids, list) else [ids]:
            if number is not None and not 0 <= number < size:
                what = f'{name} of "{base.name}" is {number}, and its model has {size} embeddings'
                faults.append(Fault("", "model", what, "correct its config.json"))
    if tokenizer.eos_token is None:
        what = f'the tokenizer of "{base.name}" has no eos_token, so no answer would ever end'
        faults.append(Fault("", "model", what, "add one to its tokenizer_config.json"))
    if faults:
        raise InputError(faults)


def _template(path: str) -> str:
    from transformers import AutoTokenizer

    if Path(path).is_file():
        return Path(path).read_text("utf-8")
    return str(AutoTokenizer.from_pretrained(path).chat_template)
