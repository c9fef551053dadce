"""The embedded model itself: trained for a few steps, it stays a model and learns."""

import pytest

from charter.trainers import read_settings
from charter.trainers.train import train

pytestmark = [pytest.mark.slow, pytest.mark.model]

ANSWERS = (
    "I keep to what is kind, and I say it plainly.",
    "I keep to what is true, and I say it briefly.",
    "I keep to what is safe, and I say why.",
    "I keep to what is useful, and I say it first.",
)


def _rows(count, completion, **more):
    return [
        {
            "id": f"p{i}",
            "prompt_id": f"p{i}",
            "prompt": [{"role": "user", "content": f"What do you do in case {i}?"}],
            **{name: [{"role": "assistant", "content": text(i)}] for name, text in completion},
            **more,
        }
        for i in range(count)
    ]


def test_sft_then_dpo_on_the_embedded_model(make_version, place):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    good = ("chosen", lambda i: ANSWERS[i % 4])
    version = make_version(
        {
            "sft": {"train": _rows(8, [("completion", good[1])])},
            "preference": {
                "train": _rows(
                    8, [good, ("rejected", lambda i: "No. Go away and stop asking.")], p_chosen=0.9
                )
            },
        },
        generator={"llm": "local", "model": None},
    )
    values = {"lora": True, "max_steps": 4, "per_device_train_batch_size": 4}
    sft = train(
        read_settings("sft", version, place / "sft", values={**values, "learning_rate": 1e-3})
    )
    assert sft.notes == ()
    assert sft.metrics["last_epoch_loss"] < sft.metrics["first_epoch_loss"] - 0.5
    card = (sft.model / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nbase_model: HuggingFaceTB/SmolLM2-135M-")

    dpo = train(
        read_settings(
            "dpo",
            version,
            place / "dpo",
            model=str(sft.model),
            values={**values, "learning_rate": 5e-4},
        )
    )
    assert dpo.metrics["first_loss"] == pytest.approx(0.693, abs=2e-3)
    assert dpo.metrics["last_epoch_loss"] < dpo.metrics["first_epoch_loss"]

    tokenizer = AutoTokenizer.from_pretrained(dpo.model)
    model = AutoModelForCausalLM.from_pretrained(dpo.model)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What do you do in case 9?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    made = model.generate(**ids, max_new_tokens=8, do_sample=False)
    text = tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert "keep" in text
