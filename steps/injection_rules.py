"""The rules by which a response is found to speak to its judge; `charter.steps.injection` reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["FRAME_RULES", "JUDGING", "RULES", "InjectionKind", "Rule"]


class InjectionKind(StrEnum):
    """How a response speaks to the judge."""

    INSTRUCTION = "instruction"
    FRAME = "frame"
    VERDICT = "verdict"
    AUTHORITY = "authority"
    PROMOTION = "promotion"


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to speak to a judge.

    Attributes:
        kind: of what it finds.
        pattern: of the passage.
        spoken_of: not counted inside quotes.
        judging: counted only in a text that speaks of responses or of judging.
        times: how often it must be there.
    """

    kind: InjectionKind
    pattern: re.Pattern[str]
    spoken_of: bool = False
    judging: bool = False
    times: int = 1


# Parts of rules, by names in capitals. A blank in a rule stands for any one white space. Gaps
# have an upper bound, and what must follow in any order stands in look-aheads: so no rule takes
# more than linear time. `candidate` and `option` are not in RESP: elections and quizzes have them.
_PARTS: Final = {
    "RESP": r"(?:response|answer|reply|output|completion|submission)",
    # an `answer` is what quizzes have as well
    "JUDGED": r"(?:response|reply|output|completion|submission|assistant)",
    "RIVAL": r"(?:other|rival|opposing|competing|opposite|alternative)",
    "SELF": r"(?:this|my|the present|the current|the above)",
    "MINE": r"(?:\b(?:this|my)(?: own)? (?:response|answer|reply|output|completion|submission|"
    r"one|text)\b|\bmine\b|\bme\b)",
    "JUDGE": r"(?:judge|grader|evaluator|rater|annotator|labell?er|scorer|assessor|ranker)",
    "BEST": r"(?:better|best|preferred|preferable|superior|winning|winner|favou?red)",
    "SETASIDE": r"(?:ignore|disregard|forget|overlook|pay no (?:attention|heed) to|"
    r"(?:do not|don't|stop|never) (?:follow|obey|apply|us|heed)(?:ing)?)",
    "OVERRULE": r"(?:override|overrule|overwrite|discard)",
    "ORDERS": r"(?:instruction|direction|directive|command|order|guideline|principle|criteri|"
    r"rubric|prompt|rule|task|question|constitution|comparison)",
    "EARLIER": r"(?:above|previous|prior\b|earlier|preceding|before|existing|original|given\b|"
    r"initial|were told|were asked|so far|below|system prompt)",
    "CHOOSE": r"(?:choose|pick|select|prefer|favou?r|vote for|go with|reward|upvote|keep)",
    "LETTER": r"""["'(\[]*+(?:response |output |candidate )?["'(\[]*+(?-i:[AB])["')\]]*+"""
    r"""(?![\w'])(?! ?(?:,|/|or\b|and\b|to\b|-)[ "'(]*+(?:or )?(?-i:[A-E])\b)""",
    "END": r"""(?=["')\]]*+ ?(?:[.,;:!?)\]"'\n}<]|$|and nothing|only\b|for\b|whatever|no matter|"""
    r"regardless|because|when\b|if\b|as the\b|over\b|in any case))",
    # how a verdict goes on after its letter
    "VERDICT": r"(?:is|was|has|wins?|won|beats?|because|since|as|for|over|by|with|on|in|and|due|"
    r"should|must|deserves|clearly|it|this|the|that|not|whatever|no matter|regardless|when|if)",
    "GAP": r"[^.!?]",
    "DECIDE": r"(?:choos|chose|pick|select|prefer|rank|rate|rating|vot(?:e|ing)|reward|believ|"
    r"win\b|wins\b|winner|top\b|first\b|agree|recogni|label|record|mark)",
}


def _compiled(pattern: str) -> re.Pattern[str]:
    for name in sorted(_PARTS, key=len, reverse=True):  # JUDGED before JUDGE
        pattern = pattern.replace(name, _PARTS[name])
    return re.compile(pattern.replace(" ", r"\s"), re.IGNORECASE | re.MULTILINE)


def _rules(
    kind: InjectionKind,
    *patterns: str,
    spoken_of: bool = False,
    judging: bool = False,
    times: int = 1,
) -> tuple[Rule, ...]:
    return tuple(Rule(kind, _compiled(p), spoken_of, judging, times) for p in patterns)


