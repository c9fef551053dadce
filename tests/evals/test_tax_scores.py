"""Published scores from files, in every shape, sound and not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from charter.errors import InputError
from charter.evals.tax_scores import read_scores, score_files


@pytest.fixture
def write(tmp_path: Path):
    def put(name: str, value: Any) -> Path:
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return put


def test_numbers_and_objects(write):
    found = read_scores(
        write("a.json", {"mmlu": 65.2, "My Own": {"score": 12, "stderr": 0.5, "n": 200}})
    )
    assert list(found.scores) == ["MMLU", "My Own"] and found.fractions is False
    own = found.scores["My Own"]
    assert (own.value, own.standard_error, own.n) == (12.0, 0.5, 200)
    named = read_scores(write("b.json", {"My Own": {"value": 12, "standard_error": 0.5, "n": 200}}))
    assert named.scores["My Own"] == own


def test_n_alone_gives_the_error_of_a_share(write):
    for score, full in ((64.0, 100), (0.64, 1)):
        found = read_scores(write("a.json", {"MMLU": {"score": score, "n": 225}}))
        assert found.scores["MMLU"].standard_error == pytest.approx(full * 0.032)
        assert "right or wrong" in found.notes[0]


@pytest.mark.parametrize(("score", "n"), [(100.0, 10), (0.0, 10), (1.0, 10), (100.0, 1)])
def test_a_few_items_that_are_all_right_or_all_wrong_are_no_certainty(write, score, n):
    full = 1 if score == 1 else 100
    given = {"MMLU": {"score": score, "n": n}, "B": full}
    found = read_scores(write("a.json", given)).scores["MMLU"]
    share = 2 / (n + 4)
    assert found.standard_error == pytest.approx(full * (share * (1 - share) / (n + 4)) ** 0.5)


HARNESS = {
    "results": {
        "odd": {"alias": "odd"},
        "mmlu": {"alias": "mmlu", "acc,none": 0.61, "acc_stderr,none": 0.004},
        "mmlu_stem": {"alias": " - stem", "acc,none": 0.5, "acc_stderr,none": 0.01},
        "mmlu_law": {"alias": " - law", "acc,none": 0.7, "acc_stderr,none": 0.01},
        "hellaswag": {"acc,none": 0.5, "acc_stderr,none": 0.1, "acc_norm,none": 0.72,
                      "acc_norm_stderr,none": 0.0045},
        "gsm8k": {"exact_match,strict-match": 0.3, "exact_match_stderr,strict-match": "N/A",
                  "exact_match,flexible-extract": 0.4},
        "wikitext": {"word_perplexity,none": 12.5, "word_perplexity_stderr,none": "N/A"},
    },
    # A group that has no figure of its own leaves its parts theirs.
    "group_subtasks": {"mmlu": ["mmlu_stem"], "mmlu_stem": ["mmlu_law"], "gsm8k": [],
                       "odd": ["hellaswag"]},
    "n-samples": {"hellaswag": {"original": 10042, "effective": 10042}},
    "higher_is_better": {"wikitext": {"word_perplexity": False}},
}  # fmt: skip


def test_results_of_the_harness_have_their_headlines_and_no_parts(write):
    found = read_scores(write("r.json", HARNESS))
    assert list(found.scores) == ["MMLU", "HellaSwag", "GSM8K", "wikitext"]
    hellaswag = found.scores["HellaSwag"]
    assert (hellaswag.value, hellaswag.standard_error, hellaswag.n) == (0.72, 0.0045, 10042)
    assert found.scores["GSM8K"].value == 0.3 and found.scores["GSM8K"].standard_error is None
    assert found.scores["wikitext"].higher_is_better is False


def test_the_second_file_is_read_by_the_metric_of_the_first(write):
    one = {"results": {"t": {"f1,none": 0.5, "acc,none": 0.4}}}
    two = {"results": {"t": {"acc,none": 0.3, "f1,none": 0.45}}}
    base, other = score_files([write("a.json", one), write("b.json", two)])
    assert (base.scores["t"].value, other.scores["t"].value) == (0.5, 0.45)
    three = {"results": {"t": {"acc,none": 0.3}, "u": {"acc,none": 0.3}}}
    _, other = score_files([write("a.json", one), write("c.json", three)])
    assert other.scores["t"].value is None and "f1,none" in other.scores["t"].reason


@pytest.mark.parametrize("value", ["NaN", "null", "Infinity", "1e999", '{"score": NaN, "n": 4}'])
def test_a_missing_figure_is_missing_and_no_fault(write, value):
    found = read_scores(write("a.json", f'{{"MMLU": {value}, "GSM8K": 3.5}}'))
    assert found.scores["MMLU"].value is None and found.scores["MMLU"].reason
    assert found.scores["GSM8K"].value == 3.5


FAULTS = [
    ("[]", "no object of scores"),
    ("{}", "no object of scores"),
    ("{", "is not JSON"),
    ("[" * 100_000, "is not JSON"),
    ('{"results": {}}', "has no scores"),
    ('{"MMLU": 60, "MMLU": 61}', "stands twice"),
    ('{"MMLU": 60, "mmlu": 61}', "by two names"),
    ('{"MMLU": "60"}', '"score" is no number'),
    ('{"MMLU": true}', '"score" is no number'),
    ('{"MMLU": [60]}', '"score" is no number'),
    ('{"MMLU": {"acc": 60}}', 'has "acc"'),
    ('{"MMLU": {"n": 3}}', "has no score"),
    ('{"MMLU": {"score": 60, "stderr": -1}}', "below zero"),
    ('{"MMLU": {"score": 60, "n": 0}}', "no count"),
    ('{"MMLU": {"score": 60, "n": 2.5}}', "no count"),
    ('{"MMLU": {"score": 60, "n": NaN}}', "no count"),
    ('{"PPL": {"score": 60, "higher_is_better": "no"}}', "neither true nor false"),
]


@pytest.mark.parametrize(("text", "said"), FAULTS, ids=range(len(FAULTS)))
def test_what_is_no_score_is_told(write, text, said):
    with pytest.raises(InputError) as raised:
        read_scores(write("a.json", text))
    assert said in str(raised.value) and "a.json" in str(raised.value)


def test_all_entries_at_fault_are_told_at_once(write):
    with pytest.raises(InputError) as raised:
        read_scores(write("a.json", {"A": "x", "B": 1, "C": {"m": 2}}))
    assert [fault.path for fault in raised.value.faults] == ["A", "C"]


def test_percent_against_fractions_is_a_fault(write):
    percent = write("p.json", {"MMLU": 65.2, "GSM8K": 0.9})
    fraction = write("f.json", {"MMLU": 0.638, "GSM8K": 0.0})
    with pytest.raises(InputError, match="in fractions"):
        score_files([percent, fraction])
    with pytest.raises(InputError, match="in percent"):
        score_files([fraction, percent])
    stray = write("s.json", {"MMLU": 0.638, "GSM8K": 56})
    notes = [note for each in score_files([percent, stray]) for note in each.notes]
    assert any("0.638" in note and "fraction?" in note for note in notes)


def test_scores_of_nothing_are_in_any_scale(write):
    nothing = write("n.json", {"MMLU": 0})
    for value in (65.2, 0.652):
        assert len(score_files([nothing, write("s.json", {"MMLU": value})])) == 2


def test_files_with_nothing_in_common_are_a_fault(write, tmp_path):
    with pytest.raises(InputError, match="has no benchmark"):
        score_files([write("a.json", {"MMLU": 1}), write("b.json", {"GSM8K": 1})])
    with pytest.raises(InputError, match="cannot be read"):
        read_scores(tmp_path / "nowhere.json")


def test_files_of_one_name_are_told_apart(write, tmp_path):
    (tmp_path / "x").mkdir()
    paths = [write("s.json", {"MMLU": 2}), write("x/s.json", {"MMLU": 3})]
    assert [each.name for each in score_files(paths)] == [str(path) for path in paths]
