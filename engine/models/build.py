"""From a role's settings to a distilabel LLM: one visible line a kind of model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from charter.documents import expanded
from charter.errors import Fault, InputError
from charter.models.checkpoint import identify
from charter.recipes.schema import ModelSettings, RunSettings

__all__ = ["build_llm", "identity", "lineage", "load_llm", "published_name"]


def published_name(settings: ModelSettings) -> str:
    """The model's name as it stands in rows."""
    return identify(_folder(settings)).name if settings.llm == "local" else str(settings.model)


def _folder(settings: ModelSettings) -> Path | None:
    return expanded(settings.model) if settings.model else None


def identity(settings: ModelSettings) -> dict[str, Any]:
    """What tells one model's answers from another's; part of every cache key (scheme 2).

    Covers kind, name, revision and all sampling parameters; for `local` the checksum of the
    weights instead of the path. Leaves out the address, at which a server is found today (who
    serves other weights under the same name tells them apart by `revision`), the name of the
    key's variable and the price.
    """
    found = settings.model_dump(mode="json", exclude={"api_key_env", "price", "base_url", "serve"})
    if settings.llm == "local":
        found["model"], found["revision"] = identify(_folder(settings))
    return found


def lineage(settings: ModelSettings) -> dict[str, Any]:
    """A role's model as it stands in manifests: its `identity`, and the path of a local one."""
    found = identity(settings)
    if settings.llm == "local" and settings.model:
        found["path"] = settings.model
    return found


def _key(settings: ModelSettings, default: str) -> dict[str, str]:
    key = os.environ.get(settings.api_key_env or default)
    return {"api_key": key} if key else {}


def _sampling(settings: ModelSettings, length: str) -> dict[str, Any]:
    return {
        length: settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
    }


def _local(settings: ModelSettings, run: RunSettings) -> Any:
    from charter.models.local_llm import LocalLLM

    return LocalLLM(
        model=settings.model,
        stop=settings.stop,
        **_sampling(settings, "max_tokens"),
    )


def _openai(settings: ModelSettings, run: RunSettings) -> Any:
    from charter.models.server import ServerLLM

    return ServerLLM(
        model=settings.model,
        base_url=settings.address,
        api_key_env=settings.api_key_env or "OPENAI_API_KEY",
        stop=settings.stop,
        timeout=run.timeout,
        retries=run.retries,
        in_flight=run.in_flight,
        body=dict(settings.options),
        **_sampling(settings, "max_tokens"),
    )


def _anthropic(settings: ModelSettings, run: RunSettings) -> Any:
    from distilabel.models.llms import AnthropicLLM

    kwargs = _sampling(settings, "max_tokens")
    if settings.stop:
        kwargs["stop_sequences"] = list(settings.stop)
    return AnthropicLLM(
        model=settings.model,
        timeout=run.timeout,
        max_retries=run.retries,
        generation_kwargs=kwargs,
        **_key(settings, "ANTHROPIC_API_KEY"),
        **settings.options,
    )


def _inference_endpoints(settings: ModelSettings, run: RunSettings) -> Any:
    from distilabel.models.llms import InferenceEndpointsLLM

    kwargs = _sampling(settings, "max_new_tokens")
    if settings.stop:
        kwargs["stop_sequences"] = list(settings.stop)
    where = {"base_url": settings.base_url} if settings.base_url else {"model_id": settings.model}
    return InferenceEndpointsLLM(
        generation_kwargs=kwargs, **where, **_key(settings, "HF_TOKEN"), **settings.options
    )


def _transformers(settings: ModelSettings, run: RunSettings) -> Any:
    from distilabel.models.llms import TransformersLLM

    if settings.stop:
        raise ValueError("it has no stop texts: leave stop out, or serve the model")
    kwargs = _sampling(settings, "max_new_tokens") | {"do_sample": bool(settings.temperature)}
    return TransformersLLM(
        model=settings.model,
        revision=settings.revision or "main",
        generation_kwargs=kwargs,
        **settings.options,
    )


def _vllm(settings: ModelSettings, run: RunSettings) -> Any:
    from distilabel.models.llms import vLLM

    kwargs = _sampling(settings, "max_new_tokens")
    if settings.stop:
        kwargs["stop"] = list(settings.stop)
    return vLLM(
        model=settings.model,
        revision=settings.revision,
        generation_kwargs=kwargs,
        **settings.options,
    )


def _llama_cpp(settings: ModelSettings, run: RunSettings) -> Any:
    from distilabel.models.llms import LlamaCppLLM

    kwargs = _sampling(settings, "max_new_tokens")
    if settings.stop:
        kwargs["extra_generation_kwargs"] = {"stop": list(settings.stop)}
    return LlamaCppLLM(model_path=settings.model, generation_kwargs=kwargs, **settings.options)


def _litellm(settings: ModelSettings, run: RunSettings) -> Any:
    from distilabel.models.llms import LiteLLM

    kwargs = _sampling(settings, "max_tokens")
    if settings.stop:
        kwargs["stop"] = list(settings.stop)
    return LiteLLM(model=settings.model, generation_kwargs=kwargs, **settings.options)


_BUILDERS: Mapping[str, Callable[[ModelSettings, RunSettings], Any]] = {
    "local": _local,
    "openai": _openai,
    "anthropic": _anthropic,
    "inference-endpoints": _inference_endpoints,
    "transformers": _transformers,
    "vllm": _vllm,
    "llama-cpp": _llama_cpp,
    "litellm": _litellm,
}


# Distilabel's extras, where they are not called as the kind is.
_EXTRAS = {
    "inference-endpoints": "hf-inference-endpoints",
    "transformers": "hf-transformers",
}


def build_llm(settings: ModelSettings, run: RunSettings) -> Any:
    """The distilabel LLM of a role, not yet loaded.

    Raises:
        InputError: the class does not take these options.
    """
    try:
        return _BUILDERS[settings.llm](settings, run)
    except (TypeError, ValueError) as error:
        what = f"llm {settings.llm} does not take these settings ({_first_line(error)})"
        raise InputError(Fault("", "models", what, "check model and options")) from None


def load_llm(llm: Any, kind: str) -> None:
    """Load a distilabel LLM.

    Raises:
        InputError: a package that this kind of LLM needs is not installed, or it has no key.
    """
    try:
        llm.load()
    except ImportError as error:
        fix = f'pip install "distilabel[{_EXTRAS.get(kind, kind)}]"'
        raise InputError(Fault("", f"llm {kind}", _first_line(error), fix)) from None
    except ValueError as error:
        what = f"cannot be loaded ({_first_line(error)})"
        raise InputError(Fault("", f"llm {kind}", what, "check model, key and options")) from None


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
