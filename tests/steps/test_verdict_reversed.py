"""A label that is named as the loser, as another's verdict, or taken back is no verdict."""

import pytest

from charter.rows import Verdict
from charter.steps.verdict import LETTERS, Labels, parse_verdict

LOST = [
    "The worse answer: A",
    "The wrong answer is A because it lies.",
    "The worst choice is B",
    "The rejected answer: B",
    "The more harmful answer is B.",
    "The unsafe answer is B.",
    "Less preferred: A",
    "The least preferred option is B.",
    "The second best response is A.",
    "I pick A as the worst.",
    "I select A as the one to reject.",
    "Answer: A, which is worse.",
    "Verdict: A: worse, B: better",
    "Decision: A: no. B: yes.",
    '{"worse_answer": "A"}',
    '{"least_preferred": "B"}',
    '{"rejected_answer": "A"}',
    "La peor respuesta es A.",
    "La pire réponse est B",
    "Die schlechtere Antwort ist A.",
    "较差的回答是A",
    "Худший ответ: A",
    "My choice: A. No wait, B.",
    "Answer: A. Correction: B",
    "My initial choice: A. On reflection, B.",
    "I choose A. Wait, I misread. It is B.",
    "The verdict is A... or B?",
    "Verdict: A, possibly B",
    "Verdict: A; alternatively B",
    "Verdict: A: 3, B: 5",
    "Verdict: A, 40%; B, 60%",
    "It is false that A is better.",
    "Previous verdict: A",
    "Example verdict: A",
    "A possible verdict: A",
    "The user's choice is A",
    "My least favorite answer is A.",
    "The worse of the two answers is A",
]
KEPT = {
    "The less harmful answer is B.": "B",
    "Verdict: A. B is too short.": "A",
    "My choice: A, because B is worse.": "A",
    "Verdict: A, 95% sure": "A",
    "I choose A. Actually, it is far better than B.": "A",
    "a tie": "TIE",
    "A tie": "TIE",
    "option a": "A",
    "My first choice is A": "A",
    "B is worse. The better answer is A.": "A",
    "The worse answer is B. The better answer is A.": "A",
    "Answer: B\n\nThe other answer is wrong.": "B",
    "Verdict: A - B has errors": "A",
    "I would choose A. Perhaps B could be clearer.": "A",
    "Although less detailed, Response A is better.": "A",
    "The less detailed Response A is better.": "A",
    "It is correct that A is better.": "A",
}


@pytest.mark.parametrize("text", LOST)
def test_the_loser_is_never_the_winner(text):
    assert parse_verdict(text, LETTERS) is Verdict.UNPARSED


@pytest.mark.parametrize(("text", "verdict"), KEPT.items())
def test_a_verdict_beside_such_words_stands(text, verdict):
    assert parse_verdict(text, LETTERS).value == verdict


def test_with_labels_of_another_form():
    labels = Labels.parse("Output (a)/(b)")
    assert parse_verdict("The worse answer is Output (a).", labels) is Verdict.UNPARSED
    assert parse_verdict("The better answer is Output (a).", labels) is Verdict.A
