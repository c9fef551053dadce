"""What commands print: texts of models and files are text there, in heads of tables too."""

from __future__ import annotations

import json

import pytest

from charter.cli.output import Output, print_faults
from charter.errors import Fault


def test_neither_heads_nor_cells_of_a_table_steer_a_terminal(capsys):
    Output(as_json=False).table(("[red]name\x1b[31m", "n"), [("[bold]x\x1b[0m", 1)])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "[red]name" in said and "[bold]x" in said


@pytest.mark.parametrize("as_json", [False, True])
def test_people_are_spoken_to_where_no_machine_reads(as_json, capsys):
    output = Output(as_json)
    output.line("one \x1b[2J\rof a model\tis\na text")
    output.quote("answer", "two\x1b[1m\nlines")
    output.quote("none", "")
    output.table(("a", "b"), [("x", 1)])
    output.result({"n": 1})
    out, err = capsys.readouterr()
    said = err if as_json else out
    assert said.splitlines() == [
        *("one \ufffd[2J\ufffdof a model\tis", "a text"),
        *("answer", "    two\ufffd[1m", "    lines", "none", "    "),
        *("a  b", "x  1"),
    ]
    assert (out if as_json else err) == ('{"n": 1}\n' if as_json else "")


def test_numbers_stand_to_the_right_and_nothing_of_a_table_is_cut(capsys):
    rows = [("a", 7, 7, "short"), ("b", 1234, "-", "w" * 200), ("c", 5, 5, "end")]
    Output(as_json=False).table(("name", "numbers", "mixed", "text"), rows)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("name  numbers  mixed  text") and max(map(len, said)) == 120
    assert said[1].startswith("a           7  7      short")
    assert "".join(said).count("w") == 200


def test_no_object_for_machines_holds_what_json_does_not_know(capsys):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Output(as_json=True).result({"share": float("nan")})
    assert capsys.readouterr().out == ""


def test_a_fault_is_one_line_whatever_stands_in_it(capsys):
    print_faults([Fault("a\nb.yaml:1:1", "name", '"x\r\n  y\u2028z" is none', "write a name")])
    assert capsys.readouterr().err == 'a b.yaml:1:1  name: "x y z" is none; write a name\n'


def test_the_object_for_machines_is_one_line_whatever_stands_in_it(capsys):
    value = {"text": "one\u2028two\u0085three\u009bfour", "name": "b\udcffd", "ø": "é🙂"}
    Output(as_json=True).result(value)
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 1 and "é🙂" in said
    assert json.loads(said.encode().decode()) == value
