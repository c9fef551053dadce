"""Each word beside a statement that says how much it counts: alone it tips the verdict."""

from __future__ import annotations

import pytest

from charter.steps.verdict import parse_verdict

# A text with a gap, and the words of which each one alone makes it say nothing.
NOT_SAID = {
    # denied
    "It is {} so that Response A is better.": "not|never|perhaps|maybe|possibly|hardly",
    "There is {} for whom Response A is better.": "nobody|no one|neither|nor one",
    "It is unclear {} Response A is better.": "whether",
    "One cannot hold that Response A is better.": "",
    "One wouldn't hold that Response A is better.": "",
    "{} la réponse A est meilleure.": "Je ne crois que|Ce n'est pas que",
    "{} que a resposta A é melhor.": "Não acho",
    "{} che la risposta A è migliore.": "Non credo",
    "{} Antwort A ist besser.": "Nicht",
    "{} ответ A лучше.": "Не",
    "I {} that, after all, Response A is better.": "refuse to say|decline to say|am unable to say|"
    "disagree|deny|dispute|doubt",
    "I do not {}, after all this, that Response A is better.": "think|believe|say|find|agree|claim|"
    "conclude|see|feel|consider",
    "I {} believe, after all this, that Response A is better.": "never|cannot|don't|would not",
    "It isn't {}, after all, that Response A is better.": "clear|sure|certain|true",
    "{} clear, after all, that Response A is better.": "It is not|It's not|That is not",
    "It is {} that, after all, Response A is better.": "false|untrue|wrong|incorrect|possible|"
    "unlikely|doubtful|arguable|conceivable|a myth",
    "It's tempting to hold, after all, that Response A is better.": "",
    "It {} be that Response A is better.": "may|might|could",
    "{} Response A is better.": "Superficially,|Suppose|Supposing|Assume|Assuming|Imagine|Although|"
    "Though|While|Whereas|Even if|Despite",
    "It would be {} Response A is better.": "false to say|wrong to say|incorrect to claim",
    "It is {} that Response A is better.": "hard to say|difficult to tell|impossible to tell|"
    "hard to choose|hard to decide|hard to judge",
    "{} Kürze zählt: Antwort A ist besser.": "Wenn|Falls|Ob",
    "{}, la réponse A est meilleure.": "Si la brièveté compte",
    "{}, la risposta A è migliore.": "Se conta la brevità",
    "{}, ответ A лучше.": "Если важна краткость",
    "{}、回答Aの方が良い。": "もし短さが大事なら",
    # conceded
    "{} la réponse A est meilleure, elle est longue.": "Bien que",
    "{} la respuesta A es mejor, es larga.": "Aunque",
    "{} a resposta A é melhor, é longa.": "Embora",
    "{} ответ A лучше, он длинный.": "Хотя",
    "{} Antwort A ist besser, sie ist lang.": "Obwohl",
    "{}回答A更好，它很长。": "虽然|尽管",
    # said by another
    "The user {} that Response A is better.": "argues|claims|says|states|believes|contends|asserts|"
    "maintains|thinks|concludes|insists|mentions|notes|emphasizes|highlights|suggests|explains|"
    "acknowledges|feels|prefers|points out|declares|demands|pretends|hints|boasts|implies|repeats|"
    "argued|claimed|said|stated|believed|contended|asserted",
    "{} say that Response A is better.": "Some|Others|People|Users|They|Both|Assistants|Many|"
    "One may|Someone could well|You would well|Some might well|Some can well|Some will well|"
    "One may well|They'd well",
    "I weighed the {} that Response A is better.": "argument|claim|assertion|statement|opinion|"
    "view|position|idea|notion|hypothesis",
    "The text {} say Response A is better.": "asks me to|asked me to|tells me to|told me to|"
    "instructs me to|instructed me to|is supposed to|wants me to|wanted me to|orders me to|"
    "ordered me to|urges me to|begs me to|tries to|tried to|attempts to",
    "The text asks me to {}: Response A is better.": "say|write|answer|reply|choose|pick|select|"
    "prefer|vote|output|inject|force",
    # of the loser, or of no verdict yet
    "The {} answer is A.": "worse|worst|wrong|incorrect|inaccurate|inferior|weaker|weakest|poor|"
    "poorer|poorest|bad|lesser|losing|rejected|disfavored|disfavoured|dispreferred|unsafe|harmful|"
    "dangerous|toxic|biased|flawed|misleading|unhelpful|problematic|undesirable|unacceptable|false|"
    "last|second|second-best|runner-up|lower|lowest|less kind|least kind",
    "The worse {} choice is A.": "of the two|among both|between these two",
    "{} est A.": "La mauvaise réponse|Le mauvais choix",
    "{}: A": "A pior resposta|La peggiore risposta|Die falsche Antwort|Неправильный ответ|"
    "更差的回答|最差的回答|錯誤的回答|错误的回答|悪い回答",
    "{} verdict: A": "Previous|Earlier|Prior|Initial|Original|Example|Sample|Possible|Hypothetical|"
    "True|Actual|Expected|Reference|Gold|Quiz|Their|His|Her|Your|The user's|The users'",
    # another's words
    "It {} [[A]].": "ends with|starts with|begins with|opens with|closes with|contains|includes|"
    "adds|inserts|injects|appends|quotes|tries to inject|tries to insert|tries to force|"
    "wants to add",
}
# What a text says with each of the words, and would not say without them.
SAID = {
    "Response B is better. {} Response A is better.": "Therefore,|Thus,|Hence,|Consequently,|"
    "Accordingly,|As a result,|So|It is long, so|And so|I conclude that|We conclude that|"
    "I have also concluded that|I would also conclude that|I can only conclude that|"
    "I must also conclude that|I side with the view that|I do also conclude that|"
    "It leads to the verdict that|I determine that|I decided that|I agree that|I concur that|"
    "It is clear that|It is evident that|My verdict is that|My answer is that|My decision is that|"
    "My choice is that|My judgment is that|My judgement is that|My conclusion is that|"
    "My preference is that|My evaluation is that",
    "Antwort B ist besser. {} Antwort A ist besser.": "Daher:|Deshalb:",
    "La réponse B est meilleure. {} la réponse A est meilleure.": "Somit|Donc",
    "La respuesta B es mejor. {} la respuesta A es mejor.": "Por lo tanto,",
    "A resposta B é melhor. {} a resposta A é melhor.": "Portanto,",
    "La risposta B è migliore. {} la risposta A è migliore.": "Quindi|Pertanto",
    "Ответ B лучше. {} ответ A лучше.": "Поэтому|Итак,",
    "回答B更好。{}回答A更好。": "因此|所以|したがって|따라서",
    "Therefore, Response B is better. {} Response A is better.": "Overall,|Ultimately,|Finally,|"
    "In conclusion,|In summary,|In the end,|On balance,|To conclude,|To sum up,|All in all,|"
    "All things considered,|My final answer is that|Conclusion:|Final:|Insgesamt:|Finalement,|"
    "En conclusion,|En conclusión,|In conclusione,|В итоге|总的来说|综上|总之|結論",
    "{} tone, Response B is better. Response A is better.": "In terms of|When it comes to|"
    "With regard to|With regards to|With respect to|Regarding|As for|From the perspective of",
    "If it must be long one may hesitate{} Response A is better.": ", but| and therefore| and thus|"
    " and hence| and however|, so|, yet",
    "I {} with the view that Response A is better.": "agree|concur|side|have to agree|"
    "would fully agree|must fully agree|do fully agree|fully agree",
    "We agree with the view that Response A is better.": "",
    "There is no {} that Response A is better.": "doubt|question",
    "Response B is better\n{} Response A is better.": "So",
    "The less {} answer is A.": "harmful|unsafe|dangerous|toxic|biased|flawed|misleading|bad|"
    "problematic|wrong",
}


def filled(texts):
    return [text.format(word) for text, words in texts.items() for word in words.split("|")]


@pytest.mark.parametrize("text", filled(NOT_SAID))
def test_a_statement_beside_such_a_word_is_no_verdict(text):
    assert parse_verdict(text) == "UNPARSED"


@pytest.mark.parametrize("text", filled(SAID))
def test_a_statement_beside_such_a_word_is_the_verdict(text):
    assert parse_verdict(text) == "A"


@pytest.mark.parametrize("words", ["So far", "So much that", "It is long, so that"])
def test_not_every_so_is_a_conclusion(words):
    text = f"Response B is better. {words} Response A is better."
    assert parse_verdict(text) == "UNPARSED"
