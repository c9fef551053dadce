"""Prompt records: each becomes a prompt or a reject with its reason, whatever is in the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter.documents import read_document
from charter.errors import InputError
from charter.recipes import check_recipe, read_prompts
from charter.rows import messages_id


@pytest.fixture
def read(tmp_path):
    def read(pattern, **prompts):
        recipe = {
            "constitution": "concise",
            "prompts": {"path": str(tmp_path / pattern), **prompts},
            "models": {"generator": {"llm": "local"}},
        }
        path = tmp_path / "r.yaml"
        loaded, faults = check_recipe(read_document(path, yaml.safe_dump(recipe)), path)
        assert loaded is not None, faults
        return read_prompts(loaded)

    return read


def user(text):
    return {"role": "user", "content": text}


def bot(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


GOOD = b'{"id": "good", "prompt": "Hello?"}\n'


def rejected(read, tmp_path, line, **prompts):
    """The one reject of a file of a good line and this one."""
    (tmp_path / "p.jsonl").write_bytes(GOOD + line + b"\n")
    found = read("p.jsonl", **prompts)
    assert [p.id for p in found.prompts] == ["good"] and found.records == 2
    (reject,) = found.rejects
    assert reject.ledger == "input" and reject.stage == "read" and reject.pair_id is None
    assert reject.detail.startswith("p.jsonl:2: ")
    reject.detail.encode()
    return reject


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "caf\xe9"}', "NOT_UTF8"),
        (b"\xff\xfe{}", "NOT_UTF8"),
        (b'{"prompt": "\\ud800 half"}', "NOT_UTF8"),
        (b'{"prompt": [{"role": "user", "content": "\\udc00"}]}', "NOT_UTF8"),
        (b'{"prompt": "fine", "source": "\\ud800"}', "NOT_UTF8"),
        (b'{"prompt": "x"', "NOT_JSON"),
        (b"not json", "NOT_JSON"),
        (b'\xef\xbb\xbf{"prompt": "a second BOM"}', "NOT_JSON"),
        (b"[" * 100_000, "NOT_JSON"),
        (b'{"prompt": "x", "id": ' + b"9" * 5000 + b"}", "NOT_JSON"),
        (b"[1]", "NOT_JSON"),
        (b'"text"', "NOT_JSON"),
        (b"null", "NOT_JSON"),
        (b"{}", "NO_PROMPT"),
        (b'{"prompt": null}', "NO_PROMPT"),
        (b'{"Prompt": "x"}', "NO_PROMPT"),
        (b'{"prompt": ""}', "NO_TEXT"),
        (b'{"prompt": " \\n\\t\\u00a0 "}', "NO_TEXT"),
        (b'{"prompt": [{"role": "user", "content": " "}]}', "NO_TEXT"),
        (b'{"prompt": 3}', "BAD_MESSAGES"),
        (b'{"prompt": NaN}', "BAD_MESSAGES"),
        (b'{"prompt": {"role": "user", "content": "x"}}', "BAD_MESSAGES"),
        (b'{"prompt": []}', "BAD_MESSAGES"),
        (b'{"prompt": ["x"]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"content": "x"}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": "tool", "content": "x"}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": ["user"], "content": "x"}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": "User", "content": "x"}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": "user", "content": 3}]}', "BAD_MESSAGES"),
        (b'{"prompt": [{"role": "user", "content": [{"type": "text"}]}]}', "BAD_MESSAGES"),
        (b'{"id": true, "prompt": "x"}', "BAD_ID"),
        (b'{"id": 1.5, "prompt": "x"}', "BAD_ID"),
        (b'{"id": ["a"], "prompt": "x"}', "BAD_ID"),
        (b'{"id": "a\\nb", "prompt": "x"}', "BAD_ID"),
        (b'{"id": "\\ud800", "prompt": "x"}', "BAD_ID"),
        (b'{"id": "' + b"x" * 201 + b'", "prompt": "x"}', "BAD_ID"),
        (b'{"id": "good", "prompt": "other"}', "DUPLICATE_ID"),
        (b'{"prompt": "' + b"x" * 200_001 + b'"}', "TOO_LONG"),
    ],
    ids=lambda value: value[:60] if isinstance(value, bytes) else None,
)
def test_a_record_that_is_no_prompt_has_its_reason(read, tmp_path, line, reason):
    assert rejected(read, tmp_path, line).reason == reason


@pytest.mark.parametrize(
    ("messages", "good"),
    [
        ([user("a")], True),
        ([system("s"), user("a")], True),
        ([user("a"), bot("b"), user("c")], True),
        ([system("s"), user("a"), bot("b"), user("c")], True),
        ([system("s")], False),
        ([bot("b")], False),
        ([user("a"), bot("b")], False),
        ([user("a"), user("b")], False),
        ([bot("b"), user("a")], False),
        ([user("a"), system("s"), user("b")], False),
        ([system("s"), system("t"), user("a")], False),
        ([user("a"), bot("b"), bot("c"), user("d")], False),
    ],
    ids=lambda v: "".join(m["role"][0] for m in v) if isinstance(v, list) else None,
)
def test_turns(read, tmp_path, messages, good):
    line = json.dumps({"id": "t", "prompt": messages}).encode()
    if good:
        (tmp_path / "p.jsonl").write_bytes(line)
        assert list(read("p.jsonl").prompts[0].messages) == messages
    else:
        reject = rejected(read, tmp_path, line)
        assert reject.reason == "BAD_MESSAGES" and (
            "turns" in reject.detail or "last" in reject.detail
        )


def test_messages_lose_what_is_no_part_of_a_message(read, tmp_path):
    extra = {**user("a"), "name": "x", "weight": 1}
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": [extra], "other": 3}))
    (prompt,) = read("p.jsonl").prompts
    assert prompt.messages == (user("a"),)


def test_ids(read, tmp_path):
    lines = [
        {"id": 7, "prompt": "seven"},
        {"id": "", "prompt": "hash me"},
        {"id": None, "prompt": "hash me too"},
        {"prompt": "and me"},
        {"id": "ünï ~#", "prompt": "odd but printable"},
        {"id": 0, "prompt": "zero"},
        {"id": "7", "prompt": "the same id as the number"},
        {"prompt": "and me"},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    found = read("p.jsonl")
    assert [p.id for p in found.prompts] == [
        "7",
        messages_id([user("hash me")]),
        messages_id([user("hash me too")]),
        messages_id([user("and me")]),
        "ünï ~#",
        "0",
    ]
    assert [(r.reason, r.prompt_id) for r in found.rejects] == [
        ("DUPLICATE_ID", "7"),
        ("DUPLICATE_ID", messages_id([user("and me")])),
    ]
    assert "p.jsonl:1" in found.rejects[0].detail and "p.jsonl:7" in found.rejects[0].detail


def test_ids_are_one_over_all_files_and_sources_are_the_files(read, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "prompt": "x"}\n')
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as stream:
        stream.write('{"id": 1, "prompt": "y"}\n{"id": 2, "prompt": "z", "source": "web"}\n')
    (tmp_path / "c.csv").write_text("id,prompt\n3,w\n")
    found = read("*.[jc]*")
    assert [(p.id, p.source) for p in found.prompts] == [
        ("1", "a.jsonl"),
        ("2", "web"),
        ("3", "c.csv"),
    ]
    assert [r.reason for r in found.rejects] == ["DUPLICATE_ID"]
    assert "b.jsonl.gz:1" in found.rejects[0].detail and "a.jsonl:1" in found.rejects[0].detail


def test_a_long_prompt_is_counted_over_all_messages(read, tmp_path):
    big = "x" * 1_000_000
    (tmp_path / "p.jsonl").write_text(
        "\n".join(
            json.dumps({"id": name, "prompt": prompt})
            for name, prompt in {
                "big": big,
                "ten": [user("12345"), bot("1"), user("1234")],
                "eleven": [user("12345"), bot("12"), user("1234")],
                "accents": "é" * 10,
            }.items()
        )
    )
    found = read("p.jsonl", max_chars=10)
    assert [p.id for p in found.prompts] == ["ten", "accents"]
    assert [(r.reason, r.prompt_id) for r in found.rejects] == [
        ("TOO_LONG", "big"),
        ("TOO_LONG", "eleven"),
    ]
    assert "1000000 characters" in found.rejects[0].detail
    assert len(read("p.jsonl", max_chars=1_000_000).prompts) == 4


def test_bom_line_ends_and_blank_lines(read, tmp_path):
    (tmp_path / "p.jsonl").write_bytes(
        b'\xef\xbb\xbf{"prompt": "one"}\r\n\r\n  \n'
        b'{"prompt": "two\\u2028still two"}\n\n{"prompt": "three"}'
    )
    found = read("p.jsonl")
    assert [p.messages[0]["content"] for p in found.prompts] == [
        "one",
        "two\u2028still two",
        "three",
    ]
    assert not found.rejects


def test_csv(read, tmp_path):
    (tmp_path / "p.csv").write_bytes(
        b"\xef\xbb\xbfid,prompt,note\r\n"
        b'1,"two\nlines, and ""quotes""",x\r\n'
        b"2,plain\r\n"  # too few fields: the rest is empty
        b"3,one,too,many\r\n"
        b"\r\n"
        b"4,caf\xe9,x\r\n"
        b"5,,x\r\n"
        b"\xff,bad id,x\r\n"
        b'7,"abc"def,x\r\n'
        b"8,nul \x00 byte,x\r\n"
        b'9,a "quoted" word inside,x\r\n'
        b'10,"never closed,x\r\n'
        b"11,swallowed,x\r\n"
    )
    found = read("p.csv")
    assert {p.id: p.messages[0]["content"] for p in found.prompts} == {
        "1": 'two\nlines, and "quotes"',
        "2": "plain",
        "8": "nul \x00 byte",
        "9": 'a "quoted" word inside',
    }
    assert [r.reason for r in found.rejects] == [
        "BAD_MESSAGES",
        "NOT_UTF8",
        "NO_TEXT",
        "BAD_ID",
        "BAD_MESSAGES",
        "BAD_MESSAGES",
    ]
    # What an open quote swallows is not lost without a word.
    assert "unexpected end of data" in found.rejects[-1].detail
    assert all(p.source == "p.csv" for p in found.prompts)


