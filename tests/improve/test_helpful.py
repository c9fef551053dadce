"""Helpful rows: what is read, how many are mixed in, and that none of `test` is among them."""

from __future__ import annotations

import json

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from versions import version_of

from charter.errors import InputError
from charter.evals.held_out import text_of
from charter.improve.helpful import Helpful, HelpfulRow, mixed, of_test, read_helpful
from charter.recipes.improve import HelpfulSettings
from charter.recipes.prompts import Prompt


def said(role, text):
    return {"role": role, "content": text}


def helpful(count):
    rows = [HelpfulRow((said("user", f"ask {i}"),), f"answer {i}") for i in range(count)]
    return Helpful("kind.jsonl", tuple(rows), "0" * 64)


@pytest.fixture
def read(tmp_path):
    def go(*records, name="helpful.jsonl"):
        lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_helpful(HelpfulSettings(path=name), tmp_path)

    return go


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return version_of(tmp_path_factory.mktemp("version"), test=("p1", "p3"))


@pytest.fixture(autouse=True)
def own_datasets(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


def test_all_shapes_of_a_record_are_the_same_row(read):
    ask, answer = said("user", "q"), said("assistant", "a")
    found = read(
        {"prompt": "q", "completion": "a"},
        {"prompt": [ask], "completion": [answer]},
        {"prompt": "q", "response": "a"},
        {"prompt": "q", "chosen": [ask, answer]},
        {"messages": [ask, answer]},
        {"prompt": "q", "completion": "a", "messages": [said("user", "x"), said("assistant", "y")]},
    )
    assert all(row == HelpfulRow((ask,), "a") for row in found.rows)
    assert len(found.rows) == 6
    assert found.source == "helpful.jsonl"


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "3",
        {"prompt": "q"},
        {"prompt": "q", "completion": ""},
        {"prompt": "", "completion": "a"},
        {"prompt": "q", "completion": 3},
        {"prompt": "q", "completion": [said("user", "a")]},
        {"messages": [said("user", "q")]},
        {"prompt": "q", "completion": []},
    ],
)
def test_a_record_that_is_none_is_a_fault_with_its_line(read, record):
    with pytest.raises(InputError) as caught:
        read({"prompt": "q", "completion": "a"}, record)
    (fault,) = caught.value.faults
    assert fault.place.endswith(":2")
    assert fault.what
    assert fault.fix


def test_many_faults_are_counted(read):
    with pytest.raises(InputError) as caught:
        read(*[{"prompt": "q"}] * 50)
    assert "30 more faults" in caught.value.faults[-1].what


def test_no_file_no_record_no_known_format(read, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_helpful(HelpfulSettings(path="gone.jsonl"), tmp_path)
    with pytest.raises(InputError, match="no record"):
        read("")
    with pytest.raises(InputError, match="no known format"):
        read("a", name="helpful.txt")


def test_the_checksum_is_of_what_is_said(read):
    one = read({"prompt": "q", "completion": "a"})
    again = read({"messages": [said("user", "q"), said("assistant", "a")]})
    other = read({"prompt": "q", "completion": "b"})
    assert one.sha256 == again.sha256 != other.sha256


# Mixing


@given(share=st.floats(0, 0.9), count=st.integers(0, 60))
def test_the_share_is_reached_as_far_as_there_are_rows(version, share, count):
    own = version.rows("sft", "train").height
    found = mixed(version, helpful(count), share, 3, ())
    wanted = round(own * share / (1 - share))
    assert len(found.added) == min(wanted, count)
    ids = [row["prompt_id"] for row in found.added]
    assert len(set(ids)) == len(ids)


def test_rows_are_there_among_the_others_with_their_source(version):
    found = mixed(version, helpful(40), 0.5, 3, ())
    rows = found.dataset("sft", "train")
    own = version.dataset("sft", "train")
    assert len(rows) == 2 * len(own)
    assert rows["source"].count("kind.jsonl") == len(own)
    assert {row["id"] for row in own} < set(rows["id"])
    # Among the others, not behind them: a training of the first rows sees both kinds.
    assert len(set(rows["source"][: len(own)])) > 1
    assert rows["id"] == found.dataset("sft", "train")["id"]
    row = rows[rows["source"].index("kind.jsonl")]
    assert row["completion"][0]["content"].startswith("answer")
    assert row["prompt"][0]["content"].startswith("ask")


def test_all_else_is_the_versions_own(version):
    found = mixed(version, helpful(40), 0.5, 3, ())
    assert (found.repo, found.tag, found.path) == (version.repo, version.tag, version.path)
    assert found.splits("sft") == version.splits("sft")
    assert found.rows("sft", "train").equals(version.rows("sft", "train"))
    for config, split in (("sft", "test"), ("preference", "train")):
        if split in version.splits(config):
            assert found.dataset(config, split)["id"] == version.dataset(config, split)["id"]


def test_no_prompt_of_test_and_none_of_the_evaluation_is_mixed_in(version):
    # One of `test` became no row of `sft`: it may become one of `preference`.
    rejected = set(version.rows("rejects", "test")["prompt_id"])
    assert rejected == {"p1"} != set(version.rows("sft", "test")["prompt_id"])
    rows = version.rows("sft", "test").rows(named=True)
    prompts = [Prompt(row["prompt_id"], tuple(map(dict, row["prompt"])), "") for row in rows]
    prompts += [Prompt(name, (said("user", f"Of {name}?"),), "") for name in rejected]
    asked = (said("user", "Asked in EVERY  round?"),)
    leaks = tuple(HelpfulRow(m, "leaked") for m in (*(p.messages for p in prompts), asked))
    held = of_test(version, prompts) | {text_of(asked)}
    assert mixed(version, Helpful("x", leaks, ""), 0.9, 3, held).added == ()


def test_the_same_rows_in_every_round_and_others_by_another_seed(version):
    one = mixed(version, helpful(60), 0.3, 3, ()).added
    assert one == mixed(version, helpful(60), 0.3, 3, ()).added
    assert one != mixed(version, helpful(60), 0.3, 4, ()).added
