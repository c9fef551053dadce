"""A plain checkpoint of a trained model, whatever it was spread over while training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.trainers.base import Base
    from charter.trainers.method import Method

__all__ = ["save_model"]


def save_model(trainer: Any, tokenizer: Any, folder: Path, method: Method, base: Base) -> None:
    """Save adapters merged, caching on, in the precision it was trained in.

    All processes must call this: weights that lie in shards are gathered from all of them. Only
    the first one writes.
    """
    plugin = trainer.accelerator.state.deepspeed_plugin
    sharded = trainer.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3)
    if sharded:
        _save_shards(trainer, folder, method, base)
    elif trainer.is_world_process_zero():
        _save_whole(trainer.accelerator.unwrap_model(trainer.model), folder)
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(folder)


def _save_whole(model: Any, folder: Path) -> None:
    from peft import PeftModel

    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    # transformers' Trainer turns it off for training; saved so, generating would be slow.
    model.config.use_cache = True
    model.save_pretrained(folder)


def _save_shards(trainer: Any, folder: Path, method: Method, base: Base) -> None:
    """Gather by the trainer's own saving; adapters can't be merged into shards, so do it again."""
    gathered = folder.with_name("gathered")
    trainer.save_model(str(gathered))
    if not trainer.is_world_process_zero():
        return
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    # Else transformers would shard over all processes what is loaded here, and wait for the others.
    unset_hf_deepspeed_config()
    kind = AutoModelForSequenceClassification if method.scores else AutoModelForCausalLM
    more = {"num_labels": 1} if method.scores else {}
    adapters = (gathered / "adapter_config.json").is_file()
    model = kind.from_pretrained(base.path if adapters else gathered, **more)
    if adapters:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, gathered)
    _save_whole(model, folder)
    shutil.rmtree(gathered)