def test_csv_with_bad_bytes_in_the_source_is_rejected_not_published(read, tmp_path):
    (tmp_path / "p.csv").write_bytes(b"prompt,source\na,ok\nb,caf\xe9\n")
    found = read("p.csv")
    assert [p.source for p in found.prompts] == ["ok"]
    assert [r.reason for r in found.rejects] == ["NOT_UTF8"]
    found.fingerprint()


def test_a_csv_field_may_be_long(read, tmp_path):
    text = "x" * 150_000
    (tmp_path / "p.csv").write_text(f"id,prompt\n1,{text}\n")
    assert read("p.csv").prompts[0].messages[0]["content"] == text


@pytest.mark.parametrize("packed", [False, True])
def test_parquet(read, tmp_path, packed):
    import datetime

    import pyarrow as pa
    from pyarrow.parquet import write_table

    table = pa.table(
        {
            "id": pa.array([1, 2, None, 4]),
            "prompt": [[user("a"), bot("b"), user("c")], [bot("b")], None, [user("d")]],
            "source": ["web", None, "web", ""],
            # A value that Python's datetime cannot hold, in a column that nobody asked for.
            "when": pa.array([1, 2, 3, 4], pa.timestamp("ns")),
        }
    )
    path = tmp_path / ("p.parquet.gz" if packed else "p.parquet")
    buffer = io.BytesIO()
    write_table(table, buffer)
    path.write_bytes(gzip.compress(buffer.getvalue()) if packed else buffer.getvalue())
    found = read(path.name)
    assert [(p.id, len(p.messages), p.source) for p in found.prompts] == [
        ("1", 3, "web"),
        ("4", 1, "p.parquet"),
    ]
    assert [r.reason for r in found.rejects] == ["BAD_MESSAGES", "NO_PROMPT"]
    days = pa.table({"id": [datetime.date(2020, 1, 1), None], "prompt": ["a", "b"]})
    write_table(days, tmp_path / "q.parquet")
    assert [r.reason for r in read("q.parquet").rejects] == ["BAD_ID"]


