"""What an evaluation by lm-eval is to do: models, tasks and how they are asked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from charter.addresses import is_address, may_hold_key
from charter.documents import Settings
from charter.errors import Fault, InputError
from charter.models.checkpoint import embedded_checkpoint, identify, resolve_base

__all__ = ["ModelPlan", "TaxPlan", "model_plan", "server_plan"]

Kind = Literal["transformers", "vllm", "completions", "chat"]

# Beside the weights, what a checkpoint's answers to lm-eval depend on.
_FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


class ModelPlan(Settings):
    """One model.

    Attributes:
        name: in the report.
        kind: how lm-eval asks it.
        source: a folder, a name on the Hub, or what its server calls it.
        base: of a LoRA adapter, the folder or name of the model under it.
        url: of its server, as OpenAI's clients take it (`.../v1`).
        tokenizer: folder or name; a server's, where it is not the model's name.
        identity: changes when the model's answers can; empty where nobody can tell.
    """

    name: str
    kind: Kind
    source: str
    base: str | None = None
    url: str | None = None
    tokenizer: str | None = None
    identity: str = ""

    @property
    def is_local(self) -> bool:
        """Whether nothing of it is looked up on the Hub."""
        parts = [self.tokenizer] if self.url else [self.source, self.base, self.tokenizer]
        return all(part is None or Path(part).is_dir() for part in parts)


class TaxPlan(Settings):
    """One evaluation.

    Attributes:
        models: the base first.
        tasks: names of benchmarks, of lm-eval's tasks, or of tasks in `folders`.
        folders: with tasks of the user's own.
        metrics: `metric,filter` by task, where it is not the usual one.
        limit: the first so many items of each task.
        shots: solved examples in the prompt, where not the usual number.
        chat_template: whether prompts are put into the models' chat templates.
        run_generated_code: whether code that a model wrote may be executed.
        trust_remote_code: whether code from model repos may be.
        batch_size: a number or `auto`; None is 8 on CPU, else `auto`.
        results: folder in which finished results are kept.
        fresh: whether these are left unread.
        check_only: whether the tasks' names are looked at, and nothing is loaded or run.
    """

    models: tuple[ModelPlan, ...]
    tasks: tuple[str, ...]
    folders: tuple[str, ...] = ()
    metrics: dict[str, str] = Field(default_factory=dict)
    limit: int | None = None
    shots: int | None = None
    chat_template: bool = False
    run_generated_code: bool = False
    trust_remote_code: bool = False
    batch_size: str | None = None
    results: str
    fresh: bool = False
    check_only: bool = False

    def model_post_init(self, _: Any) -> None:
        """Refuse what cannot be one evaluation."""
        names = [model.name for model in self.models]
        assert len(set(names)) == len(names), "names of models differ"


def model_plan(name: str, source: str, *, vllm: bool = False) -> ModelPlan:
    """The plan of a checkpoint: `local`, a folder, or a name on the Hub.

    A folder's identity covers the bytes of its weights, adapter, chat template, configuration and
    tokenizer; not where it is. Of a name on the Hub it is left to the commit in the cache.

    Raises:
        InputError: there is no such folder, or no checkpoint in it.
    """
    kind: Kind = "vllm" if vllm else "transformers"
    path = embedded_checkpoint() if source == "local" else Path(source)
    if not path.is_dir():
        # One slash and nothing that only paths have: `owner/name`.
        if source.count("/") == 1 and not source.startswith((".", "/", "~")):
            return ModelPlan(name=name, kind=kind, source=source)
        fix = "give `local`, a checkpoint's folder, OWNER/NAME on the Hub, or --base-url"
        raise InputError(Fault(source, "", "no such folder", fix))
    identity = hashlib.sha256(identify(path).revision.encode())
    for file in _FILES:
        if (path / file).is_file():
            identity.update(file.encode() + hashlib.sha256((path / file).read_bytes()).digest())
    base = None
    if not (path / "config.json").is_file():
        base = str(_adapted(path))
    source = str(path.resolve())
    return ModelPlan(
        name=name, kind=kind, source=source, base=base, identity=identity.hexdigest()[:16]
    )


def _adapted(path: Path) -> str | Path:
    import json

    settings = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
    found = resolve_base(str(settings.get("base_model_name_or_path", "")))
    return embedded_checkpoint() if found is None else found


def server_plan(
    name: str, source: str, url: str, *, chat: bool = False, tokenizer: str | None = None
) -> ModelPlan:
    """The plan of a model behind an OpenAI-compatible server.

    Its identity is its name and address: what else the server may put in its place, nobody here
    can see.

    Raises:
        InputError: the address is none.
    """
    if not is_address(url) or may_hold_key(url):
        fix = "write http://HOST:PORT/v1, and the key in an environment variable (--api-key-env)"
        # Not the address itself, in which somebody may have written a key.
        raise InputError(Fault("--base-url", "", "is no address of a server", fix))
    kind: Kind = "chat" if chat else "completions"
    identity = hashlib.sha256(f"{url}\n{source}\n{tokenizer}".encode()).hexdigest()[:16]
    return ModelPlan(
        name=name, kind=kind, source=source, url=url, tokenizer=tokenizer, identity=identity
    )
