"""The call cache as an LLM of distilabel, around any other: for tasks and pipelines made by hand.

    llm = CachedLLM(llm=OpenAILLM(model="gpt-4o-mini", generation_kwargs={"temperature": 0}))
    with Pipeline() as pipeline:
        load >> TextGeneration(llm=llm)

`charter run` needs no such wrapper: its runner keeps every call in the same cache.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from distilabel.models.llms.base import LLM
from pydantic import BaseModel, Field, PrivateAttr, SecretStr, field_validator

from charter.documents import expanded
from charter.errors import Fault, InputError
from charter.models.ask import answer_from_output, ask_batch, ask_each
from charter.models.cache import CallCache, Entry, default_cache_path
from charter.models.call import Answer, Call
from charter.models.keys import Keys

__all__ = ["CachedLLM"]

# Fields of distilabel's LLMs that change how a call is made, not what is asked.
_NOT_IDENTITY = frozenset(
    {
        "api_key",
        "base_url",
        "cuda_devices",
        "default_headers",
        "disable_cuda_device_placement",
        "endpoint",
        "follow_redirects",
        "host",
        "jobs_ids",
        "max_concurrent_requests",
        "max_retries",
        "offline_batch_generation_block_until_done",
        "timeout",
        "token",
        "type_info",
        "use_offline_batch_generation",
        "verbose",
    }
)


class CachedLLM(LLM):  # type: ignore[misc]  # distilabel has no types for mypy
    """Any LLM of distilabel's, each of whose calls is paid for once.

    A call is known again by the LLM's class, its model and every setting of it that may change an
    answer, the messages, the schema of structured output and the sample's number; see
    `charter.models.keys`. Failed and empty generations are not kept, nor are those that come with
    log-probabilities of all tokens, which the cache has no room for: they pass through.

    Attributes:
        llm: what is asked when the cache has no answer.
        path: the cache's file; None is the user's own.
        identity: what tells this model's answers from another's; None takes it from `llm`, as it
            is when it is asked.
        generation_kwargs: none; they are the `llm`'s.
    """

    llm: LLM
    path: str | None = None
    identity: dict[str, Any] | None = Field(
        default=None, description="What stands for the model in the keys."
    )

    _cache: CallCache | None = PrivateAttr(default=None)

    @field_validator("generation_kwargs")
    @classmethod
    def _none_here(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        # Distilabel hands them to `generate`, which fails there and leaves rows without a text.
        if value:
            what = f"{', '.join(value)}: the LLM within makes the calls"
            fix = "give it these: CachedLLM(llm=...(generation_kwargs=...)), or llm.llm at run time"
            raise InputError(Fault("", "CachedLLM.generation_kwargs", what, fix))
        return value

    @property
    def model_name(self) -> str:
        """That of the LLM within."""
        name: str = self.llm.model_name
        return name

    def load(self) -> None:
        """Load the LLM within and open the cache.

        Raises:
            Failure: the cache cannot be used.
        """
        super().load()
        self.llm.load()
        self._opened()

    def unload(self) -> None:
        """Let go of both."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None
        self.llm.unload()

    def generate(self, inputs: list[Any], num_generations: int = 1) -> list[dict[str, Any]]:
        """One `GenerateOutput` an input, from the cache as far as it goes."""
        samples = [
            [self._call(given, index) for index in range(num_generations)] for given in inputs
        ]
        make = self._keys()
        keys = [tuple(make.key(call) for call in calls) for calls in samples]
        known = self._opened().get([key for each in keys for key in each])
        passed = self._ask(inputs, samples, keys, known)
        return [
            deepcopy(passed[each]) if each in passed else _output([known.get(key) for key in each])
            for each in keys
        ]

    def answer_batch(self, calls: Sequence[Call]) -> list[Answer]:
        """What Charter's own tasks ask: with seeds and label log-probabilities, where there are."""
        make = self._keys()
        keys = [make.key(call) for call in calls]
        known = self._opened().get(keys)
        missing = {key: call for key, call in zip(keys, calls, strict=True) if key not in known}
        answers = ask_batch(self.llm, list(missing.values()))
        fresh = dict(zip(missing, answers, strict=True))
        model = self.model_name
        before = self._opened().put(Entry(key, model, answer) for key, answer in fresh.items())
        known |= before
        return [known[key] if key in known else fresh[key] for key in keys]

    def _ask(
        self,
        inputs: Sequence[Any],
        samples: Sequence[Sequence[Call]],
        keys: Sequence[tuple[bytes, ...]],
        known: dict[bytes, Answer],
    ) -> dict[tuple[bytes, ...], dict[str, Any]]:
        """Ask for what is missing and add it to `known`; what cannot be kept, by its keys."""
        lacking: dict[int, list[int]] = defaultdict(list)
        for each, place in {each: place for place, each in enumerate(keys)}.items():
            missing = sum(key not in known for key in each)
            if missing:
                lacking[missing].append(place)
        passed: dict[tuple[bytes, ...], dict[str, Any]] = {}
        for count, places in lacking.items():
            started = time.perf_counter()
            outputs = ask_each(self.llm, [inputs[place] for place in places], count)
            each_took = (time.perf_counter() - started) / max(1, len(places) * count)
            entries, errors = [], []
            for place, output in zip(places, outputs, strict=True):
                if isinstance(output, BaseException):
                    errors.append(output)
                    continue
                if output and output.get("logprobs"):
                    passed[keys[place]] = output
                    continue
                missing_keys = [key for key in keys[place] if key not in known]
                for number, key in enumerate(missing_keys):
                    answer = _sample(output, number, samples[place][0], each_took)
                    entries.append(Entry(key, self.model_name, answer))
            before = self._opened().put(entries)
            known |= {entry.key: entry.answer for entry in entries} | before
            if errors:
                raise errors[0]  # as the LLM would have; what was answered beside it is kept
        return passed

    def _call(self, given: Any, index: int) -> Call:
        messages, schema = given, None
        if isinstance(given, tuple):
            messages, wanted = given
            schema = _plain(wanted)
        if not isinstance(messages, list) or not all(isinstance(m, Mapping) for m in messages):
            what = f"an input is {type(messages).__name__}, not a list of chat messages"
            raise InputError(Fault("", "CachedLLM", what, "give chat messages"))
        # Content may have parts (images): as one text, it still tells calls apart.
        chat = tuple({"role": m["role"], "content": _text(m)} for m in messages)
        return Call("generate", "", index, 0, chat, schema=schema)  # type: ignore[arg-type]

    def _keys(self) -> Keys:
        # Anew for each batch: a setting of the LLM may have been changed since the last one.
        return Keys(self.identity if self.identity is not None else identity_of(self.llm))

    def _opened(self) -> CallCache:
        if self._cache is None:
            path = expanded(self.path) if self.path else default_cache_path()
            self._cache = CallCache(path)
        return self._cache

    def __getstate__(self) -> dict[Any, Any]:
        """Without the open file: another process opens its own."""
        state = dict(super().__getstate__())
        private = state.get("__pydantic_private__")
        if private is not None:
            state["__pydantic_private__"] = {**private, "_cache": None}
        return state


