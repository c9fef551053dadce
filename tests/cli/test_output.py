"""What commands print: texts of models and files are text there, in heads of tables too."""

from __future__ import annotations

import json

from charter.cli.output import Output, print_faults
from charter.errors import Fault


def test_neither_heads_nor_cells_of_a_table_steer_a_terminal(capsys):
    Output(as_json=False).table(("[red]name\x1b[31m", "n"), [("[bold]x\x1b[0m", 1)])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "[red]name" in said and "[bold]x" in said


def test_a_fault_is_one_line_whatever_stands_in_it(capsys):
    print_faults([Fault("a\nb.yaml:1:1", "name", '"x\r\n  y\u2028z" is none', "write a name")])
    assert capsys.readouterr().err == 'a b.yaml:1:1  name: "x y z" is none; write a name\n'


def test_the_object_for_machines_is_one_line_whatever_stands_in_it(capsys):
    value = {"text": "one\u2028two\u0085three\u009bfour", "name": "b\udcffd", "ø": "é🙂"}
    Output(as_json=True).result(value)
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 1 and "é🙂" in said
    assert json.loads(said.encode().decode()) == value
