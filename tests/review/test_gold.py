"""Rows with known answers: read whole, or every fault of their file at once."""

from __future__ import annotations

import json

import pytest
from versions import version_of

from charter.errors import InputError
from charter.review.gold import read_gold


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return version_of(tmp_path_factory.mktemp("gold"))


def write(tmp_path, *lines):
    path = tmp_path / "gold.jsonl"
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text + "\n", encoding="utf-8")
    return path


OWN = {"prompt": "Why?", "chosen": "Because.", "rejected": "No.", "answer": "CHOSEN"}
REVISED = {
    "kind": "sft",
    "prompt": [{"role": "user", "content": "Why?"}],
    "original": "Go away.",
    "critique": "It is rude.",
    "revision": "Because.",
    "answer": "BETTER",
    "principle_id": "kind",
}


def test_rows_of_the_version_and_rows_of_ones_own(tmp_path, version):
    path = write(tmp_path, {"row_id": "p4#a~b", "answer": "REJECTED"}, "", OWN, REVISED)
    published, own = read_gold(path, version, "preference")
    assert published.row["chosen"][0]["content"] == "revised 4"
    assert (published.answer, own.answer) == ("REJECTED", "CHOSEN")
    assert own.row["prompt"] == [{"role": "user", "content": "Why?"}]
    assert own.row["rejected"] == [{"role": "assistant", "content": "No."}]
    assert own.row["principle_ids"] == []
    (revised,) = read_gold(path, version, "sft")
    assert revised.row["revisions"][0]["principle_id"] == "kind"
    assert revised.row["completion"][0]["content"] == "Because."


def test_an_own_row_is_known_by_its_texts_and_its_id_gives_nothing_away(tmp_path, version):
    (one,) = read_gold(write(tmp_path, OWN), version, "preference")
    (same,) = read_gold(write(tmp_path, OWN | {"answer": "TIE"}), version, "preference")
    (other,) = read_gold(write(tmp_path, OWN | {"prompt": "How?"}), version, "preference")
    assert one.row["id"] == same.row["id"] != other.row["id"]
    assert "gold" not in one.row["id"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "it is no JSON"),
        pytest.param("[" * 200_000, "it is no JSON", id="deep"),
        ("[1]", "it is no JSON object"),
        ({**OWN, "choosen": "x"}, 'unknown key "choosen"; did you mean "chosen"?'),
        ({**OWN, "answer": "BETTER"}, "answer 'BETTER' is none of preference"),
        ({**OWN, "answer": ["A"]}, "answer ['A'] is none of preference"),
        ({**OWN, "kind": "chat"}, "kind 'chat' is no config"),
        ({**OWN, "kind": ["sft"]}, "kind ['sft'] is no config"),
        ({"row_id": "p4#a~c", "answer": "TIE"}, 'did you mean "p4#a~b"?'),
        ({"row_id": ["p4"], "answer": "TIE"}, "no preference row"),
        ({"prompt": "Why?", "chosen": "x", "answer": "TIE"}, "rejected is missing"),
        ({**OWN, "chosen": 5}, "chosen is neither text nor messages"),
        ({**OWN, "chosen": [{"role": "judge", "content": "x"}]}, "something that is no message"),
        ({**OWN, "chosen": [{"role": ["x"], "content": "x"}]}, "something that is no message"),
        ({**OWN, "chosen": "\ud800"}, "chosen has half a character"),
        ({**OWN, "principle_id": 3}, "principle_id is no text"),
        ({**REVISED, "original": ["x"]}, "original is no text"),
    ],
)
def test_a_fault_names_its_line(tmp_path, line, what, version):
    path = write(tmp_path, OWN, line)
    with pytest.raises(InputError) as raised:
        read_gold(path, version, "preference")
    (fault,) = raised.value.faults
    assert fault.place == f"{path}:2"
    assert what in str(fault)


def test_only_an_end_of_line_ends_a_row(tmp_path, version):
    text = "one\u2028two\x85three\x0c"
    rows = [json.dumps({**OWN, "prompt": f"{text}{i}"}, ensure_ascii=False) for i in range(2)]
    path = tmp_path / "gold.jsonl"
    path.write_bytes("\r\n".join(["\ufeff" + rows[0], "", rows[1], ""]).encode())
    found = read_gold(path, version, "preference")
    assert [each.row["prompt"][0]["content"] for each in found] == [f"{text}0", f"{text}1"]


def test_a_file_without_rows_is_a_mistake(tmp_path, version):
    (path := tmp_path / "gold.jsonl").write_text("\n \n", encoding="utf-8")
    with pytest.raises(InputError, match="it has no rows; write one object a line"):
        read_gold(path, version, "preference")


def test_all_faults_are_said_at_once_and_a_row_twice_is_one(tmp_path, version):
    path = write(tmp_path, OWN, "{", {**OWN, "answer": "TIE"}, {**OWN, "answer": "?"})
    with pytest.raises(InputError) as raised:
        read_gold(path, version, "preference")
    assert [fault.place[-2:] for fault in raised.value.faults] == [":2", ":3", ":4"]
    assert "already" in raised.value.faults[1].what
