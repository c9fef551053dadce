"""`charter cache` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from charter.cli import cache
from charter.cli.cache import _size
from charter.cli.main import main
from charter.models.cache import CallCache, Entry, connect, default_cache_path
from charter.models.call import Answer

ROOT = Path(__file__).parents[2]
NAMES = ("stats", "prune", "export", "import", "repair")


def key(name) -> bytes:
    return str(name).encode().rjust(32, b"-")


@pytest.fixture
def charter(capfd):
    """Run a command in this process: its exit code, stdout and stderr."""

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(["cache", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return end.value.code, out, err

    return run


def last(out):
    return json.loads(out.splitlines()[-1])


@pytest.fixture
def path():
    """The user's cache: ten answers of one model, five of another, a noted failure."""
    path = default_cache_path()
    calls = CallCache(path)
    calls.put(
        Entry(key(i), "a", Answer(f"answer {i}", {"A": float("-inf")}, "stop", 3, 4, seconds=0.5))
        for i in range(10)
    )
    calls.put(Entry(key(100 + i), "b[red]\x1b", Answer("x" * 9000)) for i in range(5))
    calls.put([Entry(key("bad"), "a", Answer(error="down"))])
    calls.close()
    return path


def damage(path):
    with closing(connect(path)) as db:
        db.execute("UPDATE calls SET text = 'x' WHERE id = 3")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(charter, name):
    code, out, _ = charter(name, "--help")
    assert code == 0
    for said in ("Example:", f"charter cache {name}", "--json", "--cache", "--debug"):
        assert said in out


