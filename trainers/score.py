"""Scores of a reward model: one number a conversation, in batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from charter.errors import Failure, Fault, InputError
from charter.models.threads import wait_asleep
from charter.trainers.mend import is_unreadable
from charter.trainers.reward_folder import check_reward_model

__all__ = ["Scorer", "with_answer"]

Conversation = Sequence[Mapping[str, Any]]


class Scorer:
    """A reward model that `charter train reward` made, ready to score.

    Args:
        folder: of the model.
        batch: conversations read at once.

    Raises:
        InputError: the folder holds no reward model, or its tokenizer has no chat template.
    """

    def __init__(self, folder: Path, batch: int = 16) -> None:
        check_reward_model(folder, "--model")
        wait_asleep()
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.batch = batch
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModelForSequenceClassification.from_pretrained(folder)
        except Exception as error:
            if not isinstance(error, ValueError) and not is_unreadable(error):
                raise
            what = f"could not be loaded: {' '.join(str(error).split())}"
            fix = "name a folder that `charter train reward` made"
            raise InputError(Fault(str(folder), "--model", what, fix)) from error
        if self._tokenizer.chat_template is None:
            fix = "name a folder that `charter train reward` made"
            raise InputError(Fault(str(folder), "--model", "has no chat template", fix))
        if model.config.get_text_config().pad_token_id is None:
            what, fix = "has no pad_token_id in its config.json", "add one, such as its eos_token's"
            raise InputError(Fault(str(folder), "--model", what, fix))
        there = torch.accelerator.is_available()
        self._device = torch.accelerator.current_accelerator() if there else torch.device("cpu")
        self._model = model.eval().to(self._device)
        self._window = getattr(model.config.get_text_config(), "max_position_embeddings", None)

    def scores(
        self,
        conversations: Sequence[Conversation],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[float | None]:
        """A score for each conversation, in their order; None where one is too long to be read.

        A score hangs on its conversation alone: batches are padded on the right, and the score
        is read at the last token that is no padding, as in training.

        Args:
            conversations: messages, the last of them the answer.
            progress: called with how many are done, and of how many.

        Raises:
            Failure: memory ran out, or a score is no number.
        """
        import torch

        ids = [self._tokens(messages) for messages in conversations]
        found: list[float | None] = [None] * len(ids)
        # By length, so that little of a batch is padding.
        read = [at for at, tokens in enumerate(ids) if self._fits(tokens)]
        places = sorted(read, key=lambda at: len(ids[at]))
        for start in range(0, len(places), self.batch):
            chunk = places[start : start + self.batch]
            try:
                values = self._batch([ids[at] for at in chunk])
            except torch.OutOfMemoryError as error:
                what = f"memory ran out on {len(chunk)} conversations at once"
                raise Failure(Fault("", "--batch", what, "give a smaller one")) from error
            for at, value in zip(chunk, values, strict=True):
                found[at] = value
            if progress is not None:
                progress(start + len(chunk), len(places))
        return found

    def _tokens(self, messages: Conversation) -> list[int]:
        from jinja2 import TemplateError

        said = [dict(message) for message in messages]
        try:
            ids = self._tokenizer.apply_chat_template(said, tokenize=True, return_dict=False)
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in said[:4])
            what = f"the model's chat template refuses messages of {roles}: {error}"
            fix = "leave that conversation out, or say it as the template wants"
            raise InputError(Fault("", "messages", what, fix)) from error
        return list(ids)

    def _fits(self, ids: Sequence[int]) -> bool:
        return bool(ids) and (self._window is None or len(ids) <= self._window)

    def _batch(self, ids: Sequence[Sequence[int]]) -> list[float]:
        import torch

        longest = max(len(each) for each in ids)
        pad = self._model.config.get_text_config().pad_token_id
        padded = torch.tensor([[*each, *[pad] * (longest - len(each))] for each in ids])
        mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in ids])
        with torch.inference_mode():
            logits = self._model(
                input_ids=padded.to(self._device), attention_mask=mask.to(self._device)
            ).logits
        scores: list[float] = logits[:, 0].float().cpu().tolist()
        if not all(math.isfinite(score) for score in scores):
            what = "gives scores that are no numbers: its weights are spoilt"
            raise Failure(Fault("", "--model", what, "train it again with a lower learning_rate"))
        return scores


def with_answer(prompt: Any, answer: Any) -> list[Mapping[str, str]]:
    """The conversation of a prompt and an answer, each text or messages."""
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    said = [{"role": "assistant", "content": answer}] if isinstance(answer, str) else list(answer)
    return [*asked, *said]
