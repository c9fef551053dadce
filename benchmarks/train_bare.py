"""A training as one writes it with TRL alone: the script beside which `charter train` is measured.

    python benchmarks/train_bare.py sft VERSION MODEL OUT '{"max_steps": 8, ...}'

Not run by itself; see `train.py`. Prints one JSON object: `train_seconds`, `tokens`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import datasets
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

COLUMNS = {"sft": ["prompt", "completion"], "dpo": ["prompt", "chosen", "rejected"]}
CONFIGS = {"sft": "sft", "dpo": "preference"}
KINDS: dict[str, tuple[Any, Any]] = {
    "sft": (SFTConfig, SFTTrainer),
    "dpo": (DPOConfig, DPOTrainer),
}


def main(method: str, version: str, model: str, out: str, settings: str) -> None:
    """Train and save."""
    config, trainer_of = KINDS[method]
    rows = datasets.load_dataset(version, CONFIGS[method], split="train")
    trainer = trainer_of(
        model=model,
        args=config(output_dir=out, report_to="none", save_strategy="no", **json.loads(settings)),
        train_dataset=rows.select_columns(COLUMNS[method]),
        processing_class=AutoTokenizer.from_pretrained(model),
    )
    done = trainer.train()
    trainer.save_model(out)
    found = {
        "train_seconds": done.metrics["train_runtime"],
        "tokens": int(trainer._total_train_tokens),
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
