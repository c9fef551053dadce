"""What the training benchmark trains on what: a version of random words, and a model of 1B's shape.

Not run by itself; see `train.py`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from server import WORDS

from charter.hub import Draft, open_version, publish_local
from charter.models.checkpoint import embedded_checkpoint
from charter.rows import digest

__all__ = ["llama_1b", "tokens_a_row", "version_of"]


def version_of(folder: Path, rows: int, words: int) -> Path:
    """A published version without a `test` split, of answers of so many random words.

    Args:
        folder: of the store.
        rows: of `sft` and of `preference`.
        words: in an answer; they are of no language, so that each is some tokens.
    """
    draft = Draft(
        repo="bench/train",
        rows={
            "sft": [_sft(index, words) for index in range(rows)],
            "preference": [_pair(index, words) for index in range(rows)],
            "judgments": [_vote(index, order) for index in range(rows) for order in ("AB", "BA")],
        },
        splits={f"p{index}": "train" for index in range(rows)},
        ledgers={"records": rows, "prompts": rows, "pairs_formed": rows},
        lineage={
            "constitution": {
                "name": "bench",
                "version": "1.0.0",
                "licence": "CC0-1.0",
                "fingerprint": digest("constitution"),
            },
            "recipe": {"name": "bench", "fingerprint": digest("recipe")},
            "prompt_set": {"path": "p.jsonl", "fingerprint": digest("prompts"), "records": rows},
            "models": {"generator": {"llm": "local", "model": None}},
            "seeds": {"recipe": 7},
            "packages": {},
        },
        constitution_yaml="name: bench\n",
        recipe_yaml="name: bench\n",
    )
    return Path(publish_local(draft, folder).path)


def _said(role: str, what: str, index: int, words: int) -> list[dict[str, str]]:
    chosen = random.Random(f"{what} {index}").choices(WORDS, k=words)
    return [{"role": role, "content": f"{index}: {' '.join(chosen)}"}]


def _sft(index: int, words: int) -> dict[str, Any]:
    return {
        "id": f"p{index}#sft",
        "prompt": _said("user", "prompt", index, 6),
        "completion": _said("assistant", "chosen", index, words),
        "initial_response": "none",
        "revisions": [],
        "prompt_id": f"p{index}",
        "source": "random words",
    }


def _pair(index: int, words: int) -> dict[str, Any]:
    return {
        "id": f"p{index}#a~b",
        "prompt": _said("user", "prompt", index, 6),
        "chosen": _said("assistant", "chosen", index, words),
        "rejected": _said("assistant", "rejected", index, words),
        # A certain label: Charter's own loss for DPO is then TRL's to the last bit.
        "p_chosen": 1.0,
        "log_odds": None,
        "principle_ids": ["bench"],
        "n_votes": 2,
        "order_consistent": True,
        "label_source": "ai",
        "source_label": None,
        "chosen_model": "random words",
        "rejected_model": "random words",
        "judge_model": "random words",
        "prompt_id": f"p{index}",
        "source": "random words",
    }


def _vote(index: int, order: str) -> dict[str, Any]:
    return {
        "comparison_id": f"p{index}#a~b",
        "prompt_id": f"p{index}",
        "candidate_a": f"p{index}#a",
        "candidate_b": f"p{index}#b",
        "principle_id": "bench",
        "order": order,
        "sample": 0,
        "verdict": "A",
        "p_a": 1.0,
        "rationale": None,
        "raw": "A",
        "judge_model": "random words",
        "score_a": None,
        "score_b": None,
        "source_label": None,
        "prompt_tokens": 100,
        "completion_tokens": 1,
    }


def tokens_a_row(version: Path, model: Path) -> float:
    """Tokens of prompt and answer, the mean over the first rows of `sft`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = open_version(version).rows("sft", "train").head(64).to_dicts()
    said = [[*row["prompt"], *row["completion"]] for row in rows]
    ids = tokenizer.apply_chat_template(said, tokenize=True, return_dict=False)
    return sum(map(len, ids)) / len(ids)


def llama_1b(folder: Path) -> Path:
    """A Llama of the shape of Llama 3.2 1B with random weights and the embedded model's tokenizer.

    Its vocabulary is the tokenizer's, so it has 1.07 billion weights.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(embedded_checkpoint())
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _main(arguments: Iterable[str]) -> None:
    """Make the model in a process of its own, which takes its memory with it."""
    for folder in arguments:
        llama_1b(Path(folder))


if __name__ == "__main__":
    _main(sys.argv[1:])
