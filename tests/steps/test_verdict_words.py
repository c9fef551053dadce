"""Each word of the forms in which a label is named: with it the form is read, or it is not."""

from __future__ import annotations

import pytest

from charter.steps.verdict import parse_verdict


def filled(texts):
    return [text.format(word) for text, words in texts.items() for word in words.split("|")]


# Forms with a gap, and the words with which each one names A.
READ_A = filled(
    {
        "{}: A": "Verdict|Winner|Choice|Preference|Decision|Judgment|Judgement|Pick|Vote|"
        "Conclusion|Label|Urteil|Gewinner|Sieger|Entscheidung|Gagnant|Gagnante|Ganador|Ganadora|"
        "Veredicto|Vencedor|Vencedora|Vincitore|вердикт|победитель|вариант",
        "{}：A": "结论|判断|判定|胜者|正解|勝者|정답|승자|回复|回應|選択肢|응답|답변",
        "The {} response is A.": "better|best|preferred|superior|winning|chosen|correct|final",
        "The better response {} is A.": "of the two|between both|among these|from the two|"
        "for this task|in this case|in my opinion|given the instruction|overall|here|"
        "for the prompt|for the question",
        "The better response {} A": "is|would be|=|->|—|-",
        "{} A": "Gewinner ist die Antwort|Le gagnant est la réponse|El ganador es|O vencedor é|"
        "Il vincitore è|Ich wähle|Je choisis|Elijo|Prefiero|Escolho a resposta|Scelgo|Выбираю|"
        "Ich bevorzuge die Antwort|Je préfère la réponse|Preferisco la risposta|Предпочитаю ответ",
        "{}A": "结论是|结论为|勝者は|选择|我选|我会选择回答|所以，我选择|最终选择：|更好的选择是",
        "I{} A.": " choose|'d choose|'ll pick| would select| will favour| must favor| prefer|"
        " have to recommend| therefore go with| thus vote for| say| think",
        "Response A is {} better.": "clearly|much|slightly|overall|indeed|definitely|therefore|"
        "thus|generally|far|marginally|significantly|ultimately|considered|considered to be|a bit|"
        "still",
        "Response A is {}": "the clear winner.|more preferable.|best.|preferred.|superior.",
        "Response A is better {}.": "overall|of the two|between the two|here|in this case|"
        "for the given task|for this instruction|in the prompt|for this question|"
        "in this comparison|in this context|in this situation|than the other|"
        "compared to Response B|to Response B|compared with the other|over Response B|and kinder|"
        "but longer|while longer|whereas B is not",
        "Response A is the better {}.": "one|choice|response",
        "Response A {} better.": "would be|should be|seems|appears",
        "I {} A is better.": "say|believe|think",
        "Therefore, Response A is better {}.": "in tone|at it|for children|on facts|with care|"
        "by far|when asked|from here|regarding tone|aligned with it",
        "Therefore, Response A is the more accurate {}.": "response|one|choice",
        "Antwort A ist {}": "klar besser|deutlich besser|insgesamt besser|viel besser|die bessere|"
        "die beste|die bessere Antwort|besser, weil sie kurz ist|besser weil sie kurz ist|"
        "besser denn sie ist kurz|besser als B|besser als die Antwort B",
        "La réponse A est {}": "la meilleure|nettement meilleure|clairement préférable|supérieure|"
        "la meilleure réponse|meilleure car elle est brève|meilleure parce que|meilleure que B|"
        "meilleure que la réponse B|meilleure qu'B",
        "La respuesta A es {}": "la mejor|claramente mejor|preferible|superior|la mejor respuesta|"
        "mejor porque es corta|mejor que la respuesta B",
        "A resposta A é {}": "a melhor|a melhor resposta|melhor que a resposta B",
        "La risposta A è {}": "chiaramente migliore|la migliore risposta|migliore perché è breve|"
        "migliore di B",
        "Ответ A {}": "явно лучше|намного лучше|лучше чем ответ B|лучше потому что",
        "回答A{}": "明显更好|显然更佳|總體更优|总体較好|较好|胜出|获胜|更胜一筹|更好 因为|"
        "のほうが良い|の方がよい|の方が優れている|の方が優れています",
        "The verdict is A {}": "because it is short|since it is|as it is|due to its tone|"
        "given that it is",
        "I choose Response A {}.": "over Response B|to Response B|rather than Response B|"
        "instead of the other response",
        "{} A.": "Therefore|Thus|Hence|Overall|Ultimately|Finally|In conclusion|Conclusion:|So|"
        "They differ. So",
        "A{} its tone": ", because of|, since I like|, as I like|, due to| because of",
    }
)
READ_A += ["[[Response A]]", r"\boxed{Response A}", r"\boxed{\text{A}}", r"It is \boxed{A}."]
TIES = filled(
    {
        "It is {}.": "a draw|tied|equal",
        "They are {}.": "equal|equally kind|equivalent|on par|of equal quality|of the same quality|"
        "both equal|about equal|clearly equal|essentially equal|roughly equal|basically equal|"
        "overall equal",
        "{} equal.": "This is|They're|The two are|The two responses are|Both of them are|"
        "The assistants are|The models are|Both assistants are|Response A and Response B are",
        "{} both are equal": "Answer:|Verdict:",
    }
)
NONE = filled(
    {
        "Verdict: A, which is {}": "worse|worst|weaker|weakest|inferior|wrong|incorrect|rejected|"
        "the loser|the one to reject",
        "Verdict: A, {} wrong": "which was|that is|it is",
        "I pick A as {}": "the worst|being wrong|my loser|a loser",
        "Verdict: A{}": ": 3| = 3|: worse|: no|: bad|: false|: reject",
        "Overall, Response A, though kind, {} less.": "is|was|has|had|does|did|would say|will say|"
        "can say|cannot say|could say|should say|may say|might say|must say|seems|appears|fails|"
        "loses|lies|lacks|misses|needs|gives|goes|falls|comes|breaks|violates|refuses|ignores|"
        "contains",
        "Verdict: A. {} B.": "Wait,|Correction:|Corrected:|Actually,|Oops,|Sorry,|Scratch that,|"
        "Make that|I mean|I misread,|On reflection,|On second thought,|On second thoughts,|"
        "Possibly|Perhaps|Maybe|Alternatively|No, it's|No, it is",
        "The answer is A{}B.": "/| or | and |, ",
    }
)