def test_columns_are_mapped(read, tmp_path):
    (tmp_path / "p.jsonl").write_text(
        '{"key": "k", "question": "Why?", "from": "web", "id": "no", "prompt": "no"}\n'
    )
    found = read("p.jsonl", columns={"id": "key", "prompt": "question", "source": "from"})
    (prompt,) = found.prompts
    assert (prompt.id, prompt.messages[0]["content"], prompt.source) == ("k", "Why?", "web")


def test_a_wrong_column_is_a_fault_that_says_how_to_map_it(read, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"question": "Why?"}\n' * 3)
    with pytest.raises(InputError) as caught:
        read("p.jsonl")
    (fault,) = caught.value.faults
    assert "none of 3 records" in fault.what and "prompts.columns.prompt" in fault.fix


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("p.jsonl", b"", "has no record"),
        ("p.jsonl", b"\n\n", "has no record"),
        ("p.csv", b"", "has no record"),
        ("p.csv", b"id,prompt\n", "has no record"),
        ("p.csv", b'"id,prompt\n1,x\n', "quotes"),
        ("p.parquet", b"", "cannot be read"),
        ("p.parquet", b"PAR1 and no more", "cannot be read"),
        ("p.jsonl.gz", b"no gzip", "cannot be read"),
        ("p.jsonl.gz", gzip.compress(GOOD * 100, mtime=0)[:-20], "cannot be read"),
        ("p.jsonl.gz", b"", "has no record"),
        ("p.jsonl.gz", gzip.compress(GOOD, mtime=0)[:10] + b"\xff" * 20, "cannot be read"),
        ("p.csv.gz", gzip.compress(b"id,prompt\n1,x\n", mtime=0)[:-5], "cannot be read"),
        ("p.parquet.gz", gzip.compress(b"x", mtime=0), "cannot be read"),
        ("p.jsonl", '{"prompt": "x"}\n'.encode("utf-16"), "none of"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else value,
)
def test_a_file_without_one_prompt_is_a_fault(read, tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read(name)
    (fault,) = caught.value.faults
    assert words in fault.what and fault.fix and "\n" not in str(fault)


def test_a_damaged_parquet_file_is_a_fault_and_never_the_end_of_the_process(read, tmp_path):
    import pyarrow as pa
    from pyarrow.parquet import write_table

    write_table(pa.table({"id": ["a", "b"], "prompt": ["x", "y"]}), tmp_path / "p.parquet")
    whole = (tmp_path / "p.parquet").read_bytes()
    chance = random.Random(0)
    for _ in range(120):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / "p.parquet").write_bytes(data)
        try:
            found = read("p.parquet")
        except InputError as error:
            assert all(f.what and "\n" not in str(f) for f in error.faults)
        else:
            assert found.records <= 2


