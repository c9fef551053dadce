"""Labels as a user writes them, and verdicts read in those terms."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import InputError
from charter.rows import Verdict
from charter.steps.verdict import LETTERS, Labels, parse_verdict

FORMATS = {
    "A/B": Labels("A", "B"),
    " A / B ": Labels("A", "B"),
    "A/B/C": Labels("A", "B", "C"),
    "A/B/tie": Labels("A", "B", "tie"),
    "a/b": Labels("a", "b"),
    "1/2": Labels("1", "2"),
    "(1)/(2)": Labels("1", "2", marks=("(", ")")),
    "Output (a)/(b)": Labels("a", "b", "", ("Output",), ("(", ")")),
    "Output(a)/(b)": Labels("a", "b", "", ("Output",), ("(", ")")),
    "Output (a)/Output (b)": Labels("a", "b", "", ("Output",), ("(", ")")),
    "Output (a)/(b)/tie": Labels("a", "b", "tie", ("Output",), ("(", ")")),
    "Output (a)/(b)/no preference": Labels("a", "b", "no preference", ("Output",), ("(", ")")),
    "Response 1/Response 2": Labels("1", "2", "", ("Response",)),
    "Response 1/2": Labels("1", "2", "", ("Response",)),
    "Assistant A/Assistant B": Labels("A", "B", "", ("Assistant",)),
    "AI Assistant A/B": Labels("A", "B", "", ("AI Assistant",)),
    "model_a/model_b": Labels("a", "b", "", ("model",)),
    "Model X/Human Y": Labels("X", "Y", "", ("Model", "Human")),
    "[[A]]/[[B]]": Labels("A", "B", marks=("[[", "]]")),
    "[[A]]/[[B]]/[[C]]": Labels("A", "B", "C", marks=("[[", "]]")),
    "first/second": Labels("first", "second"),
    "回答A/回答B": Labels("A", "B", "", ("回答",)),
}


@pytest.mark.parametrize("text", FORMATS, ids=repr)
def test_formats_that_users_write(text):
    assert Labels.parse(text) == FORMATS[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "/",
        "A/",
        "/B",
        "A//B",
        "A/B/C/D",
        "A/A",
        "a/A",
        "A/B/A",
        "tie/B",
        "A/B/b",
        "Output (a/(b)",
        "Output (a]/(b]",
        "Output (a)/b",
        "[[A]]/[B]",
        "A/Response B",
        "first answer/second answer",
        "A B C!/D",
        "?/!",
        f"{'x' * 50}/y",
        "*/*",
    ],
    ids=repr,
)
def test_a_format_that_cannot_be_read_is_a_fault_of_the_user(text):
    with pytest.raises(InputError) as caught:
        Labels.parse(text)
    fault = caught.value.faults[0]
    assert (fault.place, fault.path) == ("--labels", "")
    assert fault.what and "A/B" in fault.fix


def test_letters_are_the_default():
    assert Labels.parse("A/B") == LETTERS
    assert parse_verdict("Response A is better.") == "A"
    assert parse_verdict("Response 1 is better.") == "UNPARSED"


OUTPUTS, NUMBERS, MARKS = "Output (a)/(b)", "1/2", "[[A]]/[[B]]/[[C]]"


@pytest.mark.parametrize(
    ("labels", "text", "verdict"),
    [
        (OUTPUTS, "Output (b)", "B"),
        (OUTPUTS, "**Output (b)**", "B"),
        (OUTPUTS, "(b)", "B"),
        (OUTPUTS, "b", "B"),
        (OUTPUTS, "B.", "B"),
        (OUTPUTS, "output (B) is better.", "B"),
        (OUTPUTS, "Output b is better.", "B"),
        (OUTPUTS, "Output(b) is better.", "B"),
        (OUTPUTS, "Answer: (B)", "B"),
        (OUTPUTS, '{"winner": "output (b)", "confidence": 0.9}', "B"),
        (OUTPUTS, "(b) is better.", "B"),
        (OUTPUTS, "Response (b) is better.", "B"),
        (OUTPUTS, "Output (a)/Output (b)\n\nOutput (b) is better.", "B"),
        (OUTPUTS, "Output (a)/Output (b) is better.", "UNPARSED"),
        (OUTPUTS, "a better output would be shorter.", "UNPARSED"),
        (OUTPUTS, "the better of the two is a short one", "UNPARSED"),
        (OUTPUTS, "Assistant (a) is better.", "UNPARSED"),
        (OUTPUTS, "Assistant (a) argues that Output (a) is better.", "UNPARSED"),
        (
            OUTPUTS,
            "Assistant (a) argues that Output (a) is better because it is long. Assistant (b), "
            "on the other hand, claims that Output (b) is better. Output (a) is long.\n\n"
            "Therefore, Output (b) is better.",
            "B",
        ),
        (OUTPUTS, "I agree with Assistant (b) that Output (b) is better.", "B"),
        (OUTPUTS, "Output (a) and Output (b) are equally good.", "TIE"),
        (f"{OUTPUTS}/tie", "tie", "TIE"),
        (f"{OUTPUTS}/no preference", "Verdict: no preference", "TIE"),
        ("A/B/C", "C", "TIE"),
        ("A/B/C", "Answer: C", "TIE"),
        ("A/B/C", "TIE", "TIE"),
        ("A/B/C", "Answer: A, B or C", "UNPARSED"),
        ("A/B", "Answer: C", "UNPARSED"),
        ("A/B", "Output (b) is better.", "UNPARSED"),
        (NUMBERS, "2.", "B"),
        (NUMBERS, "Answer: 2", "B"),
        (NUMBERS, "The better response is 2.", "B"),
        (NUMBERS, "Overall, 2 is better.", "B"),
        (NUMBERS, "[[2]]", "B"),
        (NUMBERS, '{"verdict": 2, "reason": "1 is long"}', "B"),
        (NUMBERS, "1. Response 1 is long.\n2. Response 2 is better.", "B"),
        (NUMBERS, "The correct answer is 2. Response 1 gives 3.", "UNPARSED"),
        (NUMBERS, "Verdict: 1.5", "UNPARSED"),
        (NUMBERS, "Score: 1", "UNPARSED"),
        (NUMBERS, "Answer: 12", "UNPARSED"),
        (NUMBERS, "Answer: 1/2", "UNPARSED"),
        ("Assistant A/Assistant B", "Assistant B wins.", "B"),
        ("Assistant A/Assistant B", "My final verdict is: [[B]]", "B"),
        # Where marks were asked for, they alone decide.
        (MARKS, "Assistant A is better. [[B]]", "B"),
        (MARKS, "Both did well. [[C]]", "TIE"),
        (MARKS, "Use [[A]] or [[B]].\n\nFinal verdict: [[B]]", "B"),
        (MARKS, "[[A]], or rather [[B]]", "UNPARSED"),
        (MARKS, "Assistant B is better.", "B"),
        ("first/second", "The second response is better.", "B"),
        ("first/second", "I prefer the second.", "B"),
        ("model_a/model_b", "The winner is model_b.", "B"),
    ],
)
def test_verdicts_in_other_labels(labels, text, verdict):
    assert parse_verdict(text, Labels.parse(labels)) == verdict


# What a judge can write, with the label that it names as `{x}` and the other one as `{y}`.
TEMPLATES = [
    "{x}",
    "**{x}**",
    "{x}.",
    "Verdict: {x}",
    "Final answer: {x}\n",
    '{{"winner": "{x}", "reason": "short"}}',
    "The better one is {x}.",
    "I prefer {x} over {y}.",
    "{x} is better.",
    "{x} is clearly better than {y} because it is short.",
    "{x}\n\nIt is short.",
    "They are long.\n\n{x}",
    "{y} is better. It is short. Therefore, {x} is better.",
    "Therefore, {y} is better. Overall, {x} is better.",
    "While {y} is short and kind, {x} is better.",
    "They said that {y} is better. Therefore, {x} is better.",
    "{x} is better. {y} is better.",
    "{x} is not better.",
    "If it must be short, {x} is better.",
    "Someone argues that {x} is better.",
    "{x} or {y} is better.",
    "It is a tie.",
    "I can't choose between {x} and {y}.",
]
NAMES = {
    "A/B": ("Response A", "Response B"),
    "Output (a)/(b)": ("Output (a)", "Output (b)"),
    "Response 1/Response 2": ("Response 1", "Response 2"),
    "Assistant A/Assistant B": ("Assistant A", "Assistant B"),
    "(1)/(2)": ("(1)", "(2)"),
    "A/B/C": ("A", "B"),
}
TURNED = {"A": "B", "B": "A", "TIE": "TIE", "UNPARSED": "UNPARSED"}
templates = st.lists(st.sampled_from(TEMPLATES), min_size=1, max_size=4)


@settings(deadline=None, max_examples=300)
@given(templates, st.sampled_from(["\n", "\n\n", " "]), st.sampled_from(sorted(NAMES)))
def test_swapping_the_labels_swaps_the_verdict(sentences, between, name):
    text, labels, (x, y) = between.join(sentences), Labels.parse(name), NAMES[name]
    verdict = parse_verdict(text.format(x=x, y=y), labels)
    assert parse_verdict(text.format(x=y, y=x), labels) == TURNED[verdict.value]


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("template", TEMPLATES[:16])
def test_every_format_reads_every_template(template, name):
    x, y = NAMES[name]
    assert parse_verdict(template.format(x=x, y=y), Labels.parse(name)) == "A"


@settings(deadline=None)
@given(st.text(), st.sampled_from(sorted(FORMATS)))
def test_any_text_has_a_verdict_or_none_in_any_format(text, name):
    assert parse_verdict(text, Labels.parse(name)) in set(Verdict)


@settings(deadline=None)
@given(st.one_of(st.text(), st.text("AaBb12/([])C tie", max_size=16)))
def test_any_format_is_read_or_is_a_fault_and_what_is_read_can_be_used(text):
    try:
        labels = Labels.parse(text)
    except InputError:
        return
    assert parse_verdict("Response A is better.", labels) in set(Verdict)
    assert parse_verdict(f"Verdict: {labels.first}", labels) != "B"
