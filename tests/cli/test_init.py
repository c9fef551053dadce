"""What `charter init` writes: a first recipe that there is something to train on."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from charter.cli import main
from charter.hub.splits import assign_splits
from charter.recipes import load_recipe, read_prompts


def test_most_prompts_of_the_starter_are_for_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["init", "mine"])
    assert not ended.value.code
    loaded = load_recipe(Path("mine/recipe.yaml"))
    prompts = read_prompts(loaded)
    assert len(prompts.prompts) == 6 and not prompts.rejects
    texts = [(each.id, each.messages[-1]["content"]) for each in prompts.prompts]
    fraction = loaded.recipe.prompts.test_fraction
    split = list(assign_splits(texts, test_fraction=fraction).values())
    assert split.count("train") > split.count("test") > 0


@pytest.mark.parametrize(
    "name", ["my dir", "#h: x", 'a"b', "a'b{c}, d", "a[b]*", ": y", "&a", "no", "日本"]
)
def test_a_folder_of_any_name_can_be_checked_as_it_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["init", name])
    command = capsys.readouterr().out.splitlines()[1]
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command)[1:])
    assert not ended.value.code, capsys.readouterr().err
    assert load_recipe(Path(name, "recipe.yaml")).prompt_files == (Path(name, "prompts.jsonl"),)
    comments = Path(name, "recipe.yaml").read_text(encoding="utf-8")
    assert f"#   charter check {shlex.quote(f'{name}/recipe.yaml')}\n" in comments


@pytest.mark.parametrize("name", ["a\nb", "caf\udce9", "\x1b[31m", "x" * 300, "link"])
def test_where_nothing_can_be_written_is_told_and_nothing_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(tmp_path, "here/link").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    Path("link/recipe.yaml").symlink_to("nowhere")
    with pytest.raises(SystemExit) as ended:
        main(["init", name])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.endswith("; name another folder\n")
    assert said.count("\n") == 1
    assert [path.name for path in Path().rglob("*")] == ["link", "recipe.yaml"]