@pytest.mark.parametrize("arguments", [["--help"], ["stats", "--help"], ["stats"]])
def test_nothing_heavy_is_imported(path, arguments):
    heavy = {"torch", "distilabel", "polars", "transformers", "datasets", "trl"}
    code = (
        "import sys\nfrom charter.cli import main\n"
        "try:\n    main(['cache', *sys.argv[1:]])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print('HEAVY', sorted({heavy!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_stats(charter, path):
    code, out, _ = charter("stats", "--json", "--verify")
    assert code == 0 and len(out.splitlines()) == 1
    found = last(out)
    assert (found["entries"], found["failures"], found["damaged"]) == (15, 1, 0)
    assert found["path"] == str(path) and found["bytes"] >= path.stat().st_size
    a = found["models"]["a"]
    assert (a["answers"], a["prompt_tokens"], a["completion_tokens"], a["seconds"]) == (
        *(10, 30, 40),
        5.0,
    )
    assert a["first"] <= a["last"] and a["last"].startswith("20")
    code, out, _ = charter("stats")
    assert code == 0 and "15 answers" in out and "\x1b" not in out and "[red]" in out
    assert last(charter("stats", "--json")[1])["damaged"] is None


def test_stats_say_from_when_to_when_and_a_damaged_time_is_none(charter, path):
    with closing(connect(path)) as db:
        db.execute("UPDATE calls SET made = 86400 WHERE id = 1")
        db.execute("UPDATE calls SET made = 1e300 WHERE model != 'a'")
    models = last(charter("stats", "--json")[1])["models"]
    a = models.pop("a")
    assert a["first"] == "1970-01-02T00:00:00+00:00" < a["last"]
    (b,) = models.values()
    assert (b["first"], b["last"]) == ("?", "?")


@pytest.mark.parametrize(
    ("count", "said"),
    [(1023, "1023 B"), (1024, "1.0 KiB"), (3 * 2**19, "1.5 MiB"), (3 * 2**40, "3072.0 GiB")],
)
def test_sizes(count, said):
    assert _size(count) == said


def test_stats_names_damage(charter, path):
    damage(path)
    code, out, err = charter("stats", "--verify", "--json")
    assert code == 1 and last(out)["damaged"] == 1
    assert "1 entries are damaged; `charter cache repair`" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stats", "--cache", "none.sqlite"], "none.sqlite: no such cache file; "),
        (["prune"], "--older-than, --model"),
        (["prune", "--older-than", "3 days"], "30d"),
        (["prune", "--older-than", "9" * 400 + "d"], "30d"),
        (["prune", "--keep-runs", "nowhere"], "nowhere: no such folder; "),
        (["prune", "--model", "m", "--cache", "none.sqlite"], "no such cache file"),
        (["export", "calls.csv"], ".jsonl"),
        (["export", "-", "--json"], "leave --json out"),
        (["export", "x.jsonl", "--cache", "none.sqlite"], "no such cache file"),
        (["import"], "FILE"),
        (["import", "none.jsonl"], "none.jsonl: no such file; "),
        (["import", "."], ".: is a folder; "),
        (["import", "pyproject.toml"], "pyproject.toml:1: no export"),
        (["repair", "--cache", "none.sqlite"], "no such cache file"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_a_mistake_is_told_in_one_line_with_exit_2(charter, path, arguments, said, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, out, err = charter(*arguments)
    assert code == 2, err
    assert said in err and len(err.splitlines()) == 1 and "; " in err and not out


def test_a_cache_of_another_scheme_is_a_failure(charter, tmp_path):
    import sqlite3

    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE calls (key TEXT, answer TEXT); PRAGMA user_version=1")
    for arguments in (
        ["stats"],
        ["prune", "--failures"],
        ["export", str(tmp_path / "x.jsonl")],
        ["repair"],
    ):
        code, _, err = charter(*arguments, "--cache", path)
        assert code == 1 and "move" in err, arguments


def test_prune(charter, path, tmp_path):
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "calls.keys").write_bytes(key(0) + key(1))
    given = ("--model", "a", "--keep-runs", run.parent, "--json")
    code, out, _ = charter("prune", *given, "--dry-run")
    found = last(out)
    assert code == 0 and found["dry_run"]
    assert (found["pruned"], found["kept"], found["held"]) == (8, 7, False)
    assert last(charter("stats", "--json")[1])["entries"] == 15
    _, out, _ = charter("prune", *given[:-1], "--dry-run")
    assert "8 answers would go, 7 stay" in out and "on disk" not in out
    assert last(charter("prune", *given, "--older-than", "1h")[1])["pruned"] == 0
    code, out, _ = charter("prune", *given)
    assert code == 0 and last(out)["pruned"] == 8
    code, out, _ = charter("prune", "--model", "a")
    assert code == 0 and "2 answers are gone, 5 stay" in out and "on disk before" in out
    code, out, _ = charter("prune", "--failures")
    assert code == 0 and "1 notes of failed calls are gone, 0 stay" in out
    found = last(charter("stats", "--json")[1])
    assert (found["entries"], found["failures"]) == (5, 0)


def test_export_and_import(charter, path, tmp_path):
    target, other = tmp_path / "x.jsonl.gz", tmp_path / "other.sqlite"
    code, out, _ = charter("export", target, "--json")
    assert code == 0 and last(out) == {"path": str(target), "entries": 15, "damaged": 0}
    code, out, _ = charter("import", target, "--cache", other, "--json")
    assert code == 0
    assert last(out) == {"path": str(other), "new": 15, "known": 0, "bad": 0}
    code, out, _ = charter("import", path, "--cache", other)
    assert code == 0 and "0 new, 15 known, 0 bad" in out
    keys = [key(i) for i in (*range(10), *range(100, 105))]
    one, two = CallCache(path), CallCache(other)
    assert one.get(keys) == two.get(keys) and len(one.get(keys)) == 15
    one.close()
    two.close()


def test_work_on_many_entries_says_how_far_it_is(charter, path, tmp_path, monkeypatch):
    target = tmp_path / "x.jsonl"
    assert charter("export", target, "--model", "a")[2].startswith("export: 10 entries")
    monkeypatch.setattr(cache, "_SAID", 4)
    _, _, err = charter("import", target, "--cache", tmp_path / "other.sqlite")
    assert "import: 10 entries so far" in err
    monkeypatch.setattr(cache, "_SAID", 11)
    _, _, err = charter("import", target, "--cache", tmp_path / "another.sqlite")
    assert "so far" not in err


def test_a_pipe_from_cache_to_cache(path, tmp_path):
    code = "from charter.cli import main; main()"
    charter = [sys.executable, "-c", code, "cache"]
    other = tmp_path / "other.sqlite"
    out = subprocess.run([*charter, "export", "-", "--model", "a"], capture_output=True, check=True)
    assert len(out.stdout.splitlines()) == 11 and b"10 answers" in out.stderr
    into = [*charter, "import", "-", "--cache", other, "--json"]
    done = subprocess.run(into, input=out.stdout, capture_output=True, check=True)
    assert last(done.stdout.decode())["new"] == 10
    cut = subprocess.run(into, input=out.stdout[:-30], capture_output=True, check=False)
    assert cut.returncode == 1 and b"stdin:11: no JSON object; " in cut.stderr


def test_bad_lines_are_named_with_exit_1(charter, path, tmp_path):
    target = tmp_path / "x.jsonl"
    charter("export", target)
    lines = target.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b'"stop"', b"5")
    lines[5] = b"?"
    target.write_bytes(b"\n".join(lines))
    code, out, err = charter("import", target, "--cache", tmp_path / "o.sqlite", "--json")
    assert code == 1 and last(out)["new"] == 13 and last(out)["bad"] == 2
    assert f'{target}:4: "finish" is of the wrong type; ' in err
    assert f"{target}:6: no JSON object; " in err
    assert "2 entries were bad, so left out; the others are in" in err


def test_damaged_entries_are_left_out_of_an_export_with_exit_1(charter, path, tmp_path):
    damage(path)
    code, out, err = charter("export", tmp_path / "x.jsonl", "--json")
    assert code == 1 and last(out)["entries"] == 14 and last(out)["damaged"] == 1
    assert "calls.id 3: the entry is damaged; " in err


def test_repair(charter, path):
    code, out, _ = charter("repair", "--json")
    assert code == 0 and last(out)["repaired"] is False and last(out)["saved"] == 15
    damage(path)
    code, out, _ = charter("repair", "--json")
    assert code == 0
    assert last(out) == {
        "path": str(path),
        "repaired": True,
        "saved": 14,
        "lost": 1,
        "failures": 1,
        "damaged": f"{path}.damaged-1",
    }
    assert "nothing to repair" in charter("repair")[1]


def test_repair_refuses_a_file_in_use(charter, path):
    damage(path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom charter.models.cache import CallCache\n"
        "cache = CallCache(Path(sys.argv[1]))\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"open\n"
    started = time.monotonic()
    code, _, err = charter("repair")
    assert code == 1 and "another process uses the cache; end it" in err
    assert time.monotonic() - started < 10
    holder.communicate()
