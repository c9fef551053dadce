"""Prompts to measure with: each once, and all that a file of lines has."""

from __future__ import annotations

import json

import pytest

from charter.errors import InputError
from charter.evals.held_out import held_out


@pytest.fixture
def file(tmp_path):
    def write(*rows):
        path = tmp_path / "asked.jsonl"
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def row(text, category="benign", **more):
    return {"prompt": text, "category": category, **more}


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\x1c"])
def test_a_line_ends_at_a_line_feed_alone(file, mark):
    path = file(row(f"one{mark}two", id="a"), row("three", id="b"))
    found = held_out(path, ["benign"], 9)
    assert [each.id for each in found] == ["a", "b"]
    assert found[0].messages[0]["content"] == f"one{mark}two"


def test_lines_of_windows_are_lines(tmp_path):
    path = tmp_path / "asked.jsonl"
    path.write_bytes(b"".join(json.dumps(row(text)).encode() + b"\r\n" for text in ("a", "b")))
    assert len(held_out(path, ["benign"], 9)) == 2


def test_an_id_that_was_seen_before_is_a_fault_that_names_both_lines(file):
    path = file(
        row("one", id="1"), row("two", "harmful", id="1"), row("three", id="2"), row("four", id="2")
    )
    with pytest.raises(InputError) as caught:
        held_out(path, ["benign", "harmful"], 9)
    assert [str(fault) for fault in caught.value.faults] == [
        f'{path}:2: has the id "1" of {path}:1; give each prompt an id of its own',
        f'{path}:4: has the id "2" of {path}:3; give each prompt an id of its own',
    ]
    # Beyond those asked, it is found too; in a category that nobody asks, it does no harm.
    with pytest.raises(InputError):
        held_out(path, ["benign"], 1)
    assert len(held_out(path, ["harmful"], 9)) == 1


def test_a_prompt_twice_in_a_category_is_a_fault(file):
    path = file(row("How are you?", id="1"), row("how  are YOU?", id="2"))
    with pytest.raises(InputError, match=r"asked.jsonl:2: is the prompt of .*asked.jsonl:1 again"):
        held_out(path, ["benign"], 9)
    with pytest.raises(InputError, match="again"):
        held_out(file(row("one"), row("one")), ["benign"], 9)


def test_a_prompt_may_stand_in_two_categories_under_ids_of_its_own(file):
    path = file(row("one", id="1"), row("one", "harmful", id="2"))
    assert len(held_out(path, ["benign", "harmful"], 9)) == 2
    with pytest.raises(InputError, match="has the id"):
        held_out(file(row("one"), row("one", "harmful")), ["benign", "harmful"], 9)


def test_the_first_of_each_category_that_nobody_trained_on(file):
    path = file(*(row(f"ask {n}", id=str(n)) for n in range(4)), row("bad", "harmful", id="h"))
    found = held_out(path, ["harmful", "benign"], 2, {"ask 1"})
    assert [each.id for each in found] == ["h", "0", "2"]


def test_a_category_without_prompts_is_a_fault_and_all_are_told(file):
    path = file(row("one"))
    with pytest.raises(InputError) as caught:
        held_out(path, ["benign", "harmfull"], 9, {"one"})
    assert [fault.what for fault in caught.value.faults] == [
        'every prompt of the category "benign" was trained on',
        'no prompt has the category "harmfull"',
    ]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"prompt": "one"}', '{"prompt": [1], "category": ""}']
)
def test_a_line_that_is_no_prompt_is_a_fault_with_its_number(tmp_path, line):
    path = tmp_path / "asked.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=r"asked.jsonl:2: is no record"):
        held_out(path, ["benign"], 9)
