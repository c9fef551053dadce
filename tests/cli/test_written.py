"""Files that a command is told to write: said before the work where they can't be."""

import json
import os
import threading
from contextlib import nullcontext

import click
import pytest
from all_commands import all_commands

from charter.cli.main import COMMANDS, cli, main
from charter.cli.output import Output
from charter.cli.written import WrittenFile, check_file, write_lines, write_text
from charter.errors import InputError

_PAGES = ("--html", "--save", "--fit")


def charter(*arguments):
    with pytest.raises(SystemExit) as done:
        main([str(argument) for argument in arguments])
    return done.value.code


def test_every_page_is_looked_at_before_the_work():
    found = dict(all_commands())
    assert len(found) > len(COMMANDS)
    loose = {
        (name, option)
        for name, command in found.items()
        for each in command.params
        for option in each.opts
        if option in _PAGES and not isinstance(each.type, WrittenFile)
    }
    # Its page may be elsewhere, and is looked at by `check_file`.
    assert loose == {("eval tax", "--html")}


@pytest.mark.parametrize(
    "arguments",
    [
        ("eval", "winrate", "local", "nowhere", "--judge", "local", "--html"),
        ("eval", "depth", "--model", "nowhere", "--html"),
        ("eval", "refusal", "--model", "nowhere", "--save"),
        ("audit", "judge", "--votes", "nowhere.jsonl", "--html"),
        ("audit", "injections", "--model", "nowhere", "--html"),
        ("audit", "constitution", "nowhere", "--html"),
        ("guard", "nowhere.jsonl", "--judge", "local", "--out"),
        ("score", "--model", "nowhere", "--file", "nowhere.jsonl", "--out"),
        ("diff", "a/b", "v0.1.0", "v0.1.1", "--html"),
        ("review", "report", "a/b@v0.1.0", "--out"),
    ],
)
def test_no_place_is_told_before_anything_else(arguments, tmp_path, capsys):
    assert charter(*arguments, tmp_path / "none" / "p") == 2
    err = capsys.readouterr().err
    assert f"{arguments[-1]}: cannot be written: there is no folder" in err
    assert "nowhere" not in err


def test_a_page_of_scores_is_looked_at_before_they_are_read(tmp_path, capsys):
    (tmp_path / "here.html").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    scores = ("eval", "tax", "--scores", "nowhere.json", "nowhere.json")
    assert charter(*scores, "--html", tmp_path / "here.html") == 2
    assert "--html: cannot be written: it is a folder" in capsys.readouterr().err
    assert charter(*scores, "--out", tmp_path / "file" / "tax.html") == 2
    assert f"--out: cannot be written: {tmp_path / 'file'} is no folder" in capsys.readouterr().err


def test_links_that_lead_nowhere_are_told(tmp_path, capsys):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert charter("diff", "a/b", "v0.1.0", "v0.1.1", "--html", loop) == 2
    assert "--html: cannot be written: " in capsys.readouterr().err
    with pytest.raises(InputError, match="cannot be written"):
        write_text(loop, "said")
    assert loop.is_symlink()


def test_missing_folders_are_no_fault_where_they_are_made(tmp_path):
    page = tmp_path / "a" / "b" / "p.html"
    check_file(page, "--html", folders=True)
    for kind, refused in ((WrittenFile(folders=True), False), (WrittenFile(), True)):
        option = click.Option(["--html"], type=kind)
        with pytest.raises(InputError) if refused else nullcontext():
            assert option.type_cast_value(click.Context(cli), str(page)) == page
    assert not page.parent.exists()
    for text in ("first", "said"):
        write_text(page, text, folders=True)
    assert page.read_text(encoding="utf-8") == "said"


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    page = tmp_path / "p.html"
    write_text(page, "old")
    with page.open(encoding="utf-8") as read:
        write_text(page, "new")
        assert read.read() == "old"
    assert page.read_text(encoding="utf-8") == "new" and len(list(tmp_path.glob("*p.html*"))) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="a superuser writes everywhere")
def test_a_folder_that_takes_no_files(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="takes no new files"):
        check_file(tmp_path / "p.html", "--html")


def test_a_pipe_and_a_link_stay_what_they_are(tmp_path):
    pipe, link, real = tmp_path / "pipe", tmp_path / "link", tmp_path / "real"
    os.mkfifo(pipe)
    check_file(pipe, "--out")
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    write_text(pipe, "through")
    reader.join(10)
    assert read == ["through"] and pipe.is_fifo()
    real.write_text("old", encoding="utf-8")
    link.symlink_to(real)
    write_text(link, json.dumps("new"))
    assert link.is_symlink() and real.read_text(encoding="utf-8") == '"new"'


def test_lines_on_stdout_steer_no_terminal_and_lose_nothing(capsys):
    row = {"id": "a\x9b2J\u202e\x1b[0m\u2067b\ud83d", "é": "日\u200f"}
    write_lines(Output(as_json=False), [row], None, "responses")
    said = capsys.readouterr().out
    assert json.loads(said) == row and "日" in said
    assert not any(sign in said for sign in "\x9b\u202e\x1b\u2067\u200f")