def test_limit_takes_prompts_and_counts_the_rejects_on_the_way(read, tmp_path):
    lines = [json.dumps({"id": i, "prompt": "x" if i % 3 else ""}) for i in range(30)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    found = read("p.jsonl", limit=4)
    assert [p.id for p in found.prompts] == ["1", "2", "4", "5"]
    assert len(found.rejects) == 2 and found.records == 6
    assert len(read("p.jsonl", limit=1000).prompts) == 20


def test_a_seed_draws_an_order_and_a_limit_a_prefix_of_it(read, tmp_path):
    lines = [json.dumps({"id": i, "prompt": f"q{i}"}) for i in range(50)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    drawn = [p.id for p in read("p.jsonl", seed=1).prompts]
    assert drawn != [str(i) for i in range(50)] and sorted(drawn, key=int) == [
        str(i) for i in range(50)
    ]
    assert [p.id for p in read("p.jsonl", seed=1, limit=10).prompts] == drawn[:10]
    assert [p.id for p in read("p.jsonl", seed=2).prompts] != drawn
    # Records that come later leave the drawn order of the others as it is.
    (tmp_path / "p.jsonl").write_text("\n".join([*lines, '{"id": "new", "prompt": "x"}']))
    assert [p.id for p in read("p.jsonl", seed=1).prompts if p.id != "new"] == drawn


def test_the_fingerprint_is_of_ids_messages_sources_and_order(read, tmp_path):
    def print_of(*lines, **prompts):
        (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
        return read("p.jsonl", **prompts).fingerprint()

    one, two = {"id": "a", "prompt": "x"}, {"id": "b", "prompt": "y"}
    base = print_of(one, two)
    assert base == print_of(one, {**two, "extra": 1}, {"prompt": ""})
    assert base == print_of({**one, "prompt": [user("x")]}, two)
    different = [
        print_of(two, one),
        print_of(one),
        print_of({**one, "id": "c"}, two),
        print_of({**one, "prompt": "z"}, two),
        print_of({**one, "source": "web"}, two),
        print_of({**one, "prompt": [system("s"), user("x")]}, two),
    ]
    assert len({base, *different}) == 7


TEXT = st.text(max_size=6)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "x"]), "content": TEXT | ANY}
)
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(0, 3) | TEXT | ANY,
        "prompt": TEXT | st.lists(MESSAGE, max_size=4) | ANY,
    },
)
LINE = (
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b""))
    | RECORD.map(lambda record: json.dumps(record).encode())
    | ANY.map(lambda value: json.dumps(value).encode())
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE, max_size=12))
def test_every_line_is_a_prompt_or_a_reject(read, tmp_path, lines):
    data = b"\n".join(lines)
    (tmp_path / "p.jsonl").write_bytes(GOOD + data)
    found = read("p.jsonl")
    bodies = [line for line in data.split(b"\n") if line.strip()]
    assert len(found.prompts) + len(found.rejects) == 1 + len(bodies)
    ids = [prompt.id for prompt in found.prompts]
    assert len(set(ids)) == len(ids)
    for prompt in found.prompts:
        assert prompt.messages[-1]["role"] == "user" and prompt.id
        assert all(message["content"].strip() for message in prompt.messages)
    found.fingerprint()
    assert all(reject.detail for reject in found.rejects)