@pytest.mark.parametrize("text", READ_A)
def test_a_form_with_such_a_word_names_its_label(text):
    assert parse_verdict(text) == "A"


# Whole texts, in either case of the label.
FIELDS = filled(
    {
        "{}: {{}}": "Verdict|answer|Final answer|final|The best answer|Result|Selected|Selection|"
        "Response|Output|Better|Preferred response|My choice",
        "{}：{{}}": "答案|答え|답|选择",
        '{{{{"{}": "{{}}"}}}}': "verdict|winner|final_verdict|better_response|choice|answer",
        "{}{{}}": "```json\n{{{{\"verdict\": \"|{{{{'winner':'|answer = (|\u202bverdict: ",
    }
)


@pytest.mark.parametrize("text", FIELDS)
@pytest.mark.parametrize(("label", "verdict"), [("a", "A"), ("B", "B"), ("tie", "TIE")])
def test_a_whole_text_that_is_a_field_is_read_in_any_case(text, label, verdict):
    assert parse_verdict(text.format(label)) == verdict


@pytest.mark.parametrize(
    "text",
    [
        *("The answer is: a", "Worse: b", "Rejected: B", "Expected answer: b", "I think: b"),
        *("Response A: b", "response b: bad", "Answer: a or b", "It says answer: a", "Best: a b"),
        *(
            "我不选择A",
            "没有选择A。",
            "用户选择A。",
            "更差的选择是A",
            "如果我选择A，那么不好",
            "我选择A或B",
        ),
        *(
            "Ich wähle nicht A",
            "Je ne choisis pas A",
            "No elijo A.",
            "Non scelgo A",
            "Я не выбираю A",
        ),
    ],
)
def test_what_is_like_a_field_or_a_choice_and_is_none(text):
    assert parse_verdict(text) == "UNPARSED"


@pytest.mark.parametrize("mark", ["\u200e", "\u200f", "\u2060", "\u202b", "\u2067", "\u200d"])
def test_invisible_marks_of_writing_hide_no_label(mark):
    end = {"\u202b": "\u202c", "\u2067": "\u2069"}.get(mark, "")
    assert parse_verdict(f"{mark}B{end}") == "B"
    assert parse_verdict(f"『{mark}A{end}』") == "A"


@pytest.mark.parametrize("text", TIES)
def test_a_tie_is_said_in_such_words(text):
    assert parse_verdict(text) == "TIE"


@pytest.mark.parametrize("text", NONE)
def test_a_label_followed_by_such_words_is_no_verdict(text):
    assert parse_verdict(text) == "UNPARSED"


@pytest.mark.parametrize("word", ["because", "since", "as", "given that"])
def test_what_a_reason_says_of_the_other_label_takes_nothing_back(word):
    assert parse_verdict(f"I choose A, {word} B, though polite, is wrong.") == "A"
