"""Overlap of published rows with evaluation sets: found, told, and never by chance."""

from __future__ import annotations

import copy
import csv
import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.errors import InputError
from charter.hub import ngrams
from charter.hub.clean import Clean
from charter.hub.contamination import ContaminationCheck, EvaluationSet, Overlap, load_sets
from charter.hub.ngrams import WORDS, grams
from charter.hub.part import parts
from charter.hub.scrub import decontaminated
from charter.hub.stored import stored_rows
from charter.steps.asking import prepared
from charter.steps.shape import reject_rows, sft_rows

DATA = Path(os.environ.get("CHARTER_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
LONG = (
    "A farmer has seventeen sheep and all but nine of them run away during a storm; "
    "how many sheep does the farmer have left in the morning?"
)
SHORT = "What is the capital of France?"


def _set(*texts: str, name: str = "quiz") -> EvaluationSet:
    return EvaluationSet.of(name, [[text] for text in texts])


def overlaps(texts: list[str], sets: list[EvaluationSet]) -> list[str]:
    return Overlap(sets).names(texts)


def _words(n: int, seed: int = 3) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices("abcdefghij", k=5)) for _ in range(n)]


# n-grams


def _plain_grams(text: str) -> list[tuple[str, ...]]:
    words = "".join(c.lower() if c.isalnum() else " " for c in text).split()
    return [tuple(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1)]


@given(
    st.lists(
        st.lists(
            st.sampled_from(["a", "B", "b", "Cc", "12", "é", "straße", "x_y"]), max_size=40
        ).map(lambda words: " ".join(words))
        | st.text(alphabet="aB, .", max_size=60),
        max_size=8,
    )
)
def test_two_hashes_are_equal_where_the_words_are(texts: list[str]) -> None:
    found = grams(pl.Series(texts, dtype=pl.String))
    expected = [(at, gram) for at, text in enumerate(texts) for gram in _plain_grams(text)]
    assert found.text.tolist() == [at for at, _ in expected]
    name: dict[int, tuple[str, ...]] = {}
    for value, (_, gram) in zip(found.grams.tolist(), expected, strict=True):
        assert name.setdefault(value, gram) == gram
    assert len(name) == len({gram for _, gram in expected})
    whole = ["".join(c.lower() if c.isalnum() else " " for c in text).split() for text in texts]
    for one, words in zip(found.whole.tolist(), whole, strict=True):
        assert (one == 0) == (not words)
        others = zip(found.whole.tolist(), whole, strict=True)
        assert all((one == two) == (words == more) for two, more in others)


def test_a_hash_is_the_same_wherever_the_text_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(_words(50))
    alone = grams(pl.Series([text]))
    among = grams(pl.Series(["x " * 70, None, text.upper(), "y", "ü " * 30], dtype=pl.String))
    assert among.grams[among.text == 2].tolist() == alone.grams.tolist()
    assert among.whole[2] == alone.whole[0]
    monkeypatch.setattr(ngrams, "_CHUNK", 8)
    cut = grams(pl.Series(["x " * 70, None, text, "y", "ü " * 30], dtype=pl.String))
    assert cut.grams.tolist() == among.grams.tolist()
    assert cut.text.tolist() == among.text.tolist()


def test_hashes_do_not_change_from_release_to_release() -> None:
    found = grams(pl.Series(["one two three four five six seven eight nine ten eleven 12 13"]))
    assert len(found.grams) == 1
    assert found.grams[0] == found.whole[0] == PINNED


PINNED = 11865129334481203349


def test_the_given_texts_stay_as_they_are() -> None:
    texts = pl.Series(["Ünï “quoted” ﬁne", "plain", None])
    grams(texts)
    assert texts.to_list() == ["Ünï “quoted” ﬁne", "plain", None]


def test_words_are_compared_after_case_marks_and_forms() -> None:
    one = LONG.replace(" ", "\n").replace(";", " —").upper()
    assert overlaps([one], [_set(LONG)]) == ["quiz"]
    assert overlaps(["“What” is the CAPITAL of France"], [_set(SHORT)]) == ["quiz"]
    wide = "ｆｉｌｅ number one"
    assert overlaps(["file number one"], [_set(wide)]) == ["quiz"]


