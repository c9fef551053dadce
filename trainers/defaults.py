"""What Charter sets where the settings of a training say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from charter.trainers.trackers import reported_to

if TYPE_CHECKING:
    from charter.trainers.method import Method
    from charter.trainers.settings import TrainSettings

__all__ = ["defaults_of"]


def defaults_of(settings: TrainSettings, method: Method) -> dict[str, Any]:
    """Fields of the TRL config, for this device and method.

    TRL's own defaults for bf16 and gradient checkpointing hold on CPUs as well, where the
    first is slower and the second saves memory that isn't short.
    """
    import torch

    seed = settings.dataset.manifest.seeds.get("recipe", 0)
    defaults: dict[str, Any] = {
        "seed": seed,
        "report_to": reported_to(settings.track) or "none",
        "disable_tqdm": True,
        # Without either, `charter.trainers.checkpoints` asks for one from time to time.
        "save_strategy": "steps" if "save_steps" in settings.fields else "no",
        "eval_strategy": "steps" if "eval_steps" in settings.fields else "no",
        "save_total_limit": 1,
        # A share of all steps: each step of a short run, fifty points of a long one.
        "logging_steps": 0.02,
        # Otherwise a loss that is no number is logged as the mean of the others.
        "logging_nan_inf_filter": False,
        **method.defaults(settings.fields),
    }
    if torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        # With fp16 on, TRL itself leaves bf16 off.
        return defaults if settings.fields.get("fp16") else {**defaults, "bf16": bf16}
    defaults |= {"bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False}
    if not torch.accelerator.is_available():
        defaults["use_cpu"] = True
    return defaults
