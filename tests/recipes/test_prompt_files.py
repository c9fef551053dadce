"""Prompt files: JSON lines, CSV and Parquet are read, and no bytes in them break a reader."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prompt_lines import GOOD, bot, system, user

from charter.errors import InputError


def _parquet(*names):
    stream = io.BytesIO()
    pq.write_table(pa.table([pa.array([name]) for name in names], names=names), stream)
    return stream.getvalue()


TWICE = _parquet("prompt", "id", "prompt")


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


def test_a_conversation_stands_in_a_csv_as_json(read, tmp_path):
    talk = [system("s"), user('a, "b"'), bot("c\n"), user("d")]
    texts = [json.dumps(talk), '["a", "b"]', "[]", '["role"]', '[{"role": "user"', '{"role": 1}']
    rows = [{"id": n, "prompt": text, "role": json.dumps(talk)} for n, text in enumerate(texts)]
    with (tmp_path / "p.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ("id", "prompt", "role"))
        writer.writeheader()
        writer.writerows(rows)
    first, *others = read("p.csv").prompts
    assert list(first.messages) == talk
    assert [list(p.messages) for p in others] == [[user(text)] for text in texts[1:]]
    # A format that has lists means its texts as texts.
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": texts[0]}))
    assert read("p.jsonl").prompts[0].messages == (user(texts[0]),)


def test_a_csv_record_with_wrong_quotes_is_named_by_the_line_where_it_begins(read, tmp_path):
    (tmp_path / "p.csv").write_text(
        'id,prompt\n1,"two\nlines"\n2,"a"b\n3,"c"d\n4,ok\n5,"open\nand\nso on\n'
    )
    found = read("p.csv")
    assert [p.id for p in found.prompts] == ["1", "4"]
    assert [r.detail.split(": ")[0] for r in found.rejects] == ["p.csv:4", "p.csv:5", "p.csv:7"]


@pytest.mark.parametrize("name", ["P.JSONL", "P.Jsonl.GZ", "p.CSV", "P.PARQUET"])
def test_endings_of_names_are_read_in_any_case(read, tmp_path, name):
    kind = name.lower().split(".")[1]
    data = {"jsonl": GOOD, "csv": b"prompt\nHello?\n", "parquet": _parquet("prompt")}[kind]
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("GZ") else data)
    assert len(read(name).prompts) == 1


def test_csv_with_bad_bytes_in_the_source_is_rejected_not_published(read, tmp_path):
    (tmp_path / "p.csv").write_bytes(b"prompt,source\na,ok\nb,caf\xe9\n")
    found = read("p.csv")
    assert [p.source for p in found.prompts] == ["ok"]
    assert [r.reason for r in found.rejects] == ["NOT_UTF8"]
    found.fingerprint()


def test_columns_of_one_name_that_nobody_reads_are_no_fault(read, tmp_path):
    (tmp_path / "p.csv").write_text("prompt,note,note\nWhy?,a,b\n")
    assert len(read("p.csv").prompts) == 1


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
    assert [r.detail.split(": ")[0] for r in found.rejects] == [f"{path.name}:2", f"{path.name}:3"]
    days = pa.table({"id": [datetime.date(2020, 1, 1), None], "prompt": ["a", "b"]})
    write_table(days, tmp_path / "q.parquet")
    assert [r.reason for r in read("q.parquet").rejects] == ["BAD_ID"]


def test_a_file_whose_name_is_not_utf_8_is_read(read, tmp_path):
    (tmp_path / "caf\udce9.jsonl").write_bytes(GOOD + b"no JSON\n")
    found = read("*.jsonl")
    assert [p.source for p in found.prompts] == ["caf\ufffd.jsonl"]
    assert [r.detail.split(": ")[0] for r in found.rejects] == ["caf\ufffd.jsonl:2"]


def test_columns_are_mapped(read, tmp_path):
    (tmp_path / "p.jsonl").write_text(
        '{"key": "k", "question": "Why?", "from": "web", "id": "no", "prompt": "no"}\n'
    )
    found = read("p.jsonl", columns={"id": "key", "prompt": "question", "source": "from"})
    (prompt,) = found.prompts
    assert (prompt.id, prompt.messages[0]["content"], prompt.source) == ("k", "Why?", "web")


def test_a_wrong_column_is_a_fault_that_says_how_to_map_it(read, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"key": 1, "question": "Why?"}\n' * 3)
    (tmp_path / "p.csv").write_text("key, question\n1, Why?\n" * 2)
    (tmp_path / "p.parquet").write_bytes(_parquet("key", "question"))
    for name in ("p.jsonl", "p.csv", "p.parquet"):
        with pytest.raises(InputError) as caught:
            read(name)
        (fault,) = caught.value.faults
        assert "none of " in fault.what and "prompts.columns.prompt" in fault.fix
        assert 'no "prompt", only key, ' in fault.what and "question)" in fault.what


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("p.jsonl", b"", "has no record"),
        ("p.jsonl", b"\n\n", "has no record"),
        ("p.csv", b"", "has no record"),
        ("p.csv", b"id,prompt\n", "has no record"),
        ("p.csv", b'"id,prompt\n1,x\n', "quotes"),
        ("p.csv", b'"id"s,prompt\nid,prompt\n1,x\n', "quotes of its header"),
        ("p.csv", "id,prompt\n1,x\n".encode("utf-16"), "is not UTF-8"),
        ("p.csv", b"prompt,id,prompt\nx,1,y\n", 'has two columns "prompt"'),
        ("p.parquet", TWICE, 'has two columns "prompt"'),
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
