"""A causal language model in this process: the embedded one, a trained one, or a LoRA adapter."""

# ruff: noqa: E402  torch reads the environment when it is imported
from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from charter.models.threads import one_thread_if_forked, wait_asleep

wait_asleep()

import torch
from huggingface_hub.errors import StrictDataclassError
from jinja2 import TemplateError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from charter.errors import Fault, InputError
from charter.models.call import Answer, Call
from charter.models.chat import conversation_ids
from charter.models.checkpoint import (
    Identity,
    Progress,
    adapter_base,
    embedded_checkpoint,
    embedded_folder,
    identify,
    quiet_transformers,
)
from charter.models.decode import Sampling, Written, decode_batch
from charter.models.labels import Sharing, label_spellings, next_logprobs
from charter.models.pack import pack_linears
from charter.models.prefill import split_batches

__all__ = ["MAX_BATCH", "LocalModel", "load_local", "unload_local"]

MAX_BATCH = 32

# What transformers, peft and the readers of files raise at a folder that is not as it should be.
_UNLOADABLE = (
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    TypeError,
    AttributeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)

_loaded: dict[str, LocalModel] = {}
_loading = threading.RLock()


class LocalModel:
    """One loaded model. Answers are a function of the calls of a batch, not of their order.

    float32 on a CPU and bfloat16 on a CUDA device. One batch is worked on at a time, whichever
    threads ask.

    Attributes:
        name: what rows and cards call the model.
        revision: 12 hex digits over what its answers depend on (`checkpoint.identify`).
        context_length: most tokens of a conversation and its answer together.
        model: the transformers model, for inference only.
        tokenizer: its tokenizer.
        ends: the tokens that end an answer.
    """

    def __init__(self, model: Any, tokenizer: Any, identity: Identity) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = identity.name
        self.revision = identity.revision
        self.context_length = _context_length(model, tokenizer)
        self.ends = _end_ids(model, tokenizer)
        self._working = threading.Lock()

    def generate(
        self,
        calls: Sequence[Call],
        *,
        temperature: float,
        top_p: float,
        max_tokens: int,
        stop: tuple[str, ...] = (),
    ) -> list[Answer]:
        """Writes an answer to each call, in their order.

        The calls are one batch; more than `MAX_BATCH` of them are split by length. At
        temperature 0 the likeliest token is taken; above it, each token is drawn by a hash of
        the call's seed and the step.

        Args:
            calls: what is asked; `labels` are not looked at.
            temperature: 0 or more.
            top_p: the nucleus, in (0, 1].
            max_tokens: most tokens an answer, its end token counted.
            stop: texts that end an answer and are left out of it.

        Returns:
            An answer a call: `finish_reason` is `stop` or `length`. A conversation that the
            template refuses, or that leaves no room in the context, gets its own `error`.
        """
        sampling = Sampling(temperature, top_p, max_tokens, stop)
        prompts, answers = self._prompts(calls, max_tokens)
        lengths = {place: len(ids) for place, ids in prompts.items()}
        # Equal lengths by content: the order of the calls moves none to another batch.
        by_length = sorted(
            prompts, key=lambda place: (lengths[place], prompts[place], calls[place].seed)
        )
        with self._working:
            for batch in split_batches(by_length, lengths, MAX_BATCH, max_tokens):
                written = decode_batch(
                    self.model,
                    self.tokenizer,
                    [prompts[place] for place in batch],
                    [calls[place].seed for place in batch],
                    sampling,
                    self.ends,
                )
                for place, row in zip(batch, written, strict=True):
                    answers[place] = self._answer(row, lengths[place], stop)
        return [answers[place] for place in range(len(calls))]

    def label_logprobs(self, calls: Sequence[Call], *, share: Sharing = "tree") -> list[Answer]:
        """The log-probability of each label of each call as the first token of its answer.

        A label is summed over its spellings `A` and ` A`, where these are single tokens.

        Args:
            calls: what is asked, each with its `labels`.
            share: how much of what several conversations begin with is read once (see
                `labels.next_logprobs`); less than the tree is for comparison.

        Returns:
            An answer a call, with `finish_reason` `logprobs`; a label that no single token
            spells is that call's `error`, as is a conversation too long.
        """
        prompts, answers = self._prompts(calls, 0)
        spellings = {}
        for place in list(prompts):
            spellings[place] = label_spellings(self.tokenizer, calls[place].labels)
            if unspelt := [label for label, ids in spellings[place].items() if not ids]:
                answers[place] = Answer(error=f"not a single token of {self.name}: {unspelt}")
                del prompts[place]
        places = list(prompts)
        with self._working:
            found = next_logprobs(
                self.model,
                [prompts[place] for place in places],
                [spellings[place] for place in places],
                share=share,
            )
        for place, logprobs in zip(places, found, strict=True):
            answers[place] = Answer(
                label_logprobs=logprobs,
                finish_reason="logprobs",
                prompt_tokens=len(prompts[place]),
            )
        return [answers[place] for place in range(len(calls))]

    def _prompts(
        self, calls: Sequence[Call], room: int
    ) -> tuple[dict[int, list[int]], dict[int, Answer]]:
        """Token ids of the calls that can be read, and answers for those that cannot."""
        prompts: dict[int, list[int]] = {}
        answers: dict[int, Answer] = {}
        for place, call in enumerate(calls):
            try:
                ids = conversation_ids(self.tokenizer, call.messages)
            except (TemplateError, ValueError, TypeError) as error:
                answers[place] = Answer(error=f"the chat template refuses the messages: {error}")
                continue
            if not ids:
                answers[place] = Answer(error="the chat template makes nothing of the messages")
            elif len(ids) + room > self.context_length:
                answers[place] = Answer(
                    error=f"{len(ids)} tokens and {room} to write exceed the context of "
                    f"{self.context_length}",
                    prompt_tokens=len(ids),
                    overflow=True,
                )
            else:
                prompts[place] = ids
        return prompts, answers

    def _answer(self, row: Written, prompt_tokens: int, stop: tuple[str, ...]) -> Answer:
        text = self.tokenizer.decode(row.ids, skip_special_tokens=True)
        cuts = [text.index(mark) for mark in stop if mark in text]
        if cuts:
            text = text[: min(cuts)]
        if row.finish_reason == "length":
            # Cut inside a character of several tokens.
            text = text.rstrip("\N{REPLACEMENT CHARACTER}")
        return Answer(
            text=text.strip(),
            finish_reason=row.finish_reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=len(row.ids),
        )


