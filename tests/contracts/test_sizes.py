"""What CONTRIBUTING promises of the code's size."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "engine",
    "recipes",
    "steps",
    "constitutions",
    "trainers",
    "hub",
    "evals",
    "review",
    "benchmarks",
)


@pytest.mark.parametrize("room", ROOMS)
def test_modules_have_at_most_400_lines_and_functions_50(room: str) -> None:
    modules = list((ROOT / room).rglob("*.py"))
    assert modules
    large = []
    for path in modules:
        text = path.read_text("utf-8")
        name = str(path.relative_to(ROOT))
        if text.count("\n") > 400:
            large.append(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and node.end_lineno - body[0].lineno >= 50:
                    large.append(f"{name}: {node.name}")
    assert large == []