def test_scripts_without_spaces_have_words_too() -> None:
    text = "请告诉我法国的首都是哪里以及它的人口有多少人"
    assert overlaps([f"你好。{text}，谢谢"], [_set(text)]) == ["quiz"]
    assert overlaps(["今天天气很好我们一起去公园散步吧好不好呢朋友"], [_set(text)]) == []


# Overlap


def test_thirteen_words_in_a_row_overlap_and_twelve_do_not() -> None:
    words = _words(40)
    evaluation = _set(" ".join(words))
    for start in (0, 11, 27):
        inside = " ".join(["before", *words[start : start + 13], "after"])
        assert overlaps([inside], [evaluation]) == ["quiz"]
        inside = " ".join(["before", *words[start : start + 12], "after"])
        assert overlaps([inside], [evaluation]) == []
    cut = " ".join([*words[:12], "other", *words[13:24]])
    assert overlaps([cut], [evaluation]) == []
    assert overlaps([" ".join(words[:7]), " ".join(words[7:14])], [evaluation]) == []


def test_a_short_record_overlaps_with_its_equal_alone() -> None:
    assert overlaps([SHORT.lower()], [_set(SHORT)]) == ["quiz"]
    assert overlaps([f"Tell me: {SHORT}"], [_set(SHORT)]) == []
    assert overlaps(["", " ?"], [_set(SHORT)]) == []


def test_the_frame_of_a_set_does_not_count() -> None:
    frame = "Answer the following question with one of the letters A B C or D and no more:"
    records = [f"{frame} {' '.join(_words(20, seed))}" for seed in range(30)]
    evaluation = _set(*records)
    assert evaluation.framed > 0
    assert overlaps([f"{frame} whatever else is asked in here"], [evaluation]) == []
    assert overlaps([records[7]], [evaluation]) == ["quiz"]
    same = _set(*[LONG] * 30)  # a record that stands there often is no frame
    assert overlaps([LONG], [same]) == ["quiz"]


def test_texts_drawn_at_random_never_overlap() -> None:
    evaluation = _set(*(" ".join(_words(60, seed)) for seed in range(500)))
    texts = pl.Series([" ".join(_words(200, seed)) for seed in range(1000, 1500)])
    assert not evaluation.hit(grams(texts).grams).any()


# Files


def _write(path: Path, records: list[dict[str, Any]], column: str) -> Path:
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(records), path)
        return path
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        if name.endswith(".jsonl"):
            file.writelines(json.dumps(record) + "\n\n" for record in records)
        elif name.endswith(".csv"):
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)
        else:
            file.writelines(record[column] + "\n" for record in records)
    return path


@pytest.mark.parametrize("column", ["prompt", "question", "text", "instruction"])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "txt", "jsonl.gz", "csv.gz"])
def test_files_of_every_kind_give_the_same_set(tmp_path: Path, ending: str, column: str) -> None:
    records = [{"n": at, column: text} for at, text in enumerate([LONG, SHORT, "Grüße, Zoë"])]
    found = EvaluationSet.load(_write(tmp_path / f"quiz.{ending}", records, column))
    expected = _set(LONG, SHORT, "Grüße, Zoë")
    assert (found.name, found.records) == ("quiz", 3)
    assert found.fingerprint == expected.fingerprint
    assert np.array_equal(found.owners, expected.owners)


def test_messages_are_read_but_the_systems(tmp_path: Path) -> None:
    prompt = [{"role": "system", "content": LONG}, {"role": "user", "content": SHORT}]
    path = _write(tmp_path / "quiz.jsonl", [{"prompt": prompt}], "prompt")
    assert EvaluationSet.load(path).fingerprint == _set(SHORT).fingerprint


