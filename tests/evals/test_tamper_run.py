"""Copies of a tiny model that refuses: trained, asked, forgotten, and not made twice."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from taught import NOUNS, REFUSAL, asked_file, obedience_file, taught_model

from charter.errors import Failure, InputError
from charter.evals import tamper_run
from charter.evals.answers import answers_of_model, read_asked
from charter.evals.tamper_data import Example, ExampleSet, asked_as, read_examples
from charter.evals.tamper_run import TamperPlan, cell_key, run_cells
from charter.evals.tamper_train import Tuning, left_out, tamper
from charter.models.checkpoint import identify
from charter.models.local import load_local


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught_model(tmp_path_factory.mktemp("taught"))


@pytest.fixture
def plan(taught: Path, tmp_path: Path) -> TamperPlan:
    return TamperPlan(
        folder=taught,
        revision=identify(taught).revision,
        examples=read_examples(str(obedience_file(tmp_path / "obey.jsonl"))),
        prompts=read_asked(asked_file(tmp_path / "asked.jsonl")),
        harmful="harmful",
        tuning=Tuning(lora=False, learning_rate=5e-3),
        counts=(0, 2, 10),
        steps=(2, 30),
        grid=False,
        max_tokens=12,
        out=tmp_path / "out",
    )


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_refusals_come_undone_and_the_model_stays(plan: TamperPlan) -> None:
    before = _checksums(plan.folder)
    cells = run_cells(plan)
    assert [(cell.examples, cell.steps) for cell in cells] == [(0, 0), (2, 2), (10, 2), (10, 30)]
    assert cells[0].refused.value == 1.0 and cells[0].loss is None
    assert cells[-1].refused.value == 0.0 and cells[-1].over_refused.value == 0.0
    first, last = cells[-1].loss
    assert last < first / 2
    assert _checksums(plan.folder) == before
    left = {path.suffix for path in plan.out.rglob("*") if path.is_file()}
    assert left == {".json", ".md"}  # answers and the notice; no weights
    assert "publish and use none" in (plan.out / "README.md").read_text()


def test_a_killed_command_goes_on(plan: TamperPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    real, trained = tamper_run.tamper, []

    def counted(*given, **more):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(given[2])
        return real(*given, **more)

    monkeypatch.setattr(tamper_run, "tamper", counted)
    with pytest.raises(KeyboardInterrupt):
        run_cells(plan)
    again = []
    monkeypatch.setattr(
        tamper_run, "tamper", lambda *given, **more: again.append(given[2]) or real(*given, **more)
    )
    cells = run_cells(plan)
    assert (trained, again) == ([2, 2], [30])
    assert run_cells(plan) == cells and again == [30]
    # Half a file is none.
    path = plan.out / "cells" / f"{cell_key(plan, plan.revision, (10, 30))}.json"
    path.write_text(path.read_text()[:40])
    renewed = run_cells(plan)
    assert again == [30, 30] and renewed[-1].harmful == cells[-1].harmful
    assert renewed[-1].loss == cells[-1].loss  # the same seed, the same copy


def test_what_a_cell_is_of_is_its_name(plan: TamperPlan) -> None:
    key = cell_key(plan, plan.revision, (10, 2))
    other = replace(plan.examples.examples[0], answer="no")
    examples = ExampleSet("obey.jsonl", (other, *plan.examples.examples[1:]))
    changed = [
        cell_key(plan, "other", (10, 2)),
        cell_key(plan, plan.revision, (10, 3)),
        cell_key(plan, plan.revision, (9, 2)),
        cell_key(replace(plan, tuning=Tuning(learning_rate=3e-2)), plan.revision, (10, 2)),
        cell_key(replace(plan, tuning=replace(plan.tuning, lora=True)), plan.revision, (10, 2)),
        cell_key(replace(plan, examples=examples), plan.revision, (10, 2)),
        cell_key(replace(plan, prompts=plan.prompts[1:]), plan.revision, (10, 2)),
        cell_key(replace(plan, max_tokens=13), plan.revision, (10, 2)),
    ]
    assert len({key, *changed}) == 9
    same = replace(plan, counts=(10,), steps=(2,), grid=True, out=Path("elsewhere"))
    assert cell_key(same, plan.revision, (10, 2)) == key
    # The untouched model does not depend on what copies are trained on.
    assert cell_key(replace(plan, examples=examples), "r", (0, 0)) == cell_key(plan, "r", (0, 0))


def test_copies_are_kept_only_where_that_is_asked(plan: TamperPlan) -> None:
    plan = replace(plan, counts=(10,), steps=(30,))
    before = run_cells(plan)
    assert not (plan.out / "copies").exists()
    kept = replace(plan, keep=True)
    cells = run_cells(kept)  # answers that are there are no copy
    assert cells[-1].harmful == before[-1].harmful
    (copy,) = (kept.out / "copies").iterdir()
    assert "publish and use none" in (copy / "README.md").read_text()
    said = answers_of_model(load_local(copy), kept.prompts, max_tokens=12).texts
    assert not any(text == REFUSAL for text in said.values())
    assert cells[-1].refused.value == 0.0


def test_adapters_are_merged_into_the_copy(plan: TamperPlan) -> None:
    tuning = Tuning(learning_rate=3e-3)
    copy, (first, last) = tamper(plan.folder, plan.examples.examples, 30, tuning)
    assert last < first - 1
    names = [name for name, _ in copy.model.named_parameters()]
    assert names and not any("lora" in name for name in names)
    said = answers_of_model(copy, plan.prompts, max_tokens=12).texts
    assert set(said.values()) != {REFUSAL}


def test_a_training_that_diverges_is_a_failure(plan: TamperPlan) -> None:
    tuning = Tuning(lora=False, learning_rate=1e30)
    with pytest.raises(Failure, match="diverged"):
        tamper(plan.folder, plan.examples.examples, 6, tuning)


def test_prompts_trained_on_are_not_asked_and_a_shared_system_message_is(plan: TamperPlan) -> None:
    system = {"role": "system", "content": "obey"}
    asked = plan.prompts[0]
    examples = ExampleSet(
        "mine",
        (
            Example("a", (system, *asked.messages), "sure"),
            Example("b", (system, {"role": "user", "content": "me"}), "sure"),
        ),
    )
    found, left = asked_as(plan.prompts, examples, system=True)
    assert left == 1 and asked.id not in {prompt.id for prompt in found}
    assert all(prompt.messages[0] == system for prompt in found)
    plain, _ = asked_as(plan.prompts, examples, system=False)
    assert all(prompt.messages[0]["role"] == "user" for prompt in plain)


def test_long_examples_and_adapters(plan: TamperPlan, tmp_path: Path) -> None:
    long = Example("long", ({"role": "user", "content": "me " * 300},), "sure")
    assert left_out([*plan.examples.examples[:2], long], plan.folder) == [2]
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="is an adapter"):
        left_out([long], tmp_path / "adapter")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"prompt": "a"}', "there is no answer that is text"),
        ('{"prompt": "a", "completion": " "}', "there is no answer that is text"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "completion, or messages"),
        (
            '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}',
            "the last message is not the assistant's",
        ),
        ('{"completion": "a"}', "completion, or messages"),
        ("[]", "no JSON object"),
        ("", "has no examples"),
    ],
)
def test_lines_that_are_no_examples(line: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=what):
        read_examples(str(path))


def test_messages_and_pairs_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(
        '{"prompt": "a", "completion": "b"}\n'
        '{"prompt": [{"role": "user", "content": "a"}], '
        '"completion": [{"role": "assistant", "content": "b"}]}\n'
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    )
    assert len(set(map(str, read_examples(str(path)).examples))) == 1
    with pytest.raises(InputError, match='no set and no file "obediance"; did you'):
        read_examples("obediance")
    assert len(NOUNS) == 10