def identity_of(llm: Any) -> dict[str, Any]:
    """What tells an LLM's answers from another's: its class, model and settings, no secret."""
    fields = {
        name: _plain(value)
        for name, field in sorted(type(llm).model_fields.items())
        if name not in _NOT_IDENTITY
        and not field.exclude
        and not isinstance(value := getattr(llm, name), SecretStr)
    }
    kind = f"{type(llm).__module__}.{type(llm).__qualname__}"
    return {"llm": kind, "model": llm.model_name, "settings": fields}


def _plain(value: Any) -> Any:
    """A setting as JSON values; a schema class by its schema, an LLM within by its identity."""
    if isinstance(value, LLM):
        return identity_of(value)
    if isinstance(value, BaseModel):
        return _plain(dict(value))
    if hasattr(value, "model_json_schema"):
        return value.model_json_schema()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | int | bool):
        return value
    return repr(value)


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else repr(_plain(content))


def _sample(output: Any, number: int, call: Call, seconds: float) -> Answer:
    """The answer of one sample of a `GenerateOutput`."""
    texts = list((output or {}).get("generations") or [])
    statistics = (output or {}).get("statistics") or {}
    one = {
        "generations": texts[number : number + 1],
        "statistics": {name: list(v)[number : number + 1] for name, v in statistics.items()},
    }
    found = answer_from_output(one, call)
    return Answer(
        found.text,
        {},
        "",
        found.prompt_tokens,
        found.completion_tokens,
        found.error,
        seconds=seconds,
    )


def _output(answers: Sequence[Answer | None]) -> dict[str, Any]:
    """A `GenerateOutput` of the samples of one input."""
    return {
        "generations": [a.text if a is not None and a.ok else None for a in answers],
        "statistics": {
            "input_tokens": [a.prompt_tokens if a is not None else 0 for a in answers],
            "output_tokens": [a.completion_tokens if a is not None else 0 for a in answers],
        },
    }
