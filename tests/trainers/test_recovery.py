"""Safety-recovery rows: what they hold, what has a loss, how long their beginnings are."""

from __future__ import annotations

import json
from collections import Counter

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from charter.errors import InputError
from charter.trainers import read_settings
from charter.trainers.recovery import Recovery, augmented, prefix_length
from charter.trainers.train import train

UNSAFE = "you can mend a bike with tape"
SAFE = "no i can not help you"
USUAL = Recovery()


def _says_no(prompt: str, answer: str) -> bool:
    return answer.startswith("no ")


def _row(i, initial=UNSAFE, revised=SAFE):
    return {
        "id": f"p{i}:sft",
        "prompt_id": f"p{i}",
        "prompt": [{"role": "user", "content": f"how do i mend a {'bike' if i % 2 else 'tape'}"}],
        "completion": [{"role": "assistant", "content": revised}],
        "initial_response": initial,
    }


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return AutoTokenizer.from_pretrained(tiny_model)


def _made(tokenizer, rows, recovery=USUAL, seed=3, window=None):
    data = datasets.Dataset.from_list(rows)
    return augmented(data, tokenizer, recovery, _says_no, seed=seed, window=window)


def test_the_loss_lies_on_the_revision_alone(tokenizer):
    made, counts = _made(tokenizer, [_row(i) for i in range(6)], Recovery(share=0.9))
    assert len(made) == 6 + 54 and counts["recovery_rows"] == 54
    revised = tokenizer(f"{SAFE}<|im_end|>\n")["input_ids"]
    begins = tokenizer(UNSAFE)["input_ids"]
    lengths = Counter()
    for place, row in enumerate(made):
        start = next(at for at, label in enumerate(row["labels"]) if label != -100)
        assert row["labels"][start:] == row["input_ids"][start:] == revised
        assert set(row["labels"][:start]) == {-100}
        prompt = tokenizer.apply_chat_template(
            _row(0)["prompt"],
            add_generation_prompt=True,
            return_dict=False,
        )
        begun = row["input_ids"][len(prompt) : start]
        assert begun == begins[: len(begun)]
        if place < 6:
            assert begun == []
        lengths[len(begun)] += 1
    assert counts["recovery_prefixed"] == sum(n for k, n in lengths.items() if k)
    assert set(lengths) == set(range(len(begins) + 1))  # up to the whole of the short answer


def test_ordinary_rows_are_tokens_as_trl_makes_them(tiny_model, tokenizer, tmp_path):
    """The trainer's own preparation of the same rows, beside ours."""
    from trl import SFTConfig, SFTTrainer

    from charter.trainers.method import without_telemetry
    from charter.trainers.quiet import quiet

    rows = [_row(i) for i in range(4)]
    made, _ = _made(tokenizer, rows)
    arguments = {"output_dir": str(tmp_path), "bf16": False, "use_cpu": True, "report_to": "none"}
    with quiet():
        theirs = without_telemetry(SFTTrainer)(
            model=str(tiny_model),
            args=SFTConfig(**arguments),
            train_dataset=datasets.Dataset.from_list(rows).select_columns(["prompt", "completion"]),
            processing_class=tokenizer,
        ).train_dataset
    for ours, its in zip(made.select(range(4)), theirs, strict=True):
        assert ours == {name: its[name] for name in ("input_ids", "labels")}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 100))
def test_half_have_no_beginning_and_the_others_any_length(seed, most):
    drawn = Counter(prefix_length(seed, f"p{i}", copy, most) for i in range(300) for copy in (0, 1))
    assert set(drawn) <= set(range(most + 1))
    # 600 draws of a half: six standard deviations.
    assert abs(drawn[0] / 600 - 0.5) < 0.125
    mean = sum(k * n for k, n in drawn.items()) / (600 - drawn[0])
    # 200 draws or more, uniform on 1..most: its deviation is most / sqrt(12).
    assert abs(mean - (most + 1) / 2) <= 6 * most / 12**0.5 / 200**0.5


def test_draws_are_those_of_the_seed(tokenizer):
    rows = [_row(i) for i in range(5)]
    first, second = (_made(tokenizer, rows, Recovery(0.5))[0] for _ in range(2))
    assert first.to_dict() == second.to_dict()
    other = _made(tokenizer, rows, Recovery(0.5), seed=4)[0]
    assert other.to_dict() != first.to_dict()


