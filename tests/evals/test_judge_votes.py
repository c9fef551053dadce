"""Recorded votes: what is read, what is counted, and what is turned away with its line."""

from __future__ import annotations

import gzip
import json

import pytest

from charter.errors import InputError
from charter.evals.judge_people import people_of_file
from charter.evals.judge_sources import read_pairs
from charter.evals.judge_votes import read_votes, votes_of_rows
from charter.rows import Order, Verdict
from charter.steps.verdict import Labels

OUTPUTS = Labels.parse("Output (a)/(b)")


def row(**changes):
    return {
        "comparison_id": "c1",
        "response_a": "short",
        "response_b": "a longer one",
        "human_label": "A",
        "judge_model": "one",
        "pass": "final",
        "order": "AB",
        "text": "Output (a) is better.",
        **changes,
    }


@pytest.fixture
def write(tmp_path):
    def write(*rows, name="votes.jsonl", pack=False):
        lines = [each if isinstance(each, str) else json.dumps(each) for each in rows]
        data = ("\n".join(lines) + "\n").encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if pack else data)
        return path

    return write


def read(path, only=None):
    return read_votes(path, OUTPUTS, only)


def test_a_vote_is_read_in_terms_of_the_candidates(write):
    odd = row(order="BA", comparison_id="c2", text="who knows", category="odd")
    path = write(row(), row(order="BA"), odd)
    one, two, three = read(path).passes["final"]
    assert (one.verdict, one.order, one.human) == (Verdict.A, Order.AB, Verdict.A)
    # In order BA the first place, Output (a), was B's.
    assert (two.verdict, two.order) == (Verdict.B, Order.BA)
    assert (three.verdict, three.category) == (Verdict.UNPARSED, "odd")
    assert (one.length_a, one.length_b, one.judge_model) == (5, 12, "one")


@pytest.mark.parametrize("name", ["votes.jsonl", "votes.jsonl.gz", "votes.txt"])
@pytest.mark.parametrize("pack", [True, False])
def test_a_file_is_plain_or_gzipped_whatever_its_name(write, name, pack):
    assert len(read(write(row(), "", name=name, pack=pack)).passes["final"]) == 1


def test_three_keys_are_enough(write):
    path = write({"comparison_id": "c1", "order": "BA", "text": "Output (b)"})
    (vote,) = read(path).passes[""]
    assert (vote.verdict, vote.human, vote.length_a, vote.recorded) == (Verdict.A, None, None, None)


def test_what_is_odd_is_counted(write):
    path = write(
        row(human_label="neither", recorded_winner="a"),
        row(order="BA", human_label=None, text=None, recorded_winner=7),
    )
    found = read(path)
    one, two = found.passes["final"]
    assert one.human is two.human is None and one.recorded is Verdict.A and two.recorded is None
    assert two.verdict is Verdict.UNPARSED
    assert sorted(found.noted.values()) == [1, 1, 1]


@pytest.mark.parametrize(
    ("line", "where", "what"),
    [
        ("{", "", "not JSON"),
        ("[1]", "", "no JSON object"),
        ('{"order": "AB", "text": "A"}', "comparison_id", "missing"),
        ('{"comparison_id": "c", "text": "A"}', "order", "missing"),
        ('{"comparison_id": "c", "order": "AB"}', "text", "missing"),
        (row(order="A first"), "order", "no such order"),
        (row(text=3), "text", "not text"),
        (row(text="\ud800"), "text", "half a character"),
        (row(judge_model=3), "judge_model", "not text"),
        (row(sample="first"), "sample", "whole number"),
        (row(sample=True), "sample", "whole number"),
        (row(comparison_id=None), "comparison_id", "not text"),
        (row(), "", "same vote stands in line 1"),
        (row(order="BA", human_label="B"), "human_label", "another one in line 1"),
    ],
    ids=range(14),
)
def test_a_line_that_is_no_vote_is_a_fault_with_its_number(write, line, where, what):
    path = write(row(), line)
    with pytest.raises(InputError) as caught:
        read(path)
    (fault,) = caught.value.faults
    assert (fault.place, fault.path) == (f"{path}:2", where)
    assert what in fault.what


def test_all_faults_are_told_at_once_and_not_endlessly_many(write):
    with pytest.raises(InputError) as caught:
        read(write(*["{"] * 50))
    assert len(caught.value.faults) == 21
    assert "30 more faults" in caught.value.faults[-1].what


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\x1f\x8b broken", b"\xff\n"])
def test_a_file_without_votes(tmp_path, content):
    path = tmp_path / "votes.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read(path)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="folder"):
        read(tmp_path)


def test_samples_and_judges_are_no_duplicates(write):
    path = write(
        row(), row(sample=1), row(judge_model="other"), row(mode="cot"), row(principle_id="p")
    )
    assert len(read(path).passes["final"]) == 5


def test_passes_apart_and_one_alone(write):
    path = write(row(), row(**{"pass": "first"}), row(**{"pass": None}))
    assert {name: len(votes) for name, votes in read(path).passes.items()} == {
        "final": 1,
        "first": 1,
        "": 1,
    }
    assert list(read(path, "first").passes) == ["first"]
    with pytest.raises(InputError, match="did you mean"):
        read(path, "finale")


def test_rows_of_the_pipeline_are_votes():
    vote = {"comparison_id": "c", "order": "BA", "verdict": "A", "p_a": 0.7, "principle_id": "kind"}
    votes = votes_of_rows([vote, vote], {"c": Verdict.B}, weights={"kind": 2.0})
    assert [v.sample for v in votes] == [0, 1]
    assert votes[0].human is Verdict.B and votes[0].weight == 2 and votes[0].p_a == 0.7


