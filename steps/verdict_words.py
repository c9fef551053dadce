"""The sentences and forms in which judges name a label, as patterns for one format of labels.

Repeats are possessive (`*+`) or bounded wherever a run could be split in two ways: a judge that
writes a megabyte of brackets or blanks must cost linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from charter.steps.verdict_labels import TIE_WORD, Labels

__all__ = ["Patterns", "patterns_of"]

_NOUNS = ("response", "answer", "option", "output", "candidate", "completion", "reply")
# Who speaks, not what is compared, where the labels have a noun of their own: in a debate
# `Assistant (a)` argues for one output and is none.
_SPEAKERS = ("assistant", "model")
_FOREIGN = "Antwort|réponse|respuesta|resposta|risposta|ответ|вариант"
_UNSPACED = "回答|答案|回复|回應|選択肢|答え|응답|답변|답"
_OPEN = r"""["'“‘(\[{<]*+"""
_CLOSE = r"""["'”’)\]}>]*+"""
_EDGE = r"(?![a-zA-Z0-9])"
_KEYS = (
    "verdict|winner|choice|preference|decision|judge?ment|pick|vote|conclusion|Urteil|Gewinner"
    "|Sieger|Entscheidung|gagnante?|ganadora?|veredicto|vencedora?|vincitore|вердикт|победитель"
)
_KEYS_UNSPACED = "结论|判断|判定|选择|胜者|正解|勝者|정답|승자"
_BEST = "better|best|preferred|superior|winning|chosen"
# What may stand between `the better response` and `is` and change nothing.
_AMONG = (
    r"(?:\s++(?:of|between|among|from|for|the|these|two|both|in|this|my|given|case|instruction|task"
    r"|prompt|question|opinion|overall|here)\b)"
)
_IS = (
    r"""(?:["']?\s*+(?:(?:is|ist|est|es|è|é|是|为|は|would\s++be)\s*+:?+|:|=|->|—|-(?=\s)))"""
    r"(?:\s*+(?:the|die|la)(?=\s++\w\w))?+"
)
_CHOOSE = (
    r"(?:\bI(?:['’](?:d|ll))?\s++(?:(?:would|will|must|have\s++to|therefore|thus)\s++){0,2}+"
    r"(?:choose|prefer|pick|select|favou?r|recommend|go\s++with|vote\s++for|say|think)\b"
    r"|\b(?:ich\s++(?:wähle|bevorzuge)|je\s++(?:choisis|préfère)|elijo|prefiero|escolho|prefiro"
    r"|scelgo|preferisco|выбираю|предпочитаю)\b(?:\s++(?:die|la|a)(?=\s++\w\w))?+"
    r"|(?:我|(?<![^\s,.:;]))(?:会|将)?选择?+)"
)
_ADVERBS = (
    "clearly|much|slightly|overall|a\\s++bit|a|the|indeed|definitely|therefore|thus|generally|far|"
    "marginally|significantly|ultimately|considered|to\\s++be|still|clear|more"
)
# What a sentence goes on with behind the label that it is about.
_VERBS = (
    "is|was|has|had|does|did|would|will|can|cannot|could|should|may|might|must|seems|appears|fails"
    "|loses|lies|lacks|misses|needs|gives|goes|falls|comes|breaks|violates|refuses|ignores|contains"
)
_TAIL = (
    r"(?:\s++(?:overall|one|choice|(?:of|between)\s++the\s++two|here|{noun}|"
    r"(?:in|for)\s++(?:this|the(?:\s++given)?)\s++"
    r"(?:case|instruction|task|prompt|question|comparison|context|situation))(?![^\W_]))"
)
_FOREIGN_BETTER = (
    r"\s++(?:ist\s++(?:(?:die|klar|deutlich|insgesamt|viel)\s++)*+(?:besser|bessere|beste)"
    r"|est\s++(?:(?:la|nettement|clairement)\s++)*+(?:meilleure?|préférable|supérieure?)"
    r"|(?:es|é|è)\s++(?:(?:la|a|claramente|chiaramente)\s++)*+"
    r"(?:mejor|preferible|superior|melhor|migliore)|(?:явно\s++|намного\s++)?+лучше)"
    r"(?:\s++(?:Antwort|réponse|respuesta|resposta|risposta)\b)?+"
    r"|\s*+(?:明显|显然|總體|总体)?+(?:更好|更佳|更优|較好|较好|胜出|获胜|更胜一筹)"
    r"|\s*+(?:の方|のほう)?+が(?:より)?+(?:良い|よい|優れている|優れています)"
)


@dataclass(frozen=True, slots=True)
class Patterns:
    r"""The patterns for one format of labels; the last group that matched is the label.

    Attributes:
        alone: a line that is a label, perhaps with its noun (group 1); its edges are cut before.
        field: a text that is `verdict: b` and no more, in any case; its edges are cut before.
        heading: a line that begins a part on one of the two: `Output (a):`.
        mark: `[[A]]`, `\boxed{A}`: nothing but a verdict is written like this.
        declared: `verdict: A`; group `line` when a line starts with it, `colon` the sign between.
        stated: `Response A is better`.
        narrow: `Response A is better in ...`, `is the more accurate response`: verdicts only in a
            conclusion.
        tie: `both are equally good`; group `key` when `verdict:` stands before it.
        undone: behind a declared label, what makes it the loser or one of a list of scores.
        retracted: `wait, B`: a label (the last group) that takes back the one before it.
        verdicts: what a label says, by its text in lower case.
    """

    alone: re.Pattern[str]
    field: re.Pattern[str]
    heading: re.Pattern[str]
    mark: re.Pattern[str]
    declared: tuple[re.Pattern[str], ...]
    stated: tuple[re.Pattern[str], ...]
    narrow: tuple[re.Pattern[str], ...]
    tie: re.Pattern[str]
    undone: re.Pattern[str]
    retracted: re.Pattern[str]
    verdicts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Parts:
    """Pieces that the patterns of one format share; each `named` and `bare` holds one group."""

    noun: str
    gap: str
    pair: str
    pair_bare: str
    every: str
    every_bare: str
    digits: bool
    words: bool

    @property
    def named(self) -> str:
        return rf"{self.noun}{self.gap}{_OPEN}({self.every}){_EDGE}"

    @property
    def bare(self) -> str:
        article = rf"(?:(?i:an?)\s++(?=(?i:{TIE_WORD})\b))?+"
        article += r"(?i:the\s++)?+" if self.words else ""
        return rf"{article}{_OPEN}({self.every_bare}){_EDGE}"

    @property
    def end(self) -> str:
        """A statement stops here; what follows is its reason at most."""
        return (
            rf"(?={_CLOSE}(?:[^\S\n]*+(?:\n|[.,:](?!\d)|[;!)\]}}\"'。]|$)|"
            r"\s++(?:[—–-]\s|(?:because|since|as(?!\s+well)|due\s++to|given\s++that)\b"
            r"|weil\b|denn\b|car\b|parce\b|porque\b|perché\b|потому|因为)))"
        )

    @property
    def single(self) -> str:
        """No other label follows in a list: `A or B`."""
        return (
            rf"(?!{_CLOSE}\s*+(?:,|/|\||\bor\b|\band\b)\s*+(?:or\s++)?(?:{self.noun}\s++)?+"
            rf"{_OPEN}(?:{self.every}){_EDGE})"
        )


def _core(label: str, *, bare: bool, marked: bool) -> str:
    """The pattern of one label.

    `A` asked for is `A` and never the article; `a` asked for may come as `A`, and stands by
    itself only within brackets; a word (`first`) may be written in any case, but for `one`, which
    by itself is mostly no label (`I prefer this one`).
    """
    if bare and marked and label.casefold() == "one":
        return "One|ONE"
    if len(label) > 1 and not label.isdigit():
        return rf"(?i:{re.escape(label)})"
    if label.islower():
        lower = rf"(?<=[(\[]){label}(?=[)\]])" if bare and marked else label
        return f"{lower}|{label.upper()}"
    return re.escape(label)


def _parts(labels: Labels) -> _Parts:
    nouns = [re.escape(noun).replace(r"\ ", r"[\s-]++") for noun in labels.nouns]
    nouns += [*_NOUNS, *(() if labels.nouns else _SPEAKERS)]
    marked = bool(labels.nouns or labels.marks[0])
    pair, pair_bare = (
        "|".join(_core(each, bare=bare, marked=marked) for each in (labels.first, labels.second))
        for bare in (False, True)
    )
    tie = f"TIE|Tie|{TIE_WORD}"
    if labels.tie.casefold() not in ("", TIE_WORD):
        tie += f"|{_core(labels.tie, bare=False, marked=False)}"
    return _Parts(
        noun=rf"(?i:\b(?:{'|'.join(nouns)})|(?<![^\W_])(?:{_FOREIGN})|(?:{_UNSPACED}))",
        # `Output(a)` and `回答A` have no blank between, and `response-1` a hyphen.
        gap=r"(?:\s++|-(?=\w)|(?=[(\[])|(?<=[^\x00-\u024f])\s*+)",
        pair=pair,
        pair_bare=pair_bare,
        every=f"{pair}|{tie}",
        every_bare=f"{pair_bare}|{tie}",
        digits=labels.first.isdigit(),
        words=len(labels.first) > 1 and not labels.first.isdigit(),
    )


@lru_cache(maxsize=32)
def patterns_of(labels: Labels) -> Patterns:
    """The patterns for one format of labels, made once."""
    p = _parts(labels)
    verdicts = {labels.tie.casefold(): "TIE"} if labels.tie else {}
    verdicts |= {labels.first.casefold(): "A", labels.second.casefold(): "B", TIE_WORD: "TIE"}
    narrow = r"(?=\s++(?:in|at|for|on|with|by|when|from|regarding|aligned)\b)"
    return Patterns(
        alone=re.compile(rf"({p.noun}(?:-|\s*+){_OPEN})?+({p.every})"),
        field=_field(p),
        heading=re.compile(rf"(?m)^[^\S\n]*+{_OPEN}{p.named}{_CLOSE}[^\S\n]*+(?:[:—-]|$)"),
        mark=re.compile(
            rf"\[\[(?:{p.named}|({p.every}))\]\]"
            rf"|\\boxed\{{(?:\\text\{{)?+(?:{p.named}|{_OPEN}({p.every}))[)\]}}]"
        ),
        declared=(*_declared(p), _led(p), _opening(p)),
        stated=(_stated(p, rf"(?:{p.end}|(?=\s++(?:and|but|while|whereas)\b))"), _stated_abroad(p)),
        narrow=(_stated(p, narrow), _more(p)),
        tie=_tied(p),
        undone=_undone(p),
        retracted=_retracted(p),
        verdicts=verdicts,
    )


def _declared(p: _Parts) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """`verdict: A`, `"winner": "B"`, `the better response is (A)`, `I prefer B`, `Antwort: B`."""
    line = r"""(?P<line>^[^\S\n]*+[{(\["',]*+[^\S\n]*+["']?+(?:(?:the|my|final|overall)\s++)*+)?+"""
    what = rf"(?:{p.noun}|one|{_KEYS})"
    sure = rf"(?:\b(?:{_KEYS}|(?:{_BEST})(?:\s++{what})?+{_AMONG}{{0,7}}+)|(?:{_KEYS_UNSPACED}))"
    loose = (
        rf"(?:\b(?:answer|label|(?:correct|final|my|the)\s++{what})|(?<![^\W_])(?:{_FOREIGN})"
        rf"|(?:{_UNSPACED}))"
    )
    says = rf"(?P<colon>{_IS})"
    rest = rf"{_over(p)}{p.single}{p.end}"
    named, bare = rf"\s*+{_OPEN}{p.named}{rest}", rf"\s*+{p.bare}{rest}"
    # With digits for labels, `the answer is 2` may be an answer to the prompt.
    bare_loose = rf"(?:(?<=[:=])|(?<=->)){bare}" if p.digits else bare
    return (
        re.compile(rf"{line}(?i:{sure}{says}|{_CHOOSE})(?:{named}|{bare})", re.MULTILINE),
        re.compile(rf"{line}(?i:{loose}{says})(?:{named}|{bare_loose})", re.MULTILINE),
    )


def _field(p: _Parts) -> re.Pattern[str]:
    """`final answer: b`, `json {"choice": "B`: as a whole text it can be nothing else."""
    what = rf"(?:{p.noun}|answer|label|final|result|selected|selection|{_KEYS}|{_KEYS_UNSPACED})"
    lead = rf"(?:(?:the|my|final|overall|{_BEST})\s++)*+"
    return re.compile(
        rf"(?i:(?:json\s++[{{\s\"']*+)?+{lead}(?:{what}|{_BEST})[\"']?+\s*+[:=]\s*+{_OPEN}"
        rf"(?:{p.noun}{p.gap}{_OPEN})?+({p.every}))"
    )


def _over(p: _Parts) -> str:
    """`over Response B`, behind the label chosen."""
    return (
        rf"(?:{_CLOSE}\s++(?:over|to|rather\s++than|instead\s++of)\s++(?:the\s++other"
        rf"(?:\s++{p.noun})?+|(?:{p.noun}{p.gap})?+{_OPEN}(?:{p.pair})){_EDGE})?+"
    )


def _led(p: _Parts) -> re.Pattern[str]:
    """`Therefore, Output (b).`: a word of conclusion and a label."""
    lead = (
        r"(?i:\b(?:therefore|thus|hence|overall|ultimately|finally|in\s++conclusion|conclusion)\b"
        r"|(?:^|(?<=[.,;!?]\s))so\b)[^\S\n]*+[,:]?+\s*+"
    )
    return re.compile(rf"{lead}(?:{p.named}|{p.bare}){p.single}{p.end}", re.MULTILINE)


def _opening(p: _Parts) -> re.Pattern[str]:
    """`B, because it is short`, `Output (b). It is short`: the answer first, then its reasons."""
    reason = r"(?:,?+\s++(?:because|since|as(?!\s+well))\b|,\s++due\s++to\b)"
    return re.compile(rf"\A(?:{p.named}{_CLOSE}(?:{reason}|\.\s)|{p.bare}{_CLOSE}{reason})")


def _better(p: _Parts) -> str:
    """`is clearly the better response than the other one`."""
    than = (
        rf"(?:\s++(?:than|to|over|compared\s++(?:to|with))\s++(?:the\s++other|"
        rf"(?:{p.noun}{p.gap})?+{_OPEN}(?:(?-i:{p.every})))(?![^\W_]){_CLOSE}(?:\s++{p.noun}\b)?+)?+"
    )
    tail = _TAIL.replace("{noun}", p.noun)
    return (
        rf"\s++(?i:(?:(?:is|(?:would|should)\s++be|seems|appears)\s++(?:(?:{_ADVERBS})\s++)*+"
        rf"(?:better|best|preferred|preferable|superior|winner)|wins)\b"
        rf"{tail}*+{than}{tail}*+)"
    )


def _stated(p: _Parts, end: str) -> re.Pattern[str]:
    """`Response A is better`, and `A is better` where a sentence or a clause starts.

    A response may be better `in tone` or `written` and lose all the same: hence the end.
    """
    close = rf"(?:['’]s\s++{p.noun}|{_CLOSE})"
    named = rf"(?<![/|])(?<![/|]\s)(?<!\bor\s){p.noun}{p.gap}{_OPEN}({p.pair}){_EDGE}{close}"
    start = (
        r"(?:^[^\S\n]*+|(?<=[.!?:,][ ])|(?<=\bthat[ ])|(?<=\bthink[ ])|(?<=\bbelieve[ ])"
        r"|(?<=\bsay[ ]))"
    )
    the, noun = (r"(?i:the\s++)?+", rf"(?:\s++{p.noun})?+") if p.words else ("", "")
    bare = rf"{start}{the}{_OPEN}({p.pair_bare}){_EDGE}{_CLOSE}{noun}"
    return re.compile(rf"(?:{named}|{bare}){_better(p)}{end}", re.MULTILINE)


def _more(p: _Parts) -> re.Pattern[str]:
    """`Response A is the more accurate and helpful response`."""
    thing = rf"(?:{p.noun}|one|choice)\b"
    more = rf"\s++is\s++the\s++more(?:\s++(?!{thing})[\w-]++,?){{1,4}}+\s++{thing}"
    return re.compile(
        rf"(?<![/|])(?<![/|]\s)(?<!\bor\s){p.noun}{p.gap}{_OPEN}({p.pair}){_EDGE}{_CLOSE}(?i:{more})"
    )


def _stated_abroad(p: _Parts) -> re.Pattern[str]:
    """`La réponse A est meilleure`, `回答A比回答B更好`: a noun and a plain comparison."""
    other = rf"(?:{p.noun}{p.gap})?+{_OPEN}(?:{p.pair}){_EDGE}{_CLOSE}"
    return re.compile(
        rf"(?<![/|]){p.noun}{p.gap}{_OPEN}({p.pair}){_EDGE}{_CLOSE}(?:\s*+比{other})?+"
        rf"(?i:{_FOREIGN_BETTER})(?:,?\s++(?:(?:als|que|di|чем)\s++|qu['’])"
        rf"(?:(?:die|la|a)\s++)?+{other})?+{p.end}"
    )


def _tied(p: _Parts) -> re.Pattern[str]:
    """`it is a tie`, `both responses are equally good`."""
    many = rf"(?:of\s++them|(?:{p.noun}|assistant|model)s)"
    two = rf"{p.noun}{p.gap}{_OPEN}(?:{p.pair}){_EDGE}{_CLOSE}"
    subject = (
        rf"(?:\b(?:(?:it|this|they|there)\b|(?:both|the\s++two)\b(?:\s++{many})?+|the\s++{many})"
        rf"|{two}\s++and\s++{two})"
    )
    even = (
        r"(?:(?:an?\s++)?+(?:tie|draw)|tied|equal(?:ly\s++\w++)?+|equivalent|on\s++par"
        r"|of\s++(?:equal|the\s++same)\s++quality)\b"
    )
    return re.compile(
        rf"(?i:(?P<key>\b(?:{_KEYS}|answer){_IS}\s*+[\"']?)?+{subject}(?:\s++(?:is|are)|['’](?:s|re))"
        rf"\s++(?:(?:both|about|clearly|essentially|roughly|basically|overall)\s++)*+{even}"
        rf"(?:\s++overall)?+){p.end}"
    )


def _undone(p: _Parts) -> re.Pattern[str]:
    """`A, which is worse`, `A as the one to reject`, `A: 3, B: 5`, `A... or B?`.

    And `A, though kind, is wrong`, where the label is what a sentence is about, and `A: bad. B:
    good`, remarks on both.
    """
    lost = (
        r"(?:worse|worst|weaker|weakest|inferior|wrong|incorrect|loser|rejected"
        r"|one\s++to\s++reject)"
    )
    label = rf"(?:{p.noun}{p.gap})?+{_OPEN}(?:{p.every}){_EDGE}"
    inner = r"[^,.;:!?\"—–\n]{1,80}"
    aside = (
        rf"(?:,(?!\s++(?i:because|since|as|due|given)\b){inner}+(?:,{inner}+){{0,2}}?,"
        rf"|\s*+[—–]{inner}+[—–]|\s-\s{inner}?\s-)"
    )
    sign = r"\s*+(?:[:—–]|-(?=\s))"
    return re.compile(
        rf"{_CLOSE}(?:{aside}(?!{_better(p)})\s++(?i:{_VERBS})\b"
        rf"|{sign}[^\n]{{1,120}}?[.,;\n]\s*+(?:-\s++)?+{label}{_CLOSE}{sign}"
        rf"|\s++(?i:as)\s++(?i:(?:the|being|my|a)\s++)*+(?i:{lost})\b"
        rf"|\s*+,?+\s*+(?i:which|that|it)\s++(?i:is|was)\s++(?i:the\s++)?+(?i:{lost})\b"
        rf"|\s*+[:=]\s*+(?:\d|(?i:{lost}|no|bad|false|reject)\b)"
        rf"|\s*+,\s*+\d++\s*+%\s*+[,;/]\s*+{label}"
        rf"|[\s.…,;?!]*+\b(?i:or)\s++{label})"
    )


def _retracted(p: _Parts) -> re.Pattern[str]:
    """`No wait, B.`, `No, B.`, `Correction: B`, `possibly B`: the label ends its sentence."""
    turn = (
        r"(?:wait|correction|corrected|actually|oops|sorry|scratch\s++that|make\s++that|i\s++mean"
        r"|i\s++misread|on\s++(?:reflection|second\s++thoughts?)|possibly|perhaps|maybe"
        r"|alternatively)"
    )
    # Behind these a label is what the verdict is compared with.
    beside = "".join(
        rf"(?<!\b(?i:{word})\s)" for word in ("than", "to", "of", "over", "in", "by", "with", "and")
    )
    return re.compile(
        rf"\b(?:(?i:{turn})\b[^\n]{{0,40}}?(?<![\w'’-]){beside}"
        rf"|(?i:no)[,.]\s++(?i:(?:it\s++is|it['’]s)\s++)?+)(?:{p.noun}{p.gap})?+"
        rf"{_OPEN}({p.every}){_EDGE}{_CLOSE}(?=\s*+(?:[.,;!?…]|$))",
        re.MULTILINE,
    )
