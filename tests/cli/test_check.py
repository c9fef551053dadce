"""`charter check`: what kind of file it is, whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter.cli import main


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    with pytest.raises(SystemExit):
        main(["check", str(path), "--json"])
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "name: mine\nversion: 1.0.0\nlicence: MIT\nprincipals: []\n",
            ["principles", "principals"],
        ),
        ("constitution: hhh\nmodel: {}\nprincipals: []\n", ["prompts", "models", "model"]),
        ("principles: []\n", ["name", "version", "licence", "principles"]),
    ],
)
def test_a_file_is_told_what_it_lacks_of_what_it_was_meant_to_be(
    text: str, wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    faults = checked(path, capsys)["faults"]
    assert isinstance(faults, list)
    assert {fault["path"] for fault in faults} >= set(wrong)
    assert not {fault["path"] for fault in faults} & ({"constitution"} | {"models"} - set(wrong))


def test_the_shipped_files_are_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    for folder, kind in (("recipes", "recipe"), ("constitutions", "constitution")):
        for path in (root / folder).glob("*.yaml"):
            assert checked(path, capsys)["files"] == {str(path): kind}


def test_a_constitution_in_place_of_a_recipe_is_told_as_such(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = Path(__file__).parents[2] / "constitutions" / "hhh.yaml"
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(path)])
    assert ended.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "is a constitution, no recipe" in said
