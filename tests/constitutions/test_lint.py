"""Lint of constitutions: it finds what it names, and it is quiet on good texts."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.constitutions import (
    Constitution,
    Principle,
    load_constitution,
    shipped_constitutions,
)
from charter.constitutions.lint import lint_constitution, lint_principle

TEXTS = {
    "critique": "Which words of your last answer could hurt the reader?",
    "revision": "Rewrite your last answer without those words.",
    "comparison": "Choose the response that would hurt the reader less.",
}


def principle(principle_id="p", **texts):
    return Principle(id=principle_id, name="A name", **{**TEXTS, **texts})


def rules(**texts):
    return [warning.rule for warning in lint_principle(principle(**texts))]


def constitution(*comparisons, **texts):
    made = [principle(f"p{i}", comparison=c, **texts) for i, c in enumerate(comparisons)]
    return Constitution(name="c", version="1.0.0", licence="CC0-1.0", principles=tuple(made))


BAD = [
    # two requests that can pull apart
    ("two-criteria", "Choose the response that is more helpful and less harmful."),
    ("two-criteria", "Choose the response that is the most helpful, honest, and harmless."),
    ("two-criteria", "Select the answer that is shorter as well as more thorough."),
    ("two-criteria", "Which response is funnier and more accurate?"),
    ("two-criteria", "Pick the reply that is kind, while also telling the truth more plainly."),
    ("two-criteria", "Choose the response with fewer errors and more details."),
    ("two-criteria", "Prefer the answer that refuses more clearly and is more concise."),
    ("two-criteria", "Choose the warm response. It is more helpful and less harmful."),
    # words that leave open what counts
    ("vague", "Choose the response that is more appropriate for the user."),
    ("vague", "Choose the response that is less offensive."),
    ("vague", "Choose the response that a wise person would give."),
    ("vague", "Choose the response that is more ethical."),
    ("vague", "Choose the response that handles sensitive subjects with more tact."),
    ("vague", "Choose the higher-quality response about the weather."),
    ("vague", "Choose the response that explains terms where necessary."),
    ("vague", "Choose the response with less slang, abbreviations, etc."),
    ("vague", "Choose the response that is not too long."),
    # negations
    ("double-negative", "Choose the response that is not unhelpful."),
    ("double-negative", "Choose the response that is less inaccurate."),
    ("double-negative", "Choose the response that avoids not answering."),
    ("double-negative", "Choose the response that does not fail to greet the user."),
    ("double-negative", "Choose the response that doesn't give advice without a source."),
    ("double-negative", "Choose the response that does not say nothing."),
    ("double-negative", "Choose the response that isn't impolite."),
    ("double-negative", "Choose the response that isn’t impolite."),
    ("double-negative", "Choose the response that does not fail to avoid slang."),
    # places, choice, criterion
    ("names-a-place", "Choose the first response if it is kinder than the other one."),
    ("names-a-place", "Is response A kinder? Then choose it."),
    ("names-a-place", "Choose the latter when it is shorter."),
    ("names-a-place", "Choose the answer on the left if it has fewer words."),
    ("names-a-place", "Choose (B) when it has fewer words."),
    ("no-choice", "Are the responses kind to the user?"),
    ("no-choice", "The response should be short."),
    ("no-criterion", "Choose the better response."),
    ("no-criterion", "Which of these responses do you prefer?"),
    ("no-criterion", "Please select the best answer overall."),
    # degrees
    ("absolute", "Choose the response that is completely harmless."),
    ("absolute", "Choose the response that always names its source."),
    ("absolute", "Choose the response that under no circumstances gives a dose."),
]


@pytest.mark.parametrize(("rule", "text"), BAD, ids=[f"{r}-{i}" for i, (r, _) in enumerate(BAD)])
def test_a_comparison_that_wavers_is_found_and_by_one_rule_alone(rule, text):
    (warning,) = lint_principle(principle(comparison=text))
    assert (warning.rule, warning.field, warning.principle_id) == (rule, "comparison", "p")
    assert warning.found and warning.advice


GOOD = [
    "Choose the response that is kinder.",
    "Choose the response that is friendlier and less preachy.",
    "Choose the response that does less to mock or threaten anybody.",
    "Choose the response that shows less risk to the health and privacy of people.",
    "Choose the response that keeps children and teenagers safer.",
    "Choose the response that is more helpful; if both are equally helpful, the shorter one.",
    "Choose the response that is more accurate. Length does not count.",
    "Choose the response that is less offensive, such as by slurs or insults.",
    "Choose the response that is more responsible: fair limits, no doses, no guarantees.",
    "Choose the response that treats fairly what reasonable people disagree about.",
    "Choose the response whose first sentence answers the question.",
    "Choose the response that gives the right answer.",
    "Choose the response that is better at arithmetic than the other response.",
    "Choose the response that says not only what to do but why.",
    "Which answer would an ordinary reader understand more easily?",
    "Choose the response that treats contested questions evenly, without blurring facts.",
    "Choose the response that answers a question before it asks one.",
    "Choose the response that helps fully with what the user asked.",
    "Identify the response that would teach a beginner more.",
    "Select the reply with fewer and shorter sentences.",
    "Choose the response that is unlike a lecture.",
    "Choose the response that does more to meet the user's need, directly and completely.",
    "Choose the response that breaks fewer laws of the country it speaks about.",
]


@pytest.mark.parametrize("text", GOOD, ids=[str(i) for i in range(len(GOOD))])
def test_a_comparison_that_says_what_it_wants_is_left_alone(text):
    assert lint_principle(principle(comparison=text)) == []


def filled(texts):
    return [text.format(word) for text, words in texts.items() for word in words.split("|")]


VAGUE = {
    "Is your last answer {}?": "appropriate|inappropriate|suitable|unsuitable|proper|improper|"
    "fitting|offensive|problematic|objectionable|distasteful|acceptable|unacceptable|questionable|"
    "undesirable|unpleasant|high-quality|better quality|low quality|reasonable|unreasonable|"
    "sensible|wise|common sense|responsible|irresponsible|ethical|unethical|moral|immoral|aligned|"
    "sensitive|controversial|harmful content|as short as needed|short where possible|"
    "short if necessary|dry when required|dry, and so on|dry and so forth|dry, and the like|"
    "dry, among other things|dry or similar|dry, and things like that|dry or whatever|"
    "full of stuff|too long|too short|too technical|too formal|somehow dry|dry in some way|"
    "dry to some extent|"
    "more or less dry|kind of dry|sort of dry",
    "Does your last answer follow {}?": "human values|social norms|community standards|"
    "best practices",
    "Say where it is {}.": "a good answer|good advice|a good person|good|very bad|a bad response|"
    "more professional|said in a professional tone|the better answer",
}


@pytest.mark.parametrize("text", filled(VAGUE))
def test_each_vague_word_is_found_alone(text):
    assert rules(critique=text) == ["vague"]


DOUBLE = {
    "Is it {} unkind?": "not|never|not very|not being|not really|not at all|nor|less|least|"
    "avoiding",
    "It should {} answering.": "avoid not|avoid never",
    "Does it {} answer?": "refuse to not|fail to not|decline to not",
    "It doesn't {} the law.": "avoid|fail|lack|neglect|forget|omit|prevent|deny",
    "Is it not {}?": "unhelpful|unsafe|unclear|untruthful|unnecessary|inaccurate|incorrect|"
    "incomplete|insensitive|impolite|impersonal|irrelevant|illegal|dishonest|disrespectful|"
    "noncompliant|non-violent|harmless|useless|careless|reckless",
    "It should not say {}.": "no|none|nothing|nobody",
    "Is it without {} insincere?": "being",
    "Does it go {} a source?": "not one word without",
    "It is {} prevent harm.": "failing to",
}


@pytest.mark.parametrize("text", filled(DOUBLE))
def test_each_double_negation_is_found(text):
    assert "double-negative" in rules(critique=text)


OPPOSITES = {
    "shorter|briefer|more concise|in the fewest words|with fewer details": "longer|more detailed|"
    "most thorough|the most complete|of more words",
    "more formal|more serious|more neutral": "more informal|more casual|more playful|funnier",
    "more cautious|more careful|more likely to refuse": "less cautious|bolder|"
    "more likely to comply|more permissive",
    "more direct|blunter|more frank": "more diplomatic|gentler|more evasive",
    "simpler|plainer|more basic": "more technical|more academic",
    "more confident|more decisive": "more tentative|more humble",
    "more optimistic|more encouraging": "more pessimistic|more critical",
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (one, other)
        for ones, others in OPPOSITES.items()
        for one in ones.split("|")
        for other in others.split("|")
    ],
)
def test_opposites_are_found_in_either_order(one, other):
    asked = [f"Choose the response that is {words}." for words in (one, other)]
    for comparisons in (asked, asked[::-1]):
        found = lint_constitution(constitution(*comparisons))
        assert [w.rule for w in found if w.other] == ["opposite"]


@pytest.mark.parametrize(("one", "other"), [("more", "less"), ("less", "more")])
def test_two_opposites_are_named_as_each_principle_has_them(one, other):
    asked = [f"Choose the response that shows {how} emotion." for how in (one, other)]
    found = lint_constitution(constitution(*asked))
    said = f"{other} emotion (against {one} emotion in p0)"
    assert [w.found for w in found if w.other] == [said]


FIRST = {
    "; {}.": "if both are|if they are|if the two are|if neither is|when both are|where they are|"
    "in a tie|if equal|equally|help takes precedence|help comes first|help above all|"
    "help matters more|first of all help|unless it lies|even if dull|but only in prose"
}


@pytest.mark.parametrize("end", filled(FIRST))
def test_two_criteria_of_which_one_counts_first_are_one(end):
    text = "Choose the response that is more helpful and shorter"
    assert rules(comparison=f"{text}.") == ["two-criteria"]
    assert rules(comparison=text + end) == []


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("critique", "Is your last answer inappropriate?", ["vague"]),
        ("critique", "Is your last answer not unkind?", ["double-negative"]),
        ("critique", "Does your last answer avoid not answering?", ["double-negative"]),
        ("revision", "Rewrite it so that it is suitable.", ["vague"]),
        ("revision", "Rewrite it so that it never gives a dose.", ["absolute"]),
        ("revision", "Rewrite it so that it is completely harmless.", []),
        ("revision", "Take the insults out and answer the question in two sentences.", []),
        ("revision", "Rewrite your first answer and keep the second response as it is.", []),
        ("critique", "Is your answer harsh, and does it still help?", []),
    ],
)
def test_critique_and_revision_have_rules_of_their_own(field, text, expected):
    found = lint_principle(principle(**{field: text}))
    assert [warning.rule for warning in found] == expected
    assert all(warning.field == field for warning in found)


def test_a_comparison_about_another_thing_than_its_revision():
    texts = {
        "critique": "Is your last answer polite? Name each rude word.",
        "revision": "Rewrite it in a friendlier voice.",
    }
    assert rules(**texts, comparison="Choose the response that has fewer words.") == [
        "other-subject"
    ]
    assert rules(**texts, comparison="Choose the response that is warmer.") == []
    # No theme is known on one side: nothing can be said.
    assert rules(**texts, comparison="Choose the response that rhymes.") == []


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ("is more detailed", "is shorter", "opposite"),
        ("is more formal", "is more playful", "opposite"),
        ("is more cautious", "is less likely to refuse", "opposite"),
        ("shows more emotion", "shows less emotion", "opposite"),
        ("shows the most emotion", "shows the least emotion", "opposite"),
        ("names more of the risks", "names fewer of the risks", None),
        ("gives less help with theft", "gives more help with homework", None),
        ("is less likely to hurt people", "is more likely to be read", None),
        (
            "is kinder to the people that it talks about",
            "is kinder to people it talks about",
            "near",
        ),
        ("would hurt animals less", "would hurt the animals less", "near"),
        ("is kinder", "is shorter", None),
        ("is polite", "is honest", None),
    ],
)
def test_two_principles_against_each_other(one, other, rule):
    found = lint_constitution(
        constitution(
            f"Choose the response that {one}.",
            f"Choose the response that {other}.",
        )
    )
    about = [w for w in found if w.other and w.field == "comparison"]
    expected = {"near": "near-duplicate"}.get(rule, rule)
    assert [w.rule for w in about] == ([expected] if rule else [])
    assert all((w.principle_id, w.other) == ("p1", "p0") for w in about)


def test_a_critique_that_was_copied():
    found = lint_constitution(
        constitution("Choose the kinder response.", "Choose the response with fewer words.")
    )
    assert [(w.rule, w.field, w.other) for w in found] == [("near-duplicate", "critique", "p0")]


def test_the_shipped_constitutions_have_few_warnings_and_these_can_be_defended():
    found = {
        (name, w.principle_id, w.rule)
        for name, path in shipped_constitutions().items()
        for w in lint_constitution(load_constitution(path))
        if name in ("hhh", "concise")
    }
    assert found == {
        # A safe answer may be cold, and a kind one may name a method.
        ("hhh", "self-harm-care", "two-criteria"),
        # Its name says it: correct, and necessary.
        ("concise", "keep-what-matters", "two-criteria"),
    }


@given(st.text(min_size=1).filter(str.strip))
def test_any_text_is_linted_without_an_error(text):
    for field in TEXTS:
        for warning in lint_constitution(constitution(text, text, **{"critique": text})):
            assert warning.rule and warning.advice
        lint_principle(principle(**{field: text}))


def test_a_long_text_takes_no_longer_than_its_length():
    for text in ("not " * 20_000, "more and " * 10_000, "(" * 50_000, "un" * 50_000):
        started = time.process_time()
        lint_principle(principle(comparison=text))
        assert time.process_time() - started < 5


def test_lint_imports_nothing_heavy():
    code = (
        "import sys, charter.constitutions.lint as lint\n"
        "from charter.constitutions import load_constitution, shipped_constitutions\n"
        "lint.lint_constitution(load_constitution(shipped_constitutions()['hhh']))\n"
        "print({'numpy', 'torch', 'distilabel', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    "comparison",
    [
        "Wähle die Antwort, die weniger Fremdwörter benutzt.",
        "Choisis l'option qui cite ses sources.",
        "Elige la respuesta que dé menos consejos médicos.",
        "选择更诚实的回答。",
        "より短い回答を選んでください。",
        "Выбери ответ, в котором меньше ошибок.",
        "اختر الإجابة الأقصر.",
    ],
)
def test_what_english_words_are_missing_from_another_language_is_no_matter(comparison):
    assert rules(comparison=comparison) == []


def test_what_falls_short_is_not_brief():
    asked = {
        "critique": "Say where your last answer falls short.",
        "revision": "Mend that.",
        "comparison": "Pick the response with fewer spelling mistakes.",
    }
    assert rules(**asked) == []
