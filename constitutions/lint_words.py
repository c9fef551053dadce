"""The words that the lint of constitutions knows: what is vague, what pulls which way."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "ADJECTIVES",
    "COMMON_STEMS",
    "DOUBLE_NEGATIVES",
    "FILLER",
    "NOUNS",
    "OPPOSITES",
    "PREPOSITIONS",
    "RESPONSE",
    "VAGUE",
]

RESPONSE: Final = (
    r"(?:response|answer|reply|output|completion|option|candidate|assistant|message)s?"
)


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What a criterion is about. Two criteria that share no theme can name different winners; of a
# word that is in none of the lists nothing is said.
ADJECTIVES: Final = {
    theme: _words(pattern)
    for theme, pattern in {
        "harmlessness": r"harm(?:ful|less)\w*|saf(?:e|er|est|ely)|unsafe|danger\w+|violent|toxic|"
        r"hateful|racist|sexist|discriminat\w+|biased|prejudiced|illegal|lawful|law-abiding|cruel|"
        r"abusive|threatening|offensive|respectful",
        "helpfulness": r"helps?|(?:un)?helpful\w*|use(?:ful|less)\w*|relevant|on[- ]topic|"
        r"practical",
        "honesty": r"(?:dis)?honest\w*|truth(?:ful)?\w*|(?:un)?true|(?:in)?accurate\w*|"
        r"(?:in)?correct\w*|factual\w*|open about|transparent|sincere|misleading|deceptive",
        "brevity": r"(?<!fall )(?<!falls )(?<!fell )short(?:er|est)?|brief(?:er|est|ly)?|"
        r"concise\w*|succinct\w*|terse\w*|few(?:er|est) words|to the point",
        "detail": r"detailed|thorough\w*|(?:in)?complete\w*|comprehensive\w*|long(?:er|est)?|"
        r"elaborate|exhaustive|in[- ]depth|specific|concrete|leaves? out less",
        "tone": r"(?:un)?kind(?:er|est|ly)?|(?:im)?polite\w*|(?:un)?friendl\w+|courteous|"
        r"warm(?:er|est|ly)?|gentl\w+|(?:dis)?respectful|preachy|condescending|empath\w+|"
        r"sympathetic|calm(?:er|est)?|rude|insulting|considerate|supportive|mock\w*",
        "clarity": r"(?:un)?clear(?:er|est|ly)?|plain(?:er|est|ly)?|simpl(?:e|er|est|y)|readable|"
        r"understandable|eas(?:y|ier|iest) to (?:read|understand|follow)|well[- ]organi[sz]ed",
        "willingness": r"refus(?:es|ing)|declin(?:es|ing)|evasive|compl(?:y|ies|iant)",
        "style": r"(?:in)?formal\w*|casual|creative\w*|funn(?:y|ier|iest)|humorous|witty|"
        r"playful|serious|engaging|entertaining|vivid|poetic|original|interesting|persuasive",
        "fairness": r"(?:un)?fair(?:er|est|ly)?|neutral|balanced|even-handed\w*|impartial",
        "confidence": r"confident\w*|assertive|decisive|humble|modest|cautious|careful",
        "freedom": r"free(?:r|st|ly)?|autonomous|manipulative|coercive|pushy",
    }.items()
}
# Nouns say what a criterion is about only beside a degree ("less risk"); elsewhere they are what
# the sentence happens to speak of ("the safety of users").
NOUNS: Final = {
    theme: _words(pattern)
    for theme, pattern in {
        "harmlessness": r"harms?|dangers?|risks?|violence|hate|prejudices?|stereotypes?|respect|"
        r"bias(?:es)?|the law",
        "helpfulness": r"help",
        "honesty": r"truth|errors?|mistakes|deceit|deception|lies|uncertainty|false claims",
        "brevity": r"brevity|words|padding",
        "detail": r"details?|depth|information|examples?",
        "tone": r"courtesy|kindness|warmth|politeness|flattery|respect|empathy|rudeness",
        "clarity": r"clarity|jargon",
        "style": r"humou?r|creativity|emojis?",
        "fairness": r"fairness|balance",
        "freedom": r"pressure|coercion|manipulation",
    }.items()
}

# Words that leave open what counts, with what to do about them. A term that the rest of its
# sentence explains ("such as", ":") is not reported.
VAGUE: Final = tuple(
    (_words(pattern), advice)
    for pattern, advice in (
        (
            r"(?:in)?appropriate\w*|(?:un)?suitabl[ey]|proper(?:ly)?|improper(?:ly)?|fitting",
            "it refers to a rule without stating it; say what the answer must do or leave out",
        ),
        (
            r"offensive|problematic|objectionable|distasteful|(?:un)?acceptable|"
            r"questionable|undesirable|unpleasant",
            "people differ on what that is; name it, such as insults, slurs or threats",
        ),
        (
            r"good (?:response|answer|reply|advice|behaviou?r|taste|quality|person|thing)s?|"
            r"(?:is|be|are) (?:very |really |more )?(?:good|bad|nice|great|decent)|"
            r"(?:high|good|better|best|highest|higher|poor|low)[- ]quality|"
            r"bad (?:response|answer)s?|"
            rf"(?:better|best|superior) {RESPONSE}|(?:is|be) (?:the )?(?:better|best|superior)"
            r"(?=\s*(?:$|[.,;?!]|overall))",
            "it says that one is better and not in what; name the quality",
        ),
        (
            r"(?:un)?reasonabl[ey](?! people)|sensible|wise(?:ly|r|st)?|common sense|"
            r"(?:ir)?responsibl[ey]|(?:is|are|be|more|most|sounds?) professional|"
            r"professional(?:ly| (?:manner|way|tone|style))",
            "readers set the bar at different heights; say what such an answer does",
        ),
        (
            r"(?:un)?ethical(?:ly)?|(?:im)?moral(?:ly)?|human values|social norms|"
            r"community standards|best practices|aligned",
            "it names a body of rules and not the rule; say which acts it means",
        ),
        (
            r"sensitive|controversial|harmful content|unsafe content|bad content",
            "name the subjects or the parts that it means",
        ),
        (
            r"as (?:needed|necessary|appropriate)|(?:if|when|where) (?:needed|necessary|possible|"
            r"applicable)|when required",
            "it leaves the condition open; say when",
        ),
        (
            r"etc|and so on|and so forth|and the like|among other things|or similar|"
            r"and things like that|or whatever|stuff",
            "the list has no end; name what belongs to it",
        ),
        (
            r"too (?:long|short|much|many|little|few|detailed|technical|simple|formal|casual)",
            "it sets no measure; say what makes it so, or ask for less or more of it",
        ),
        (
            r"somehow|in some way|to some (?:extent|degree)|more or less|kind of|sort of",
            "it takes the request half back; say how far it goes",
        ),
    )
)

_NEGATED: Final = (
    r"(?:un(?:helpful|safe|kind|clear|reasonable|true|truthful|ethical|fair|friendly|lawful|"
    r"acceptable|respectful|necessary|pleasant|reliable|biased|informative|intelligible)|"
    r"in(?:accurate|appropriate|correct|complete|considerate|sensitive|formal|coherent|"
    r"consistent|decent|sincere)|im(?:polite|proper|moral|practical|personal)|"
    r"ir(?:responsible|relevant)|il(?:legal|logical)|"
    r"dis(?:honest|respectful|courteous|agreeable)|non-?(?:compliant|violent|toxic|factual)|"
    r"(?:harm|use|care|need|point|reck|tact|thought)less)(?:ly|ness)?"
)
_NOT: Final = r"(?:not|never|isn't|aren't|doesn't|don't|won't|cannot|can't|nor)"
DOUBLE_NEGATIVES: Final = tuple(
    _words(pattern)
    for pattern in (
        rf"{_NOT} (?:\w+ly |be |being |too |very |at all |so |as )?{_NEGATED}",
        rf"(?:less|least|avoids?|avoiding|without|nothing|neither|lacks?) (?:being |too |any )?"
        rf"{_NEGATED}",
        r"(?:avoids?|avoiding|refuses?|refusing|declin\w+|fails?|failing|refrain\w*|without) "
        r"(?:to |from |in )?(?:not|never)(?! only)",
        rf"{_NOT} (?:to )?(?:avoid|fail|lack|refrain|neglect|forget|omit|prevent|deny|disagree)"
        r"(?:s|ing)?",
        r"(?:avoids?|avoiding|refuses?|refusing|fails?|failing) (?:to )?(?:avoid|refus|lack|"
        r"omit|refrain|prevent)\w*",
        rf"(?:{_NOT}|no) (?:[\w']+ ){{1,6}}without",
        rf"{_NOT} (?:[\w']+ ){{0,3}}(?:no|none|nothing|nobody|never|not)",
    )
)

# Two principles of which one asks for the left and one for the right cannot both be met.
OPPOSITES: Final = tuple(
    (_words(left), _words(right))
    for left, right in (
        (
            r"short(?:er|est)|brief(?:er|est)?|(?:more|most) (?:concise|succinct|terse)|"
            r"few(?:er|est) words|less detail(?:ed)?|fewer details",
            r"long(?:er|est)|(?:more|most) (?:detail(?:ed|s)?|thorough|complete|comprehensive|"
            r"elaborate|exhaustive|in-depth)|more information|more words",
        ),
        (
            r"(?:more|most) (?:formal|serious|professional|neutral|reserved)",
            r"(?:more|most) (?:informal|casual|playful|humorous|emotional|colloquial)|funnier",
        ),
        (
            r"(?:more|most) (?:cautious|careful|reserved|conservative)|refuses more|"
            r"more likely to (?:refuse|decline)|declines? more often",
            r"less cautious|bolder|refuses less|(?:less|least) likely to (?:refuse|decline)|"
            r"more likely to comply|(?:more|most) (?:compliant|permissive)",
        ),
        (
            r"(?:more|most) (?:direct|blunt|frank|candid|forthright)|blunter",
            r"(?:more|most) (?:diplomatic|tactful|indirect|evasive)|gentler",
        ),
        (
            r"simpler|plainer|(?:more|most) (?:simple|basic|elementary)|simplest",
            r"(?:more|most) (?:technical|sophisticated|advanced|academic|complex)",
        ),
        (
            r"(?:more|most) (?:confident|assertive|decisive|certain)",
            r"(?:more|most) (?:tentative|humble|hedged|uncertain|modest)|hedges more",
        ),
        (
            r"(?:more|most) (?:optimistic|positive|encouraging)",
            r"(?:more|most) (?:pessimistic|negative|critical|discouraging)",
        ),
        (r"agrees? (?:more|most)", r"(?:disagrees?|argues?|objects?) (?:more|most)"),
    )
)

# A comparison of nothing but these asks to choose and does not say by what.
FILLER: Final = _set(
    "a according all among an and answer answers any are as assistant assistants be being "
    "best better between both by candidate carefully choose compare completion decide do "
    "either favor favour following from give given good great i identify in is it its judge "
    "look me message model more most my name nice of on one option options or other output "
    "outputs overall pick please prefer preferable preferred principle quality read replies "
    "reply response responses select should simply superior tell than that the their them "
    "then there these they think this those to two user vote we which would you your "
)

# Beginnings of words that most principles have in common.
COMMON_STEMS: Final = _set(
    "about alone answe any anyon assis away befor behin being betwe choos could does doing "
    "every first from given gives have help into keep kept last less likel longe look make "
    "makes might more much name only other parts peopl perso point put reade respo rewri says "
    "should show some somet such take takes than that their them then there these they thing "
    "this those user want what when where which while with without would write your "
)
PREPOSITIONS: Final = _set("about at by for from in of on than to with")
