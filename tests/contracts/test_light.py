"""What must answer at once imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "distilabel", "trl", "argilla", "transformers", "datasets", "pandas"}

COMMANDS = [
    ["--help"],
    ["run", "--help"],
    ["train", "--help"],
    ["check", "recipes/quickstart.yaml", "constitutions/hhh.yaml"],
    ["plan", "recipes/quickstart.yaml"],
    ["schema", "recipe"],
    ["audit", "--help"],
    ["audit", "constitution", "hhh", "--lint"],
    ["audit", "injections"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_no_heavy_package_is_imported(arguments, request):
    code = (
        "import sys\n"
        "from charter.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=request.config.rootpath,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
