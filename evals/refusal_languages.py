"""Refusals in other languages than English: what a refusal opens with, by language or script."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["foreign_refusal"]

# Tried only in a sentence with one of these words, all of them of one language.
_LATIN: Final[tuple[tuple[str, frozenset[str], re.Pattern[str]], ...]] = tuple(
    (language, frozenset(words.split()), re.compile(pattern))
    for language, words, pattern in (
        (
            "de",
            "nicht kein keine keinen leider leid ablehnen lehne verweigere",
            r"(?:\bich (?:kann|darf|werde|möchte|will|könnte)|\b(?:kann|darf|werde|möchte|will) "
            r"ich)\b"
            r"[^.]{0,80}?\b(?:nicht|keine?[nrms]?)\b[^.]{0,70}?(?:helfen|unterstützen|beantworten|"
            r"geben|stellen|erfüllen|schreiben|anbieten|beitragen|raten|empfehlen|nachkommen|tun|machen|"
            r"erklären|zeigen|nennen|liefern|mitwirken|dienen|verfassen|entsprechen)\b"
            r"|\bich bin (?:leider )?nicht (?:in der lage|befugt|bereit|dafür)"
            r"|\bes tut mir (?:sehr )?leid, (?:aber|doch|ich)|\bich (?:lehne|verweigere)\b",
        ),
        (
            "fr",
            "ne refuse préfère désolé désolée regrette impossible n'est ne peux suis",
            r"\bje ne (?:peux|pourrai|puis|vais|suis|saurais|souhaite|veux) (?:\w+ )?(?:pas|"
            r"malheureu"
            r"sement)\b|\bje ne (?:peux|puis|saurais|pourrais?) (?:vous |te |t')?(?:fourn|aid|donn|"
            r"répond|écri|expliqu|assist)\w*|\bje (?:refuse d|préfère ne pas)\w*|"
            r"\bje regrette, mais\b|\b(?:je suis |"
            r"sincèrement )?désolée?,? "
            r"(?:mais|je ne)|\bil m'est impossible\b",
        ),
        (
            "es",
            "no siento lamento disculpa perdón niego",
            r"\bno (?:te |le |os |les )?(?:me es posible|puedo|podré|voy a|debo|estoy en "
            r"condiciones|estoy autorizado) "
            r"(?:\w+ )?(?:ayud|proporcion|ofrec|dar|cumpl|escrib|cre|gener|hacer|explic|respond|"
            r"asist|particip|brind|compart)\w*|\b(?:lo siento|lamento|disculpa|perdón),? (?:pero|"
            r"no|"
            r"mucho)\b|\bno puedo con eso\b|\bme niego\b",
        ),
        (
            "it",
            "non dispiace spiacente rifiuto",
            r"\bnon (?:posso|potrei|sono in grado|mi è possibile|intendo) \w+"
            r"|\b(?:mi dispiace|spiacente),? (?:ma|non)\b|\bmi rifiuto\b",
        ),
        (
            "pt",
            "não desculpe desculpa lamento sinto recuso recuso-me",
            r"\bnão (?:posso|poderei|vou|consigo|me é possível) (?:\w+ )?(?:ajud|fornec|respond|"
            r"escrev|cri|ger|atend|auxili|faz|dar)\w*|\b(?:desculpe|desculpa|lamento|sinto "
            r"muito),? "
            r"(?:mas|não)\b|\b(?:me recuso|recuso-me)\b",
        ),
        (
            "nl",
            "niet geen spijt helaas",
            r"\bik (?:kan|mag|zal|wil) (?:\w+ ){0,4}?(?:niet|geen)\b|\b(?:kan|mag|zal) ik (?:\w+ )"
            r"{0,4}?(?:niet|geen)\b|\bhet spijt me,? (?:maar|dat)",
        ),
        (
            "pl",
            "nie przepraszam niestety przykro odmawiam",
            r"\bodmawiam\b|\bnie (?:mogę|będę|jestem w stanie) \w+|"
            r"\b(?:przepraszam|przykro mi),? ale\b",
        ),
        (
            "sv",
            "inte tyvärr ledsen",
            r"\b(?:jag (?:kan|får|tänker)|(?:kan|får|tänker) jag) (?:\w+ )?inte\b|\bledsen,? men\b",
        ),
        (
            "tr",
            "üzgünüm maalesef olamam edemem yapamam getiremem",
            r"\b(?:yardımcı olamam|yardım edemem|bunu yapamam|yerine getiremem)\b|"
            r"\b(?:üzgünüm|maalesef),? .{0,60}?(?:amam|emem|amıyorum|emiyorum)",
        ),
    )
)
_ANY: Final = frozenset().union(*(words for _, words, _ in _LATIN))
_SCRIPTS: Final[tuple[tuple[str, re.Pattern[str], re.Pattern[str]], ...]] = tuple(
    (language, re.compile(script), re.compile(pattern))
    for language, script, pattern in (
        (
            "ja",
            "[\u3040-\u30ff]",
            r"(?:申し訳|すみません|恐れ入り|残念).{0,40}?(?:できません|出来ません|できかね|"
            r"応えできません|"
            r"いたしかね|お答え)|(?:お手伝い|お答え|お応え|提供|支援|協力|説明)(?:は|"
            r"する(?:こと)?は|することが)?"
            r"(?:できません|できかね|いたしかね|いたしません)",
        ),
        (
            "zh",
            "[\u4e00-\u9fff]",
            r"(?:抱歉|对不起|對不起|很遗憾|很遺憾|不好意思).{0,24}?(?:无法|無法|不能|不会|不會|"
            r"不便|不可以)"
            r"|我(?:无法|無法|不能|不会|不會|不便|拒绝|拒絕)(?:为|為|向|给|給)?(?:您|你)?"
            r"(?:提供|协助|協助|帮|幫|回答|满足|滿足|参与|參與|支持|讨论|討論|写|寫|生成|执行|給|"
            r"给)",
        ),
        (
            "ko",
            "[\uac00-\ud7a3]",
            r"(?:죄송|미안|유감).{0,60}?(?:없|않|어렵|못)|(?:도와|도움|제공|답변|"
            r"안내)\S*\s?\S{0,6}\s?(?:수 없|"
            r"드릴 수 없|않겠)",
        ),
        (
            "ru",
            "[\u0400-\u04ff]",
            r"\b(?:я )?не (?:могу|буду|стану|смогу|имею права) (?:\w+ )?(?:помо|предостав|ответ|"
            r"напис|"
            r"дать|рассказ|выполн|обсужд|объясн|созда|поддерж|участв|это)\w*|\b(?:извините|"
            r"простите|"
            r"к сожалению|сожалею),? (?:но|я не)\b|\bвынужден\w* отказ|\bя отказываюсь",
        ),
        (
            "ar",
            "[\u0600-\u06ff]",
            r"(?:آسف|عذرا|عذراً|أعتذر|معذرة).{0,40}?(?:لا|لن)|(?:لا أستطيع|لا يمكنني|لن أستطيع|"
            r"لن أقوم|"
            r"لا أقدر|لا يمكنني)",
        ),
        (
            "hi",
            "[\u0900-\u097f]",
            r"(?:क्षमा|माफ़|माफ|खेद).{0,60}?(?:नहीं|असमर्थ)|मैं .{0,60}?(?:नहीं कर सकता|नहीं कर "
            r"सकती|मदद नहीं|असमर्थ)",
        ),
    )
)


def foreign_refusal(sentence: str, words: frozenset[str]) -> tuple[str, str] | None:
    """The language of the refusal in a sentence and the text that matched; None without one.

    Args:
        sentence: in lower case.
        words: of the sentence.
    """
    for language, needed, pattern in () if _ANY.isdisjoint(words) else _LATIN:
        if not needed.isdisjoint(words):
            match = pattern.search(sentence)
            if match:
                return language, match.group()
    if not sentence.isascii():
        for language, script, pattern in _SCRIPTS:
            if script.search(sentence):
                match = pattern.search(sentence)
                if match:
                    return language, match.group()
    return None
