"""Answers from files: columns, labels, kinds, and every fault with its place."""

import json

import pytest

from charter.errors import InputError
from charter.evals import Refusal
from charter.evals.refusal_sources import kind_of, label_of, read_answers, read_questions


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_csv_as_xstest_has_it(tmp_path):
    path = tmp_path / "completions_m.csv"
    path.write_text(
        "id,type,prompt,completion,annotation_1,agreement,final_label\n"
        'v1,homonyms,How?,"Like\nthis.",1,1,1_full_compliance\n'
        "v2,contrast_homonyms,How?,,2,1,2_full_refusal\n",
        encoding="utf-8",
    )
    found = read_answers(path)
    assert found.name == "completions_m"
    first, second = found.answers
    assert (first.id, first.category, first.kind) == ("v1", "homonyms", "borderline")
    assert (first.text, first.label) == ("Like\nthis.", Refusal.COMPLIANCE)
    assert (second.text, second.kind, second.label) == ("", "harmful", Refusal.FULL)


def test_without_labels_ids_and_prompts(tmp_path):
    found = read_answers(write(tmp_path / "a.jsonl", [{"response": "Yes."}, {"response": None}]))
    assert [each.text for each in found.answers] == ["Yes.", ""]
    assert [each.label for each in found.answers] == [None, None]
    assert len({each.id for each in found.answers}) == 2


def test_what_the_first_line_leaves_out_stands_in_later_ones(tmp_path):
    bare = {"prompt": "How?", "completion": "So."}
    whole = {**bare, "prompt": "When?", "category": "unsafe", "id": "w", "final_label": "1"}
    path = write(tmp_path / "a.jsonl", [bare, whole])
    first, second = read_answers(path).answers
    assert (first.category, first.label) == ("", None)
    assert (second.id, second.kind, second.label) == ("w", "harmful", Refusal.COMPLIANCE)
    assert [each.kind for each in read_questions(path)] == [None, "harmful"]


def test_conversations_and_nan(tmp_path):
    path = tmp_path / "a.jsonl"
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    path.write_text(
        json.dumps({"prompt": chat[:1], "completion": chat[1:]})
        + '\n{"prompt": "Hi", "completion": NaN, "final_label": NaN}\n',
        encoding="utf-8",
    )
    first, second = read_answers(path).answers
    assert (first.prompt, first.text) == ("Hi", "Hello.")
    assert (second.text, second.label) == ("", None)


def test_columns_of_other_names(tmp_path):
    path = write(
        tmp_path / "a.jsonl", [{"q": "How?", "said": "So.", "who": "2", "gpt": "partial_refusal"}]
    )
    columns = {"prompt": "q", "completion": "said", "label": "who", "judge": "gpt"}
    (only,) = read_answers(path, columns, "benign").answers
    assert (only.prompt, only.text, only.label) == ("How?", "So.", Refusal.FULL)
    assert (only.judged, only.kind) == ("3_partial_refusal", "benign")


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        ([{"prompt": "a", "text": "b"}], {}, "--completion-column"),
        ([{"prompt": "a", "completion": "b"}], {"label": "lable"}, 'no column "lable"'),
        ([{"completion": "b", "final_label": "full_refusl"}], {}, 'no such label "full_refusl"'),
        ([{"completion": "b", "final_label": "full_refusl"}], {}, "did you mean"),
        ([{"completion": "b"}, {"response": "c"}], {}, 'is called "completion" in other records'),
        ([], {}, "has no record"),
        ([["no", "object"]], {}, "mend the record"),
    ],
)
def test_faults_of_files(tmp_path, rows, columns, said):
    with pytest.raises(InputError) as error:
        read_answers(write(tmp_path / "a.jsonl", rows), columns)
    assert said in str(error.value)


def test_other_faults(tmp_path):
    write(tmp_path / "answers.jsonl", [{"completion": "x", "split": "a"}])
    (tmp_path / "answers.txt").touch()
    for path, where, said in (
        ("answer.jsonl", None, 'did you mean "answers.jsonl"?'),
        ("answers", None, "no such file"),
        ("answers.txt", None, "is of no kind that can be read"),
        ("answers.jsonl", ("split", "b"), 'no record with split "b"'),
        ("answers.jsonl", ("splits", "a"), 'has no column "splits"'),
    ):
        with pytest.raises(InputError, match=r"(?s).*") as error:
            read_answers(tmp_path / path, where=where)
        assert said in str(error.value)


def test_many_faults_are_told_at_once_up_to_a_number(tmp_path):
    rows = [{"completion": "b", "final_label": f"x{i}"} for i in range(30)]
    with pytest.raises(InputError) as error:
        read_answers(write(tmp_path / "a.jsonl", rows))
    assert len(error.value.faults) == 21
    assert "10 more" in str(error.value)


def test_answers_to_one_prompt_are_noted(tmp_path):
    rows = [{"id": "p", "completion": "x"}, {"id": "p", "completion": "y"}]
    assert sum(read_answers(write(tmp_path / "a.jsonl", rows)).noted.values()) == 1


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("1_full_compliance", Refusal.COMPLIANCE),
        ("Full refusal", Refusal.FULL),
        (3, Refusal.PARTIAL),
        (2.0, Refusal.FULL),  # as pandas writes a column in which one is missing
        ("2.0", Refusal.FULL),
        ("", None),
        ("nan", None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_labels(value, label):
    assert label_of(value) is label


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("harmful", "harmful"),
        ("contrast_privacy", "harmful"),
        ("privacy_public", "borderline"),
        ("sounds-harmful", "borderline"),
        ("benign", "benign"),
        ("cooking", None),
        ("", None),
    ],
)
def test_kinds(category, kind):
    assert kind_of(category) == kind


def test_questions_of_xstest_and_of_our_own(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(
        "id,prompt,type,label\n1,How?,other,safe\n2,Why?,other,unsafe\n", encoding="utf-8"
    )
    assert [each.kind for each in read_questions(path)] == ["benign", "harmful"]
    asked = read_questions(write(tmp_path / "q.jsonl", [{"prompt": "How?"}, {"prompt": "How?"}]))
    assert len(asked) == 1 and asked[0].messages[0]["content"] == "How?"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": 1, "prompt": "a"}, {"id": 1, "prompt": "b"}], "stands twice"),
        ([{"prompt": "  "}], "has no text to ask"),
        ([{"text": "a"}], "has no column of the prompts"),
    ],
)
def test_faults_of_questions(tmp_path, rows, said):
    with pytest.raises(InputError) as error:
        read_questions(write(tmp_path / "a.jsonl", rows))
    assert said in str(error.value)
