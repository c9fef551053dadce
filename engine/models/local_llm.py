"""The local model as a distilabel LLM: for `pipeline.run()`, and for our own runner."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distilabel.models.llms.base import LLM
from pydantic import Field, PrivateAttr

from charter.documents import expanded
from charter.errors import Fault, InputError
from charter.models.call import Answer, Call
from charter.models.checkpoint import identify
from charter.models.local import LocalModel, load_local
from charter.rows import Message, draw_int, messages_id

__all__ = ["LocalLLM"]


class LocalLLM(LLM):  # type: ignore[misc]  # distilabel has no types for mypy
    """A transformers model in this process, as an LLM of distilabel.

    Every sample has a seed of its own: in `answer_batch` the call's, in `generate` a hash of
    the messages and the sample's index. So the same input gets the same samples in any batch.

    Attributes:
        model: folder of a checkpoint or of a LoRA adapter; None is the embedded model.
        temperature: 0 takes the likeliest token.
        top_p: the nucleus, in (0, 1].
        max_tokens: most tokens of an answer.
        stop: texts that end an answer and are left out of it.
        seed: what the draws of `generate` start from.
    """

    model: str | None = None
    temperature: float = Field(default=0.7, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=128, ge=1)
    stop: tuple[str, ...] = ()
    seed: int = 0

    _local: LocalModel | None = PrivateAttr(default=None)

    @property
    def model_name(self) -> str:
        """The embedded model's name, or the one that the folder records; loads nothing."""
        return identify(self._path).name

    def load(self) -> None:
        """Loads the model, or takes the one that this process has loaded."""
        self._local = load_local(self._path)
        super().load()

    def unload(self) -> None:
        """Lets go of the model; the process keeps it for the next `load`."""
        self._local = None
        super().unload()

    def generate(
        self,
        inputs: list[Any],
        num_generations: int = 1,
        temperature: float | None = None,
        top_p: float | None = None,
        max_new_tokens: int | None = None,
    ) -> list[dict[str, Any]]:
        """Writes `num_generations` answers to each conversation.

        Args:
            inputs: conversations, each a list of chat messages.
            num_generations: samples of each conversation.
            temperature: instead of the LLM's own.
            top_p: instead of the LLM's own.
            max_new_tokens: instead of the LLM's own `max_tokens`.

        Returns:
            One distilabel `GenerateOutput` an input. A sample that failed is None.
        """
        calls = [
            self._sample(messages, index) for messages in inputs for index in range(num_generations)
        ]
        answers = self._loaded().generate(
            calls,
            temperature=self.temperature if temperature is None else temperature,
            top_p=self.top_p if top_p is None else top_p,
            max_tokens=self.max_tokens if max_new_tokens is None else max_new_tokens,
            stop=self.stop,
        )
        return [
            _output(answers[start : start + num_generations])
            for start in range(0, len(answers), num_generations)
        ]

    def answer_batch(self, calls: Sequence[Call]) -> list[Answer]:
        """Answers calls in their order, as one batch: texts, or label log-probabilities.

        Args:
            calls: those with `labels` get log-probabilities, the others a text.
        """
        local = self._loaded()
        asked = [place for place, call in enumerate(calls) if call.labels]
        rest = [place for place, call in enumerate(calls) if not call.labels]
        started = time.perf_counter()
        scored = local.label_logprobs([calls[place] for place in asked])
        between = time.perf_counter()
        written = local.generate(
            [calls[place] for place in rest],
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=self.stop,
        )
        ended = time.perf_counter()
        # A call of a batch took its share of it.
        scored = [replace(a, seconds=(between - started) / len(scored)) for a in scored]
        written = [replace(a, seconds=(ended - between) / len(written)) for a in written]
        answers = dict(zip([*asked, *rest], [*scored, *written], strict=True))
        return [answers[place] for place in range(len(calls))]

    def __getstate__(self) -> dict[Any, Any]:
        """Without the model: another process loads its own."""
        state = dict(super().__getstate__())
        private = state.get("__pydantic_private__")
        if private is not None:
            state["__pydantic_private__"] = {**private, "_local": None}
        return state

    @property
    def _path(self) -> Path | None:
        return None if self.model is None else expanded(self.model)

    def _loaded(self) -> LocalModel:
        if self._local is None:
            self.load()
        assert self._local is not None
        return self._local

    def _sample(self, messages: Any, index: int) -> Call:
        if not isinstance(messages, list) or not all(isinstance(m, Mapping) for m in messages):
            raise InputError(
                Fault(
                    "",
                    "LocalLLM",
                    f"an input is {type(messages).__name__}, not a list of chat messages",
                    "use a task without structured output",
                )
            )
        chat = tuple(Message(role=m["role"], content=m["content"]) for m in messages)
        seed = draw_int(self.seed, messages_id(chat), "sample", index)
        return Call("generate", messages_id(chat), index, seed, chat)


def _output(answers: Sequence[Answer]) -> dict[str, Any]:
    """A `GenerateOutput` of the samples of one input."""
    return {
        "generations": [answer.text if answer.ok else None for answer in answers],
        "statistics": {
            "input_tokens": [answer.prompt_tokens for answer in answers],
            "output_tokens": [answer.completion_tokens for answer in answers],
        },
    }
