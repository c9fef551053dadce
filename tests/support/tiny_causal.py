"""Language models of two small layers with random weights, of any architecture."""

from __future__ import annotations

from typing import Any

import pytest


def tiny_causal(kind: str = "Llama", **settings: Any) -> Any:
    """A model large enough that every wrong look shows in its logits; the same at each call."""
    import torch
    import transformers

    torch.manual_seed(3)
    sizes = {
        "vocab_size": 160,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "initializer_range": 0.4,
    }
    config = getattr(transformers, f"{kind}Config")(**sizes | settings)
    return getattr(transformers, f"{kind}ForCausalLM")(config).eval()


def tokens_read(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the tokens of each pass of the model from now on."""
    read: list[int] = []
    forward = model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        read.append(kwargs["input_ids"].numel())
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", counted)
    return read