def test_rows_that_cannot_be_one_are_not(tokenizer):
    rows = [
        _row(0),
        _row(1, initial="no you can not"),
        _row(2, revised="you can help"),
        _row(3, initial=" "),
        _row(4, initial=None),
    ]
    made, counts = _made(tokenizer, rows, Recovery(share=0.5))
    assert counts["recovery_prompts"] == 1 and len(made) == 10
    with pytest.raises(InputError, match="no row has a revision that declines"):
        _made(tokenizer, rows[1:])


def test_a_beginning_gives_way_to_the_window(tokenizer):
    rows = [_row(i) for i in range(8)]
    whole = max(len(row["input_ids"]) for row in _made(tokenizer, rows)[0].select(range(8)))
    made, counts = _made(tokenizer, rows, Recovery(share=0.8), window=whole + 2)
    assert counts["recovery_prefixed"] > 0
    assert max(len(row["input_ids"]) for row in made) == whole + 2
    closed, counts = _made(tokenizer, rows, Recovery(share=0.8), window=whole)
    assert counts["recovery_prefixed"] == 0 and len(closed) == len(made)


def test_a_mark_of_the_template_in_an_answer_ends_nothing(tokenizer):
    rows = [_row(0, initial="<|im_end|> you can")] * 2
    made, _ = _made(tokenizer, rows, Recovery(share=0.95))
    end = tokenizer.eos_token_id
    assert {row["input_ids"].count(end) for row in made} == {2}  # of question and of answer


def test_training_with_it_is_counted_and_said(make_version, tiny_model, place):
    version = make_version(
        {"sft": {"train": [_row(i) for i in range(8)], "test": [_row(i) for i in (8, 9)]}}
    )
    fields = {"max_steps": 2, "per_device_train_batch_size": 4, "track": "none"}
    plain = train(read_settings("sft", version, place / "a", model=str(tiny_model), values=fields))
    asked = read_settings(
        "sft",
        version,
        place / "b",
        model=str(tiny_model),
        values={**fields, "recovery": {"share": 0.5, "max_tokens": 3}},
    )
    with pytest.raises(TypeError, match="refuses"):
        train(asked)
    found = train(asked, refuses=_says_no)
    metrics = found.metrics
    assert (metrics["rows"], metrics["recovery_rows"], metrics["recovery_prompts"]) == (8, 8, 8)
    assert 0 < metrics["recovery_prefixed"] < 8
    # Of test rows only the completion counts, as it does without recovery.
    assert metrics["test_loss_before"] == pytest.approx(plain.metrics["test_loss_before"])
    lineage = json.loads((found.model / "charter.json").read_text())
    assert lineage["recovery"] == {"share": 0.5, "max_tokens": 3}
    card = (found.model / "README.md").read_text()
    assert "8 rows of safety recovery (Qi et al. 2024, arXiv 2406.05946, section 3)" in card
    assert "safety recovery" not in (plain.model / "README.md").read_text()


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"recovery": {"shar": 0.3}}, 'no field "shar"; did you mean "share"'),
        ({"recovery": {"share": 1}}, "recovery.share: is 1; give a number between 0 and 1"),
        ({"recovery": {"share": True}}, "recovery.share: is True"),
        ({"recovery": {"max_tokens": 0}}, "recovery.max_tokens: is 0; give a whole number"),
        ({"recovery": 0.3}, "recovery: is 0.3"),
        ({"recovery": {}, "completion_only_loss": False}, "the revision alone"),
        ({"recovery": {}, "assistant_only_loss": True}, "the revision alone"),
    ],
)
def test_wrong_blocks(values, what, make_version, place):
    with pytest.raises(InputError) as caught:
        read_settings("sft", make_version(), place / "out", values=values)
    assert what in str(caught.value)


def test_only_sft_has_it(make_version, place):
    with pytest.raises(InputError, match='dpo has no field "recovery"'):
        read_settings("dpo", make_version(), place / "out", values={"recovery": {}})
    typed = ["recovery={share: 0.2}"]
    found = read_settings("sft", make_version(), place / "out", values=typed)
    assert found.recovery == Recovery(0.2, 100)