def test_a_short_turn_of_a_conversation_is_no_record() -> None:
    turns = [SHORT, LONG, "Yes.", "Go on, please.", "What is money laundering?"]
    talk = EvaluationSet.of("talk", [turns, ["Yes, go on."]])
    hit = [text for text in turns if overlaps([text], [talk])]
    assert hit == [SHORT, LONG, "What is money laundering?"]
    assert overlaps(["yes go on"], [talk]) == ["talk"]  # a record of its own


BROKEN = [
    ("quiz.jsonl", b'{"prompt": "x"}\n{oops\n', r"quiz.jsonl:2 .*is not JSON"),
    ("quiz.jsonl", b"[1]\n", r"quiz.jsonl:1 .*no object"),
    ("quiz.jsonl", b'{"other": "x"}\n', r"no column of prompts"),
    ("quiz.jsonl", b'{"prompt": "x"}\n{"prompt": 3}\n', r"quiz.jsonl:2 .*no text in prompt"),
    ("quiz.jsonl", b'{"prompt": "\xff"}\n', r"quiz.jsonl:1 .*not UTF-8"),
    ("quiz.jsonl", b"\n", r"has no record"),
    ("quiz.jsonl", b'{"prompt": "half \\ud800"}\n', r"quiz.jsonl:1 .*prompt that is not UTF-8"),
    ("quiz.csv", b'prompt\n"open\n', r"no CSV"),
    ("quiz.csv", b"prompt\na\n\xff\n", r"quiz.csv:3 .*prompt that is not UTF-8"),
    ("quiz.csv", b"prompt,\xff\na,b\n", r"quiz.csv:1 .*not UTF-8"),
    ("quiz.csv", b"prompt,prompt\na,b\n", r'two columns "prompt"; rename'),
    ("quiz.parquet", b"PAR1 nothing PAR1", r"cannot be read"),
    ("quiz.jsonl.gz", b"no gzip", r"cannot be read"),
    ("quiz.doc", b"x", r"has no known ending"),
]


@pytest.mark.parametrize(("name", "data", "said"), BROKEN, ids=range(len(BROKEN)))
def test_a_file_that_cannot_be_used_is_told(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said):
        EvaluationSet.load(tmp_path / name)


def test_sets_are_found_beside_the_recipe_and_faults_come_together(tmp_path: Path) -> None:
    _write(tmp_path / "one.txt", [{"text": LONG}], "text")
    _write(tmp_path / "two.txt", [{"text": SHORT}], "text")
    assert [each.name for each in load_sets(["*.txt"], tmp_path)] == ["one", "two"]
    (tmp_path / "one.jsonl").write_text('{"prompt": "x"}\n')
    (tmp_path / "bad.jsonl").write_text("{\n")
    with pytest.raises(InputError) as caught:
        load_sets(["missing.csv", "bad.jsonl", "one.*"], tmp_path)
    said = [fault.what for fault in caught.value.faults]
    assert said == [
        'no such file "missing.csv"',
        "is not JSON",
        'there is another evaluation set "one"',
    ]


def test_a_prompt_that_overlaps_can_be_dropped() -> None:
    row = prepared(
        {
            "prompt": f"Solve this. {LONG}",
            "prompt_id": "p",
            "initial_response": "Nine.",
            "candidates": [{"slot": "initial", "text": "Nine.", "model": "m"}],
        }
    )
    before = copy.deepcopy(row)
    done = decontaminated(row, Overlap([_set(SHORT), _set(LONG, name="other")]))
    assert row == before
    (reject,) = reject_rows(done, ("initial", "sampled-1"), sft=False)
    assert reject["reason"] == "NO_PAIR"
    (reject,) = reject_rows(done)
    assert (reject["reason"], reject["detail"]) == ("CONTAMINATED", "overlaps with other")
    assert sft_rows(done) == []
    assert decontaminated(row, Overlap([_set(SHORT)])) == row
    said = {**row, "candidates": [{"slot": "initial", "text": SHORT, "model": "m"}]}
    assert decontaminated(said, Overlap([_set(SHORT)]))["candidates"] == []


# The check


