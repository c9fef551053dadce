"""Evaluation sets that are datasets of a Hub, through the clients."""

from __future__ import annotations

from pathlib import Path

import pytest
from on_hub import hub_environment, run_python

from charter.errors import InputError
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.hub.evaluation_sets import EvaluationSet, load_sets
from charter.recipes.publish import EvaluationSource

TOKEN = "hf_owner_0123456789"
WORK = """
from pathlib import Path
from datasets import Dataset
from charter.errors import CharterError
from charter.hub.evaluation_sets import load_sets
from charter.recipes.publish import EvaluationSource as Source

rows = [{"ctx": f"A stem number {i} of a quiz about rivers and the sea.", "n": i} for i in range(9)]
for split in ("validation", "test"):
    Dataset.from_list(rows if split == "test" else rows[:4]).push_to_hub(
        "me/quiz", "hard", split=split
    )
source = Source(dataset="me/quiz", config="hard", split="test", column="ctx")
whole = source.model_copy(update={"split": None, "config": None})
for found in load_sets(["mine.txt", source, whole], Path()):
    print(found.name, found.records, found.fingerprint)
for change in ({"column": "ctxx"}, {"column": None}, {"split": "train"}, {"dataset": "me/quid"}):
    try:
        load_sets([source.model_copy(update=change)], Path())
    except CharterError as error:
        print(error.faults[0])
"""


def test_a_dataset_of_a_hub_is_an_evaluation_set(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("One line\n")
    running = launch(tmp_path / "hub", users=[User("me", TOKEN, "write")])
    environment = hub_environment(running.address, TOKEN, tmp_path / "home")
    printed = run_python(environment, tmp_path, WORK)
    assert running.stop() == 0
    mine, tested, whole, *faults = printed.splitlines()
    texts = [f"A stem number {i} of a quiz about rivers and the sea." for i in range(9)]
    same = EvaluationSet.of("me/quiz/hard", [[text] for text in texts])
    assert mine.startswith("mine 1 ")
    assert tested == f"me/quiz/hard 9 {same.fingerprint}"
    assert whole.startswith("me/quiz 13 ")
    assert 'did you mean "ctx"?' in faults[0]
    assert "has no column of prompts; say `column`" in faults[1]
    assert "cannot be loaded" in faults[2] and "cannot be loaded" in faults[3]


def test_the_column_of_a_file_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "quiz.jsonl").write_text('{"ctx": "A stem", "text": "not this"}\n')
    (found,) = load_sets([EvaluationSource(path="quiz.jsonl", column="ctx")], tmp_path)
    assert found.fingerprint == EvaluationSet.of("quiz", [["A stem"]]).fingerprint
    with pytest.raises(InputError, match='no column "ctz"'):
        load_sets([EvaluationSource(path="quiz.jsonl", column="ctz")], tmp_path)


@pytest.mark.parametrize(
    "given", [{}, {"path": "a", "dataset": "me/a"}, {"path": "a", "split": "test"}]
)
def test_a_source_is_one_thing(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="name"):
        EvaluationSource(**given)