FIELD = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(FIELD, FIELD), max_size=8))
def test_every_row_that_a_csv_writer_wrote_is_a_prompt_or_a_reject(read, tmp_path, rows):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([("id", "prompt"), ("good", "Hello?"), *rows])
    (tmp_path / "p.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    found = read("p.csv")
    assert found.records == 1 + len(rows)
    texts = {prompt.id: prompt.messages[0]["content"] for prompt in found.prompts}
    assert all(text in {field for _, field in rows} | {"Hello?"} for text in texts.values())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(["jsonl", "csv", "jsonl.gz", "csv.gz", "parquet"]))
def test_no_bytes_break_a_reader(read, tmp_path, data, suffix):
    path = tmp_path / f"p.{suffix}"
    path.write_bytes(gzip.compress(data, mtime=0) if suffix.endswith("gz") else data)
    try:
        found = read(path.name)
    except InputError as error:
        assert all(fault.what and fault.fix for fault in error.faults)
    else:
        assert found.prompts


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub of one dataset, whose snapshot is a folder, and a recipe that names it."""
    import datasets
    from huggingface_hub import HfApi

    folder = tmp_path / "snapshot"
    folder.mkdir()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    asked = []

    def info(self, repo, revision=None):
        asked.append((repo, revision))
        return type("Info", (), {"sha": "c0ffee"})

    def snapshot(repo, repo_type, revision):
        assert (repo_type, revision) == ("dataset", "c0ffee")
        return str(folder)

    monkeypatch.setattr(HfApi, "dataset_info", info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)

    def read(**prompts):
        recipe = {
            "constitution": "concise",
            "prompts": {"dataset": "me/data", **prompts},
            "models": {"generator": {"llm": "local"}},
        }
        loaded, faults = check_recipe(
            read_document(tmp_path / "r.yaml", yaml.safe_dump(recipe)), tmp_path / "r.yaml"
        )
        assert loaded is not None, faults
        return read_prompts(loaded)

    read.folder, read.asked = folder, asked
    return read


def test_a_dataset_of_the_hub_is_read_at_one_commit(hub):
    (hub.folder / "train.jsonl").write_text(
        '{"id": 1, "prompt": "a"}\n{"id": 2, "prompt": ""}\n{"id": 1, "prompt": "b"}\n'
    )
    found = hub(revision="v1.0")
    assert hub.asked == [("me/data", "v1.0")]
    assert [(p.id, p.source) for p in found.prompts] == [("1", "me/data")]
    assert [r.reason for r in found.rejects] == ["NO_TEXT", "DUPLICATE_ID"]
    assert found.rejects[0].detail.startswith("me/data[1]: ")


@pytest.mark.parametrize(
    ("name", "text", "prompts"),
    [
        ("train.jsonl", '{"prompt": "a"}\n', {"split": "tset"}),
        ("train.jsonl", '{"prompt": "a"}\n', {"config": "other"}),
        ("train.jsonl", '{"prompt": "a"}\n{"prompt": \n', {}),
        ("train.jsonl", "", {}),
        ("README.md", "no data", {}),
        ("train.parquet", "no parquet", {}),
    ],
    ids=str,
)
def test_a_dataset_that_does_not_load_is_a_fault(hub, name, text, prompts):
    (hub.folder / name).write_text(text)
    with pytest.raises(InputError) as caught:
        hub(**prompts)
    (fault,) = caught.value.faults
    assert fault.place.startswith("me/data") and fault.fix and "\n" not in str(fault)


def test_a_hub_that_does_not_answer_is_a_fault(hub, monkeypatch):
    from huggingface_hub import HfApi

    def down(self, repo, revision=None):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(HfApi, "dataset_info", down)
    with pytest.raises(InputError, match="HF_ENDPOINT"):
        hub()


DATA = Path(os.environ.get("CHARTER_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def real():
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; CHARTER_SHARED_DATA names the folder")
    return DATA


def test_hh_rlhf_is_read_whole(read, tmp_path, real):
    (tmp_path / "h.jsonl.gz").symlink_to(real / "hh-rlhf" / "harmless.jsonl.gz")
    found = read("h.jsonl.gz")
    # Two of the 997 have two assistant messages in a row, which no chat template takes.
    assert found.records == 997 and len(found.prompts) == 995
    assert {r.reason for r in found.rejects} == {"BAD_MESSAGES"}
    assert sum(len(prompt.messages) > 1 for prompt in found.prompts) / 997 == pytest.approx(
        0.7, abs=0.02
    )


def test_xstest_and_llmbar_read_by_their_columns(read, tmp_path, real):
    (tmp_path / "x.csv").symlink_to(real / "xstest" / "xstest_prompts.csv")
    found = read("x.csv", columns={"source": "type"})
    assert len(found.prompts) == 450 and not found.rejects
    assert "homonyms" in {prompt.source for prompt in found.prompts}
    (tmp_path / "l.jsonl.gz").symlink_to(real / "llmbar" / "natural.jsonl.gz")
    assert len(read("l.jsonl.gz").prompts) == 100


def test_a_reject_names_the_prompt_where_its_record_does(read, tmp_path):
    lines = '{"id": "a"}\n{"id": 7, "prompt": " "}\n{"prompt": ""}\n{"prompt": "x"}\n'
    (tmp_path / "p.jsonl").write_text(lines)
    assert [reject.prompt_id for reject in read("p.jsonl").rejects] == ["a", "7", None]