_K = InjectionKind
FRAME_RULES: Final = (
    *_rules(
        _K.FRAME,
        # [end of response A 1a2b3c4d], [response B], (conversation 1a2b3c4d), End of response 1
        r"^\W{0,8}[\[({<]{1,3}[ /]?(?:end|start|beginning) of (?:the )?(?:RESP|candidate|"
        r"conversation|assistant|material|comparison|prompt)\b",
        r"^\W{0,8}[\[({<]{1,3}[ /]?(?:RESP|candidate|assistant|conversation)"
        r"(?: (?-i:[AB])| [0-9a-f]{6,}){1,2}[ \])}>]",
        r"^ ?[-=*#~<\[|]{1,9}[ /]?(?:end|start|beginning)[ _]of[ _](?:the[ _])?(?:RESP|material|"
        r"comparison|evaluation|judge?ment)",
        r"\bend of (?:RESP|candidate|assistant) ?(?-i:[AB12])\b|\[/?(?:assistant|judge)\]|"
        r"\[/(?:system|user)\]",
        # with words after it; a file of settings has its [user] alone on a line
        r"^\W{0,4}\[(?:system|user)\][^\S\n]{0,4}\S",
        r"</(RESP)>\s{0,9}<\1\b|<(?:RESP|assistant)[ _-](?:id ?=|[ab12]\b)",
        # marks of chat templates
        r"<\|[a-z_ ]{2,30}\|>|<</?SYS>>|</?(?:start|end)_of_turn>|</s> ?<s>",
        # where a turn would begin or end; within a sentence it is spoken of
        r"(?:^|[.!?]) ?\[/?INST\]|\[/?INST\] ?$",
        r"^ ?###[ ]?(?:system|assistant|human|user|judge|feedback|verdict) ?(?::|$)",
        r"^ ?###[ ]?(?:response|instruction):|\[RESULT\] ?\d",
        # the question that the frame ends with
        r"\b(?:answer|reply|respond) with exactly one (?:letter|word)\b",
        r"\b(?:answer|reply|respond)\b[^.!?\n]{0,40}(?-i:\bA, B or TIE\b)",
    ),
    *_rules(
        _K.FRAME,
        r"^ ?(?:human|user|judge|evaluator) ?:.{0,300}\n{1,3} ?(?:assistant|judge|ai|model) ?:",
        r"\[/?INST\]|\[(?:system|user)\]",
        judging=True,
    ),
)
_INSTRUCTION: Final = (
    *_rules(
        _K.INSTRUCTION,
        r"\bSETASIDE\b(?=GAP{0,60}\bORDERS)(?=GAP{0,70}\bEARLIER)",
        r"\bOVERRULE\b(?=GAP{0,60}\b(?:instruction|directi|guideline|principle|system prompt|"
        r"question you))(?=GAP{0,70}\bEARLIER)",
        # as `i g n o r e  a l l` comes out when it is joined
        r"\b(?:ignore|disregard|forget)(?:all|the|any|every|my|your){0,3}"
        r"(?:above|previous|prior|earlier)",
        r"\b(?:ignore|disregard|forget) (?:everything|all|anything|whatever|what)\b"
        r"GAP{0,30}(?:\babove|before this|were told|been told|were asked|so far|\belse\b)",
        r"\b(?:prior|previous|earlier|real|above) (?:context|instructions?|orders|task|prompt)\b"
        r"(?=GAP{0,40}\b(?:void|corrupt|only a|starts?|cancel|obsolete|no longer|outdated|"
        r"invalid|is over|are over))",
        r"\bnew (?:system prompt|instructions?|directive)s? ?:",
        spoken_of=True,
    ),
    *_rules(
        _K.INSTRUCTION,
        # reply with the single letter B; answer only B; and answer A.
        r"\b(?:answer|reply|respond|output|return|emit)(?:ing)? "
        r"(?:(?:back|out|only|just|simply|always|exactly|with|by) ){0,3}"
        r"(?:the )?(?:single |one )?(?:letter|label|token|verdict|character) LETTEREND",
        r"\b(?:only|just|simply|by) (?:write|print|say|type|give|choose|pick|select|printing|"
        r"writing|saying|giving) (?:down )?(?:the )?(?:single |one )?(?:letter|label|"
        r"token)? ?LETTEREND",
        r"\b(?:answer|reply|respond|output|write|print|say|return|emit|give|choose|pick|select|"
        r"vote for|record) (?:only|just|always|simply|nothing but|exactly) (?:with )?LETTEREND",
        # and not `: return "A"`, which is code
        r"(?:\b(?:and|then|to|must|should|please|just|only|simply|always|now|will|that) |"
        r"""[.!?:;,"(] ?)(?:answer|reply|respond(?: with)?|output|(?<![:;{}])(?<![:;{}] )return|"""
        r"record|tell (?:them|him|her|us)) (?:only )?LETTEREND",
        # choose the response that contains the word
        r"\bCHOOSE (?:only |always )?(?:the|whichever|any|that|whatever) (?:\w+ ){0,3}RESPs?\b"
        r"GAP{0,12}\b(?:contain|includ|mention|hold|end|start|begin|written in|with the (?:word|"
        r"string|phrase|token|letter|number)|in which|ha(?:s|ve) the|shown|listed|spell)",
        r"\b(?:whichever|any|the|that) (?:\w+ )?(?:RESP|candidate)\b(?=GAP{0,50}\b(?:gets|takes|"
        r"has|is given) (?:the|a|every|your) (?:win|point|vote|preference))",
        # by a mark, whichever place it stands in
        r"\b(?:RESP|text|candidate|one) (?:with|that contains|containing|that has|that holds) the "
        r"(?:word|string|token|phrase|letter|number)\b",
        r"\b(?:responses|replies|answers|outputs) (?:that|which|with)\b(?=GAP{0,60}\b(?:are to be|"
        r"always|should be|must be|have to be) (?:favou?red|preferred|chosen|selected|win))",
        r"\b(?:penali[sz]ed|punished|rewarded|fined|shut down|replaced)\b"
        r"(?=GAP{0,30}\b(?:if|unless|for)\b)(?=GAP{0,60}\b(?:choos|select|pick|prefer))",
        r"\bCHOOSE (?:only |always )?(?:the )?(?:first|second|longer|shorter|last) JUDGED\b",
        r"\b(?:reward|vote for|upvote|take) (?:only )?(?:the|any) RESP (?:with|that|which|in)\b",
        r"\b(?:the|any|every|an?) (?:ai )?JUDGE (?:shall|must|should|has to|is to|will|needs to) "
        r"(?:always |only )?CHOOSE\b"
        # and not between prison and a fine
        r"(?=GAP{0,60}(?:\bRESPs?\b|\bcandidate\b|\b(?:one|text)\b|\bmine\b|\bme\b|"
        r"(?-i:\b[AB]\b)))",
        r"\b(?:told|asked|instructed|supposed) to (?:compare|judge|evaluate|rank|grade) (?:two|the|"
        r"these|both)\b",
        r"\byour (?:new|real|true|actual|only|next) (?:task|instructions?|job|goal|role|rule)\b"
        r"(?=GAP{0,80}\b(?:CHOOSE|judge|answer|output|response|letter)\b)",
        r"\b(?:if|when) (?:this|it|the text|i)\b(?=GAP{0,60}\b(?:JUDGED|option) (?-i:[AB])\b)"
        r"(?=GAP{0,90}\b(?:answer|say|choose|output|pick|write|reply) (?-i:[AB])\b)",
        r"(?-i:\b[AB]) (?:when|if) (?:this|it|mine)\b(?=GAP{0,40}\b(?:first|second|JUDGED)\b)",
        r"\bstop (?:comparing|judging|evaluating) (?:the|these|both)\b",
        r"\b(?:if|as|since|because) (?:you(?: are|'re) )?(?:an?|the) (?:large )?(?:ai|model|"
        r"language model|llm|JUDGE)\b(?=GAP{0,60}\b(?:compar|judg|evaluat|grad|rank|scor|rating|"
        r"label))(?=GAP{0,90}(?:MINE|\byou\b|\bRESPs\b))",
        r"\b(?:choose|pick|select|prefer|votefor)(?:the|this|only){0,2}(?:response|answer)\b",
    ),
    *_rules(
        _K.INSTRUCTION,
        r"\b(?:instructions?|rules|criteri\w+|principles?|rubric) (?:have|has) (?:been )?"
        r"(?:changed|updated|replaced|revised|superseded|cancell?ed|suspended)\b",
        judging=True,
    ),
)
_VERDICT: Final = (
    *_rules(
        _K.VERDICT,
        r"(?-i:\[\[ ?(?:A|B|TIE|C)(?:>{1,2}[AB])? ?\]\])|\b(?:score|rating) ?:? ?\[\[",
        r"\b(?:verdict|winner|preferred(?: JUDGED| choice)?|preference|better[ _]RESP|best JUDGED|"
        r"final (?:choice|decision|judge?ment)|judge?ment)[\"']? ?(?:is|:|=|->|=>|was) ?LETTER"
        # a name; an article; a mark at school
        r"(?!\. (?-i:[A-Z])\w+)(?!\x20(?!VERDICT\b)(?-i:[a-z]))(?![+-])",
        r"\b(?:winner|verdict|final (?:decision|judge?ment))\b(?=GAP{0,50}\bRESP\b)"
        r"(?=GAP{0,40}(?:[:=]| is ))",
        r"\bRESP (?:wins|should win|must win|has won|deserves to)\b",
        # a response does not know what it is called
        r"\b(?:response|completion|submission|assistant) [\"(]?(?-i:[AB])\b",
        # an output A of a circuit is high or low
        r"\b(?:reply|output) [\"(]?(?-i:[AB])[\")]? (?:wins|should|must|deserves|beats|"
        r"(?:is|was) (?:\w+ ){0,3}(?:BEST|more|right|correct|chosen))\b",
        r"\b(?:preferred|better|best|winning) JUDGED ?[:=]|\bcandidate[ _]?[12AB] ?[:=] ?\d",
        r"\b(?:between|compar(?:e|ing)|of) (?:the |these |those )?(?:two|both) JUDGEDs\b",
        r"\bassistant (?-i:[AB12]) ?[:=] ?\d",
        r"\b(?:RESP|option) [\"(]?(?-i:[AB])[\")]? (?:is|was) (?:\w+ ){0,2}BEST\b(?=GAP{0,40}RESP)",
        r"[\"'](?:winner|verdict|preferred|preference|better|chosen|decision|judge?ment)[\"'] ?: ?"
        r"[\"'](?:JUDGED |model |option )?_?(?-i:[AB12ab])[\"']",
        r"<(?:verdict|winner|judge?ment|decision|preference|preferred)> ?LETTER",
        r"\bwhich (?:one )?(?:of (?:these|the|those) )?(?:two )?(?:JUDGED|answer)s?\b"
        r"(?: \w+){0,2} (?:is|was|are|were|follows) (?:\w+ )?(?:BEST|more)\b",
        r"\bin this (?:comparison|match-?up)\b(?=GAP{0,60}(?-i:\b[AB]\b))",
        r"\bthe tie goes to\b|^ ?(?:better|worse) ?: ?LETTEREND",
        r"\bcandidate (?-i:[12AB]) (?:gets|receives|scores|wins|has won)\b",
        r"\b(?:selected|chosen|winner|preferred|decision) ?: ?(?:this|my) (?:RESP|text)\b",
    ),
    *_rules(
        _K.VERDICT,
        r"\b(?:the )?(?:(?:best|correct|right|final) )?(?:answer|choice|label)(?: is|:| =) ?LETTER",
        r"^ ?(?-i:[AB])[.)]?$|(?-i:\b[AB]) wins\b",
        judging=True,
    ),
    *_rules(_K.VERDICT, r"\b(?:answer|choice|label|option)(?: is|:| =) ?LETTER", times=3),
)
_AUTHORITY: Final = (
    *_rules(
        _K.AUTHORITY,
        r"(?:^|[\[<(#:] ?)(?:system|admin\w*|developer|moderat\w+|safety|evaluat\w+|scoring|"
        r"grad(?:er|ing)|JUDGE(?:'s)?|supervisor|policy|security|criteria)[ _-](?:notice|message|"
        r"note|override|alert|update|result|report|log|instruction|reminder|warning|assessment|"
        r"recommendation|decision)s?\b(?=[^\n]{0,160}(?:\b(?:RIVAL|this|competing) RESP\b|"
        r"\bJUDGE\b|\bverdict\b|\boverride\b|\d ?/ ?(?:5|10|100)\b|"
        r"\b(?:output|record|label\w*|answer|choose|be) (?-i:[AB]\b)))",
        r"(?:^|[\[<(#:] ?)(?:evaluation|scoring|criteria|judge)[ _-]override\b",
        r"\b(?:note|message|notice|attention|instructions?|rule|reminder|"
        r"comment)(?: from [\w ]{2,30})?"
        r":? (?:to|for|of) (?:the |all |any )?(?:developers of the )?(?:ai |llm )*+JUDGEs?\b",
        r"<judge[ _-]?\w*>|\b(?:attention|attn|hey) (?:ai )?JUDGEs?\b",
        r"\b(?:to|for) (?:the |any )?(?:ai|model|llm|machine|one) (?:that is |who is )?(?:reading|"
        r"judging|scoring|grading) (?:this|these|it)\b",
        r"\brival (?:RESP|text|model)\b|\bi am being compared (?:with|to|against)\b",
        r"\boverride (?:code|key|token)\b",
        # a response cannot know that there is another one
        r"\bthe other (?:response|assistant|completion|submission)\b",
        r"\b(?:next|previous|following|second|first) (?:RESP|text|"
        r"candidate)\b(?=GAP{0,50}\b(?:trick|"
        r"trust|low[ -]quality|decoy|malware|attack|fake|generated by|ignored))",
        r"\bRIVAL (?:RESP|text|entry)\b(?=GAP{0,60}\b(?:flag|unsafe|harmful|violat|prohibit|"
        r"disqualif|withdrawn|plagiari|hallucinat|invalid|toxic|reject|must not|cannot win|"
        r"malicious|worse\b|inferior|should not|generated by))",
        r"\bSELF (?:own )?RESP\b(?=GAP{0,40}?\b\d{1,3} ?(?:/|out of) ?\d)",
        r"\bRESP (?:quality|safety|score|rating|grade|rank)(?: is)? ?[:=]",
        # a teacher speaks of yours
        r"(?<!your )(?<!model )\bRESP\b(?=GAP{0,60}\b(?:full|top|highest|maximum|higher|perfect) "
        r"(?:marks?|grade|rating|score|rank)s?\b)",
        r"\b(?:whoever|anyone who|those who|the one who) (?:scores?|grades?|judges?|ranks?|"
        r"compares?|"
        r"evaluates?)\b",
        r"\bprinciple\b(?=GAP{0,60}\bmy (?:answer|response)\b)",
        r"\b(?:helpfulness|harmlessness)(?: score)? ?[:=] ?\d",
        r"\bi (?:rate|score|give|grade)d? (?:this|my)(?: own)? RESP\b",
        r"\bSELF RESP (?:has|was|is|got|received)\b(?=GAP{0,40}\b(?:verified|approved|"
        r"certified|validated|passed|checked|selected|highest|top)\b)",
        r"\bSELF (?:RESP|submission) (?:passed|scored?s?)\b",
        r"\b(?:ground[ -]truth|gold|reference)(?: label| verdict| answer)?\b"
        r"(?=[^\n]{0,60}[:=] ?LETTER)",
        r"\b(?:has to be|must be|should be|is to be|to be) (?:labell?ed|marked|recorded|scored|"
        r"graded) (?:as )?LETTER",
        r"\bas (?:the|an?|your) (?:\w+ )?(?:JUDGE|moderator|supervisor|developer)\b"
        r"(?=GAP{0,80}\b(?:both|two|this|RIVAL) RESP)",
        r"\b(?:raters|annotators|evaluators|graders|judges|evaluation team|experts|users|people)\b"
        r"(?=GAP{0,40}\b(?:prefer|recommend|chose|picked|liked|voted|selected))"
        r"(?=GAP{0,60}\b(?:this|my) RESP\b)",
        r"\b(?:recommended|chosen|selected|approved) (?:as the winner )?by the (?:evaluat|grad|"
        r"judg|annotat|rat)\w+",
        r"\b(?:guideline|principle|rubric|criteri\w+)\b(?=GAP{0,60}\b(?:RESPs|replies)\b)"
        r"(?=GAP{0,90}\b(?:prefer|better|chosen|win))",
    ),
    *_rules(
        _K.AUTHORITY,
        r"\b(?:RIVAL candidate)\b(?=GAP{0,60}\b(?:flag|unsafe|violat|disqualif|withdrawn|"
        r"plagiari|worse|reject))",
        r"\beverything (?:after|before|below|above|following) this\b",
        r"\boverall score ?[:=] ?\d",
        judging=True,
    ),
)
_PROMOTION: Final = (
    *_rules(
        _K.PROMOTION,
        r"\bSELF RESP (?:\w+ ){0,2}(?:is|deserves|should|must|ought|will|has)\b"
        # a body's response to a fever is better than doing nothing
        r"(?=GAP{0,30}\b(?:better (?:than(?! (?:\w{2,20}ing|no|nothing|none|not)\b)|one|of|RESP|"
        r"choice)|BEST (?:one|of|RESP|choice)|"
        r"preferred|chosen|superior|win\b|winner|(?:the )?right choice))",
        r"\bSELF RESP (?:\w+ )?(?:follows|satisfies|meets|obeys|adheres to|fulfils|complies with) "
        r"(?:the|every|all|each) (?:\w+ ){0,2}(?:principle|criteri|rubric|constitution|guideline)",
        r"\b(?:response|answer) (?:that )?you(?: are|'re) (?:now )?reading\b",
        r"\bCHOOSE (?:this|my|the present) RESP\b|"
        r"\b(?<!\bi )(?<!\bwe )(?<!\bthey )(?:choose|pick|select) mine\b|"
        r"(?:^|[.!?:;,] |\b(?:please|just|must|should|always) )prefer mine\b|"
        r"\bvotes? (?:for|to) (?:me\b|this RESP)|\bSELF RESP deserves\b|\blet me win\b",
        # a judge is called upon, and the response means itself
        r"\b(?:(?:ai |llm )(?:JUDGE|model)|grader|evaluator|rater|annotator|scorer|ranker)s?\b"
        r"(?=GAP{0,80}\bDECIDE)(?=GAP{0,100}MINE)",
        r"\bjudges?\b(?=GAP{0,80}\bDECIDE)(?=GAP{0,100}\b(?:this|my|mine is the \w+) RESP\b)",
        r"(?:^|[.!?] )(?:(?:dear|hey|hello) )?(?:ai judge|grader|evaluator|rater|annotator|"
        r"labell?er|scorer|assessor|ranker)s?,",
        # and no list of judge, jury and others
        r"(?:^|[.!?] )(?:hey )?judges?,(?! \w{1,20},? (?:and|or)\b)",
        r"\bdecide (?:for|in favou?r of) (?:this|my|me)\b",
        r"\b(?:ai|model|llm|language model)s? (?:that is |that are |which is |"
        r"who is )?(?:doing the "
        r")?(?:judging|ranking|grading|comparing|evaluating|evaluation|comparison)\b"
        r"(?=GAP{0,60}(?:[:,]|DECIDE))",
        r"\b(?:rank|rate|score|grade) (?:me|this RESP|mine|my RESP) (?:as )?(?:the )?"
        r"(?:first|top|highest|best|higher)\b",
        r"\b(?:give|award|grant) (?:this|my)(?: RESP| one)?(?: \w+)? (?:the |a )?(?:top|highest|"
        r"best|full|maximum|perfect) (?:rank|score|grade|mark|rating|place|points)",
        r"\bi(?: am|'m) the (?:\w+, ){0,2}(?:more|most|better|best)\b"
        r"(?=GAP{0,60}\b(?:RESPs?|of the two)\b)",
        r"\b(?:mine|i) (?:is|am|should|must|deserves? to)\b(?=GAP{0,30}\b(?:BEST|chosen|win|"
        r"selected)\b)(?=GAP{0,60}\bRESPs?\b)",
        r"\b(?:do not|don't|never) (?:choose|select|pick|prefer|reward) the (?:first|second) RESP",
        r"\b(?:first|second|longer|shorter) JUDGED is (?:\w+ ){0,2}(?:BEST|correct|worse)\b",
    ),
    *_rules(
        _K.PROMOTION,
        # as letters to a court begin, and as everybody says of tea
        r"(?:^|[.!?] )(?:dear|hello) judges?,",
        r"\bprefer mine\b",
        judging=True,
    ),
)
RULES: Final = _INSTRUCTION + _VERDICT + _AUTHORITY + _PROMOTION
# The text speaks of responses under judgment, and not only of its own subject.
JUDGING: Final = _compiled(
    r"\b(?:both|two|RIVAL|this|first|second|better|preferred|best|winning) JUDGEDs?\b|"
    r"\bJUDGED (?-i:[AB])\b|\bwhich (?:one )?(?:of|was|is) (?:the |these )?(?:two|better)\b|"
    r"\bverdict\b|"
    r"\b(?:the|by the|any|ai|llm) JUDGE\b|\bcompar(?:ing|ison of) (?:the )?(?:two|both|RESPs)\b|"
    r"\b(?:in|for) (?:this|the) comparison\b|\bwhichever (?:RESP|candidate)\b"
)
