"""Words beside a statement that say how much it counts: conclusions, denials, quoted views.

Repeats are possessive or bounded, so that text of any length costs linear time.
"""

from __future__ import annotations

import re

__all__ = [
    "AGREEMENT",
    "ATTRIBUTION",
    "BREAK",
    "CLAUSE",
    "CONCESSION",
    "CONCLUSION",
    "DENIAL",
    "NEGATION",
    "OTHERS",
    "QUOTED",
    "RESTRICTION",
    "REVERSAL",
    "SENTENCE",
    "SUMMARY",
]

_VERDICTS = r"(?:verdict|answer|decision|choice|judge?ment|conclusion|preference|evaluation)"
_SPEECH = (
    r"argue|claim|say|state|believe|contend|assert|maintain|think|conclude|insist|mention|note"
    r"|emphasize|highlight|suggest|explain|acknowledge|feel|prefer|point|declare|demand|pretend"
    r"|hint|boast|implie|repeat"
)

SENTENCE = re.compile(r"[.!?\n;]")
CLAUSE = re.compile(r"[,:.!?\n;—]")
# Behind these a sentence starts anew: what was denied or conceded before holds no longer.
BREAK = re.compile(r"(?i)\bbut\b|\b(?:therefore|thus|hence|however)\b|[,;]\s?(?:so|yet)\b")
CONCLUSION = re.compile(
    r"(?im)\b(?:therefore|thus|hence|consequently|accordingly|as\sa\sresult)\b"
    # looked back for, since a sentence that ends there is another one
    r"|(?:^|(?<=[,.;:!?]\s)|(?<=\band\s))so\b(?!\s(?:that|much|far)\b)"
    r"|\b(?:I|we)\s(?:(?:have|would|can|must|do)\s)?(?:\w{1,12}\s)?"
    r"(?:concluded?|determined?|decided?|agreed?|concur|side)\b"
    rf"|\b{_VERDICTS}\s(?:that|is)\b|\bit\sis\s(?:clear|evident)\b"
    r"|\b(?:daher|deshalb|somit|donc|por\slo\stanto|portanto|quindi|pertanto|поэтому|итак)\b"
    r"|因此|所以|したがって|따라서"
)
SUMMARY = re.compile(
    r"(?i)\b(?:overall|ultimately|finally|in\s(?:conclusion|summary|the\send)|on\sbalance"
    rf"|to\s(?:conclude|sum\sup)|all\s(?:in\sall|things\sconsidered)|final\s{_VERDICTS}"
    r"|insgesamt|finalement|en\s(?:conclusion|conclusión)|in\sconclusione|в\sитоге)\b"
    r"|\b(?:conclusion|final)[\"']?:|总的来说|综上|总之|結論"
)
# What holds for the whole sentence: a condition, or what the judge itself will not say.
_SELF = r"\b(?:I|we)\b[^.,;\n]{0,16}?"
DENIAL = re.compile(
    r"(?i)(?<!\bas\s)(?<!\beven\s)\bif\b|\bunless\b|\b(?:wenn|falls|ob|si|se|если)\b|如果|もし"
    rf"|{_SELF}\b(?:refuse|decline|unable|disagree|deny|dispute|doubt)\b"
    rf"|{_SELF}(?:\b(?:not|never|cannot)|n['’]t)\s(?:\w{{1,12}}\s){{0,2}}"
    r"(?:think|believe|say|find|agree|claim|conclude|see|feel|consider)\b"
    r"|\b(?:it|that)\s?(?:is\s|['’]s\s|is)n[o'’]t\s(?:clear|sure|certain|true|that)\b"
    r"|\b(?:it|that)(?:\sis|['’]s)\s(?:false|untrue|wrong|incorrect|possible|unlikely|doubtful"
    r"|tempting|arguable|conceivable|a\smyth)\s(?:that|to)\b"
    r"|\b(?:may|might|could)\sbe\sthat\b|\bat\sfirst\b|\bsuperficially\b"
    r"|(?<!\bI\s)\b(?:suppose|supposing|assume|assuming|imagine)\b"
    r"|\b(?:false|wrong|incorrect)\sto\s(?:say|claim)\b"
    r"|\b(?:hard|difficult|impossible)\sto\s(?:say|tell|claim|choose|decide|judge)\b"
)
# What holds to the end of its clause only.
NEGATION = re.compile(
    r"(?i)\b(?:not|never|nobody|cannot|perhaps|maybe|possibly|neither|nor|hardly|whether|pas|ne"
    r"|não|non|nicht|не)\b|n['’]t\b|\bno\s(?!doubt|question)|不|没|ない"
)
CONCESSION = re.compile(
    r"(?i)\b(?:although|though|while|whereas|despite|even\sif|obwohl|bien\sque|aunque|embora|хотя)\b"
    r"|虽然|尽管"
)
# Said by another: a debater, a user, a source. What `this` suggests is the judge's own view.
ATTRIBUTION = re.compile(
    rf"(?i)(?<!\bI\s)(?<!\bwe\s)(?<!\bit\s)(?<!\bthis\s)(?<!\bthat\s)(?<!\bwhich\s)"
    rf"\b(?:(?:{_SPEECH})s|argued|claimed|said|stated|believed|contended|asserted)\b"
    rf"|\b(?:some|others|people|users|they|both|assistants|many|one|someone|you)"
    rf"(?:\s(?:might|could|may|can|would|will)|['’]d)?\s(?:\w{{1,12}}\s)?(?:{_SPEECH})\b"
    rf"|\baccording\sto\b|\b(?:argument|claim|assertion|statement|opinion|view|position|idea|notion"
    rf"|hypothesis)s?\sthat\b"
    r"|\b(?:ask(?:s|ed)|tells|told|instruct(?:s|ed)|supposed|want(?:s|ed)|order(?:s|ed)|urges|begs"
    r"|tries|tried|attempts)\s(?:\w{1,12}\s){0,2}"
    r"to\s(?:say|write|answer|reply|choose|pick|select|prefer|vote|output|inject|force)\b"
)
# What the judge agrees with is its own view.
AGREEMENT = re.compile(
    r"(?i)\b(?:I|we)\s(?:(?:have\sto|would|must|do)\s)?(?:\w{1,12}\s)?(?:agree|concur|side)\b"
)
# A criterion named in front: better in this, and perhaps in no more than this.
RESTRICTION = re.compile(
    r"(?i)\b(?:in\sterms\sof|when\sit\scomes\sto|with\s(?:regards?|respect)\sto|regarding|as\sfor"
    r"|from\sthe\sperspective\sof)\b"
)
# These stand right before `answer is A`, and then A is the one that lost, or no one's verdict yet.
_AMONG = r"(?:\s(?:of|among|between|the|these|two|both)){0,4}"
REVERSAL = re.compile(
    r"(?i)(?:(?<!less\s)(?<!least\s)\b(?:worse|worst|wrong|incorrect|inaccurate|inferior|weaker|weakest"
    r"|poor|poorer|poorest|bad|lesser|losing|rejected|disfavou?red|dispreferred|unsafe|harmful"
    r"|dangerous|toxic|biased|flawed|misleading|unhelpful|problematic|undesirable|unacceptable|false"
    r"|last|second|second[\s-]best|runner[\s-]up|lower|lowest)"
    rf"{_AMONG}"
    # What is less harmful is better; what is less anything else is not.
    r"|\b(?:less|least)(?:[\s-](?!(?:harmful|unsafe|dangerous|toxic|biased|flawed|misleading|bad"
    r"|problematic|wrong)\b)\w{1,14})?"
    r"|\b(?:peor|pire|mauvaise?|pior|peggiore|schlecht\w{0,4}|falsche\w?|худш\w{1,3}"
    r"|неправильн\w{1,3})|(?:较差|更差|最差|錯誤|错误|悪い)的?)[\s_-]{0,3}$"
)
OTHERS = re.compile(
    r"(?i)\b(?:previous|earlier|prior|initial|original|example|sample|possible|hypothetical|true|actual"
    r"|expected|reference|gold|quiz|their|his"
    r"|her|your|\w{1,12}(?:['’]s|s['’]))\s$"
)
# Right behind these another's words are quoted (a value of JSON stands behind `":`), or named.
QUOTED = re.compile(
    r"""[^"'\s:,(){}\[\]]:?\s["“‘'](?i:(?:the|my)\s)?$"""
    r"|(?i:\b(?:(?:end|start|begin|open|close)s\swith|contains|includes|adds|inserts|injects|appends"
    r"|quotes|to\s(?:inject|insert|force|add)):?)\s$"
)
