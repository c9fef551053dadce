"""The README is true: its commands run, its links lead somewhere, its tables name what is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>.*?) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.S)
BLOCKS = [match.groupdict() for match in BLOCK.finditer(README)]


def blocks(kind):
    return [block for block in BLOCKS if block["kind"] == kind]


@pytest.mark.parametrize("block", blocks("sh"), ids=lambda b: b["text"].split("\n")[0][:40])
def test_commands_run_as_printed(block, tmp_path):
    if block["why"]:
        pytest.skip(f"README says: not run, {block['why']}")
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block["text"]],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_named_is_one():
    from charter.cli.main import COMMANDS

    for block in blocks("sh"):
        for name in re.findall(r"^charter (\w+)", block["text"], re.M):
            assert name in COMMANDS, name
        for target in re.findall(r"^make ([\w-]+)", block["text"], re.M):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target


def test_the_recipe_explained_is_sound(tmp_path):
    from charter.recipes import load_recipe

    names = []
    for block in blocks("yaml"):
        path = tmp_path / "recipe.yaml"
        path.write_text(block["text"], encoding="utf-8")
        names.append(load_recipe(path).recipe.name)
    assert names == ["quickstart", "again"]


def test_python_blocks_run():
    ran = 0
    for block in blocks("python"):
        if "out/versions" in block["text"]:
            continue  # the quickstart test opens a version in the same way
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(block["text"], "README.md", "exec"), {})
        ran += 1
    assert ran


def test_faults_are_printed_as_the_readme_shows_them(tmp_path, monkeypatch, capsys):
    from charter.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["init", "mine"])
    recipe = tmp_path / "mine" / "recipe.yaml"
    text = recipe.read_text().replace("keep: margin ", "keep: margins")
    text = text.replace("\n  # A server", "\n  judgee: {llm: local}\n  # A server")
    recipe.write_text(text)
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["check", "mine/recipe.yaml"])
    assert end.value.code == 2
    shown = next(b["text"] for b in blocks("text") if "judgee" in b["text"])
    for line in capsys.readouterr().err.splitlines():
        assert line in shown


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
    anchors = {
        re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", README, re.M)
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", README):
        assert anchor in anchors, anchor


def test_figures_in_the_tables_are_counted():
    from charter.constitutions import load_constitution, shipped_constitutions

    for name, path in shipped_constitutions().items():
        count = len(load_constitution(path).principles)
        assert re.search(rf"`{name}` \([^)]*{count}\)", README), name
    prompts = (ROOT / "prompts" / "shipped.jsonl").read_text().count("\n")
    assert f"{prompts} prompts" in README