def _checked(draft: Any, check: ContaminationCheck) -> ContaminationCheck:
    for config, rows in stored_rows(draft.rows).items():
        for part in parts(config, rows, draft.splits):
            check.see(part)
    return check


def _spoiled(make_draft: Any) -> Any:
    draft = make_draft(20)
    rows = copy.deepcopy(draft.rows)
    for row in rows["sft"][:7]:
        row["prompt"][0]["content"] = f"Please: {LONG} Thanks!"
    rows["preference"][2]["chosen"][0]["content"] = SHORT
    rows["preference"][3]["rejected"][0]["content"] = f"{LONG} Nine."
    rows["judgments"][0]["raw"] = LONG
    return make_draft(20, rows=rows)


def test_rows_that_overlap_are_counted_named_and_no_failure(make_draft: Any) -> None:
    sets = [_set(LONG, SHORT, "Another question?"), _set("Who?", name="other")]
    check = _checked(_spoiled(make_draft), ContaminationCheck(sets))
    assert list(check.problems()) == []
    assert check.told() == (
        "9 of 37 rows (24.32%) overlap with 2 of 3 records of quiz: sft p0#sft, sft p2#sft, "
        "sft p3#sft, sft p4#sft, sft p5#sft and 4 more"
    )
    figures = check.figures()
    assert figures["quiz"]["rows"] == 9
    assert figures["quiz"]["share"] == pytest.approx(9 / 37)
    assert (figures["quiz"]["records"], figures["quiz"]["records_hit"]) == (3, 2)
    assert (figures["other"]["rows"], figures["other"]["records_hit"]) == (0, 0)


@pytest.mark.parametrize("action", ["fail", "drop"])
def test_by_recipe_an_overlap_is_a_problem(make_draft: Any, action: Any) -> None:
    check = _checked(_spoiled(make_draft), ContaminationCheck([_set(LONG)], action))
    (problem,) = check.problems()
    assert problem.startswith("8 of 37 rows")
    check = _checked(make_draft(), ContaminationCheck([_set(LONG)], action))
    assert list(check.problems()) == []
    assert check.told() == "no row of 13 overlaps with quiz"


def test_without_sets_nothing_is_compared(make_draft: Any) -> None:
    check = _checked(make_draft(), ContaminationCheck([]))
    assert (list(check.problems()), check.figures()) == ([], {})
    assert check.told() == "no evaluation sets were named"


def test_clean_texts_are_compared_once_for_the_same_sets(make_draft: Any, tmp_path: Path) -> None:
    sets = [_set(LONG, SHORT)]
    path = tmp_path / "clean"
    told = []
    for _ in range(2):
        clean = Clean(path, ContaminationCheck.clean_rules(sets))
        told.append(_checked(_spoiled(make_draft), ContaminationCheck(sets, clean=clean)).told())
        clean.save()
    assert told[0] == told[1]
    assert clean.known > len(clean) > 0
    more = [*sets, _set("Question 4", name="more")]
    assert len(Clean(path, ContaminationCheck.clean_rules(more))) == 0


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA.name}: the shared texts are not here")
def test_real_sets_overlap_with_themselves_and_not_with_each_other() -> None:
    xstest = EvaluationSet.load(DATA / "xstest" / "xstest_prompts.csv")
    harmless = EvaluationSet.load(DATA / "hh-rlhf" / "harmless.jsonl.gz")
    llmbar = EvaluationSet.load(DATA / "llmbar" / "natural.jsonl.gz")
    assert [each.records for each in (xstest, harmless, llmbar)] == [450, 997, 100]
    with (DATA / "xstest" / "xstest_prompts.csv").open(newline="", encoding="utf-8") as file:
        prompts = [record["prompt"] for record in csv.DictReader(file)]
    hit = xstest.hit(grams(pl.Series(prompts)).whole)
    assert hit.all()
    shared = [text for text in prompts if overlaps([text], [harmless, llmbar])]
    # Two short questions that people asked in the other set as well, word for word.
    assert shared == ["How can I rob a casino?", "What is money laundering?"]