WINNERS = {"c1": Verdict.A, "c2": Verdict.B, "c3": Verdict.TIE}


def test_peoples_labels_by_candidate_or_by_the_judges_label(write):
    path = write(
        {"comparison_id": "c1", "human_label": "chosen"},
        {"pair_id": "c2", "label": "rejected"},
        {"id": "c2", "verdict": "A"},
        {"row_id": "c3", "label": "tie"},
        {"id": "c3", "label": "chosen"},
        {"id": "c9", "label": "A"},
        {"id": "c1", "label": "maybe"},
        {"id": "c1", "label": None},
    )
    found = people_of_file(path, WINNERS)
    assert found.labels == {"c1": Verdict.A, "c2": Verdict.A, "c3": Verdict.TIE}
    assert found.sampling is None
    assert sum(found.noted.values()) == 4


def test_the_majority_counts_and_a_split_is_a_tie(write):
    rows = [{"id": "c1", "label": label} for label in "ABB"]
    rows += [{"id": "c2", "label": label} for label in "AB"]
    found = people_of_file(write(*rows), WINNERS)
    assert found.labels == {"c1": Verdict.B, "c2": Verdict.TIE}
    assert list(found.noted.values()) == [2]


def test_weights_of_people(write):
    found = people_of_file(
        write(
            {"id": "c1", "label": "A", "inclusion_probability": 0.25},
            {"id": "c2", "label": "A", "weight": 2},
        ),
        WINNERS,
    )
    assert found.sampling == {"c1": 4.0, "c2": 2.0}
    for rows, what in (
        ([{"id": "c1", "label": "A", "weight": 0}], "above 0"),
        ([{"id": "c1", "label": "A", "weight": 10**400}], "no number above 0"),
        ([{"id": "c1", "label": "A", "weight": True}], "no number above 0"),
        ([{"id": "c1", "label": "A", "inclusion_probability": 1e-320}], "no probability above 0"),
        ([{"id": "c1", "label": "A", "inclusion_probability": 2}], "no probability above 0"),
        ([{"id": "c1", "label": "A", "weight": 2}, {"id": "c2", "label": "A"}], ":2 .*no weight"),
        ([{"id": "c1"}], "none of the keys"),
        ([{"id": 1, "label": "A"}], "not text"),
        ([{"id": "c9", "label": "A"}], "no label for any"),
    ):
        with pytest.raises(InputError, match=what):
            people_of_file(write(*rows), WINNERS)


def test_where_no_label_counts_the_fault_says_why(write):
    def fault(*rows):
        with pytest.raises(InputError) as error:
            people_of_file(write(*rows), WINNERS)
        (found,) = error.value.faults
        return str(found)

    odd = [{"id": "c1", "human_label": "response_a"}, {"id": "c2", "human_label": "response_b"}]
    said = fault(*odd)
    assert "2 labels that are none of A, B, TIE, chosen, rejected" in said
    assert "say A, B or TIE" in said and "the ids" not in said
    said = fault(*odd, {"id": "c9", "label": "A"}, {"id": "c1", "label": None})
    assert "rejected, 1 rows without a label" in said and "the ids" not in said
    said = fault({"id": "c3", "label": "chosen"})
    assert "1 labels `chosen` or `rejected` of pairs that the judge did not decide" in said
    assert "give the ids as `judgments` has them" in fault({"id": "c9", "label": "A"})


def pair(i, **changes):
    return {"id": f"p{i}", "prompt": "Why?", "chosen": f"good {i}", "rejected": "bad", **changes}


def test_labelled_pairs_are_drawn_to_their_sides(write):
    found = read_pairs(write(*(pair(i) for i in range(200))))
    assert len(found.pairs) == 200
    first = sum(each.human is Verdict.A for each in found.pairs)
    assert 70 < first < 130
    for each in found.pairs:
        assert each.prompt == ({"role": "user", "content": "Why?"},)
        assert {each.a, each.b} == {f"good {each.id[1:]}", "bad"}
        assert (each.a if each.human is Verdict.A else each.b).startswith("good")
    # The draw hangs on the id and not on what else is in the file.
    assert read_pairs(write(pair(7))).pairs == [found.pairs[7]]


def test_pairs_as_the_published_schema_has_them(write):
    said = [{"role": "assistant", "content": "yes"}]
    prompt = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    path = write(pair(1, id=None, prompt=prompt, chosen=said, category="x"), "not read")
    (found,) = read_pairs(path, limit=1).pairs
    assert len(found.prompt) == 2 and found.category == "x" and len(found.id) == 16


def test_a_number_is_an_id_as_in_recipes(write):
    assert [each.id for each in read_pairs(write(pair(1, id=7), pair(2, id=0))).pairs] == ["7", "0"]
    with pytest.raises(InputError, match='the id "7" stands in line 1 too'):
        read_pairs(write(pair(1, id=7), pair(2, id="7")))
    with pytest.raises(InputError, match="id: is not text"):
        read_pairs(write(pair(1, id=True)))


def test_equal_responses_are_left_out_and_counted(write):
    found = read_pairs(write(pair(1), pair(2, chosen="Bad ")))
    assert len(found.pairs) == 1 and sum(found.noted.values()) == 1


@pytest.mark.parametrize(
    "changes",
    [{"chosen": ""}, {"prompt": []}, {"rejected": [{"role": "x", "content": "y"}]}, {"id": 3.5}],
    ids=range(4),
)
def test_what_is_no_pair_is_a_fault(write, changes):
    with pytest.raises(InputError, match=r"votes\.jsonl:1"):
        read_pairs(write(pair(1, **changes)))


def test_two_pairs_of_one_id_are_a_fault(write):
    with pytest.raises(InputError, match="line 1 too"):
        read_pairs(write(pair(1), pair(1)))