def load_local(path: Path | None = None, progress: Progress | None = None) -> LocalModel:
    """The model of a folder, loaded once a process; None is the embedded one.

    A folder whose files have changed since is loaded again.

    Args:
        path: a checkpoint that `save_pretrained` wrote, or a LoRA adapter (merged into its
            base, which may be the embedded model, another folder, or a name on the Hub).
        progress: told what is going on when the embedded model has to be converted.

    Raises:
        InputError: there is no checkpoint that can be loaded, or it has no chat template.
        Failure: the embedded model cannot be written to the cache.
    """
    one_thread_if_forked()
    with _loading:
        folder = embedded_checkpoint(progress) if path is None else Path(path)
        identity = identify(path)
        key = str(folder.resolve())
        known = _loaded.get(key)
        if known is None or known.revision != identity.revision:
            _loaded[key] = known = _load(folder, identity, progress)
        return known


def unload_local(path: Path | None = None) -> None:
    """Forgets a loaded model, so that its memory is free once nobody else holds it."""
    with _loading:
        _loaded.pop(str((embedded_folder() if path is None else Path(path)).resolve()), None)


def _check_writes(folder: Path) -> None:
    """Refuse a reward model: it would be read with a head for texts that nobody trained."""
    for name, key, mark in (
        ("config.json", "architectures", "SequenceClassification"),
        ("adapter_config.json", "task_type", "SEQ_CLS"),
    ):
        try:
            kind = json.loads((folder / name).read_text(encoding="utf-8")).get(key)
        except (OSError, ValueError, AttributeError):
            continue  # absent, or what loading says more of
        if mark in str(kind):
            said = kind[0] if isinstance(kind, list) else f"LoRA adapter for {kind}"
            what = f"is a {said}, which gives a score and no text"
            raise InputError(Fault(str(folder), "", what, "name a language model"))


def _load(folder: Path, identity: Identity, progress: Progress | None) -> LocalModel:
    _check_writes(folder)
    cuda = torch.cuda.is_available()
    dtype = torch.bfloat16 if cuda else torch.float32
    try:
        with quiet_transformers():
            if (folder / "adapter_config.json").is_file():
                model, tokenizer = _load_adapter(folder, dtype, progress)
            else:
                model = _load_whole(folder, dtype)
                tokenizer = AutoTokenizer.from_pretrained(folder)
    except _UNLOADABLE as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        what = f"this checkpoint cannot be loaded: {said}"
        fix = "save it again with save_pretrained, tokenizer included"
        raise InputError(Fault(str(folder), "", what, fix)) from error
    if tokenizer.chat_template is None:
        raise InputError(
            Fault(
                str(folder),
                "",
                "its tokenizer has no chat template, so it is no chat model",
                "put a chat_template.jinja beside its tokenizer.json",
            )
        )
    if "past_key_values" not in signature(type(model).forward).parameters:
        what = f"is a {type(model).__name__}, which keeps no keys and values to go on from"
        fix = "let a server answer for it, with llm: openai"
        raise InputError(Fault(str(folder), "", what, fix))
    if cuda:
        model = model.to("cuda")
    else:
        pack_linears(model)
    return LocalModel(model, tokenizer, identity)


def _load_whole(folder: str | Path, dtype: Any) -> Any:
    """A checkpoint's model, none of whose weights transformers had to make up."""
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, output_loading_info=True
    )
    if missing := sorted(found["missing_keys"]):
        raise ValueError(f"{len(missing)} of its weights are missing, as {missing[0]}")
    return model


def _load_adapter(folder: Path, dtype: Any, progress: Progress | None) -> tuple[Any, Any]:
    """A LoRA adapter merged into its base; the adapter's own tokenizer where it has one."""
    from peft import PeftModel

    base = adapter_base(folder)
    base = embedded_checkpoint(progress) if base is None else base
    own = (folder / "tokenizer_config.json").is_file()
    tokenizer = AutoTokenizer.from_pretrained(folder if own else base)
    model = _load_whole(base, dtype)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    adapted = PeftModel.from_pretrained(model, str(folder))
    # Read once more, since only this tells which weights found no place: they change nothing.
    found = adapted.load_adapter(str(folder), "default")
    if unfit := [*found.missing_keys, *found.unexpected_keys]:
        raise ValueError(f"{len(unfit)} of its weights do not fit {base}, as {unfit[0]}")
    return adapted.merge_and_unload(), tokenizer


def _context_length(model: Any, tokenizer: Any) -> int:
    """Most tokens at once; models without positions of their own say none, then the tokenizer's."""
    config = model.config.get_text_config()
    told = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    return int(next(filter(None, told), tokenizer.model_max_length))


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends an answer: the tokenizer's and those of the generation settings."""
    ends = model.generation_config.eos_token_id
    several = ends if isinstance(ends, list) else [ends]
    return frozenset(int(i) for i in [*several, tokenizer.eos_token_id] if i is not None)
