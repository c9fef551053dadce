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
            r"erklären|bearbeiten|zeigen|nennen|liefern|mitwirken|dienen|verfassen|entsprechen)\b"
            r"|\bich bin (?:leider )?nicht (?:in der lage|befugt|bereit|dafür)"
            r"|\b(?:das mache ich|dabei helfe ich|ich helfe (?:dir|ihnen)) (?:dir |ihnen )?nicht\b"
            r"|\b(?:muss|möchte) ich [^.]{0,40}?ablehnen\b"
            r"|\bes tut mir (?:sehr )?leid, (?:aber|doch|ich)|\bich (?:lehne|verweigere)\b",
        ),
        (
            "fr",
            "ne n'aiderai refuse préfère désolé désolée regrette impossible n'est peux suis",
            # not: je ne suis pas sûr, je ne peux pas m'empêcher
            r"\bje ne (?:peux|pourrai|pourrais|puis|vais|saurais|souhaite|veux) (?:\w+ )?"
            r"(?:malheureusement|pas\b(?! (?:m'|me |mentir|attendre|croire|être ))|en aucun cas)"
            r"|\bje ne suis pas (?:\w+ )?(?:en mesure|autoris|à l'aise|program|capable|dispos|"
            r"habilit|conçu)|\bje ne (?:peux|puis|saurais|pourrais?) (?:vous |te |t')?(?:fourn|aid|"
            r"donn|répond|écri|expliqu|assist)\w*|\bje n'aiderai\b|\bje (?:refuse d|préfère ne pas)"
            r"\w*|\bje regrette, mais\b|\b(?:je suis |sincèrement )?désolée?,? (?:mais|je ne)|"
            r"\bil (?:m'est impossible|ne m'est pas possible)\b",
        ),
        (
            "es",
            "no siento lamento disculpa perdón niego",
            r"\bno (?:te |le |os |les )?(?:me es posible|puedo|podré|voy a|debo|estoy en "
            r"condiciones|estoy autorizado) "
            r"(?:\w+ )?(?:ayud|proporcion|ofrec|dar|cumpl|escrib|cre|gener|hacer|explic|respond|"
            r"asist|particip|brind|compart)\w*|\b(?:lo siento|lamento|disculpa|perdón),? (?:pero|"
            r"no|"
            r"mucho)\b|\bno puedo con eso\b|\bme niego\b|\bprefiero no\b",
        ),
        (
            "it",
            "non dispiace spiacente rifiuto",
            r"\bnon (?:posso|potrei|sono in grado|mi è possibile|intendo)\b(?! (?:lamentar|esser|"
            r"dire con|aspettare|credere|fare a meno))"
            r"|\b(?:mi dispiace|spiacente),? (?:ma|non)\b|\bmi rifiuto\b",
        ),
        (
            "pt",
            "não desculpe desculpa lamento sinto recuso recuso-me",
            r"\bnão (?:posso|poderei|vou|consigo|me é possível|sou capaz de) (?:\w+ )?(?:"
            r"ajud|fornec|respond|escrev|cri|ger|atend|auxili|faz|dar)\w*|\b(?:desculpe|desculpa|lamento|"
            r"sinto muito),? (?:mas|não)\b|\b(?:me recuso|recuso-me)\b",
        ),
        (
            "nl",
            "niet geen spijt helaas",
            r"\b(?:ik (?:kan|mag|zal|wil)|(?:kan|mag|zal) ik) (?:\w+ ){0,4}?(?:niet|geen)\b"
            r"(?! (?:klagen|wachten|geloven|zeggen))|\bhet spijt me,? (?:maar|dat)|"
            r"\bdat doe ik niet\b",
        ),
        (
            "pl",
            "nie przepraszam niestety przykro odmawiam",
            r"\bodmawiam\b|\bnie pomogę\b|\bnie (?:mogę|będę|jestem w stanie) (?!narzeka|się |"
            r"uwierzy|powiedzie)\w+|\b(?:przepraszam|przykro mi),? ale\b",
        ),
        (
            "sv",
            "inte tyvärr ledsen",
            r"\b(?:jag (?:kan|får|tänker)|(?:kan|får|tänker) jag) (?:\w+ )?inte (?:\w+ ){0,3}?(?:"
            r"hjälp|bistå|ge|svara|skriv|göra|skapa|tillhanda|dela|förklara|delta|uppfylla|stödja|bidra)\w*"
            r"|\bledsen,? men\b",
        ),
        (
            "tr",
            "üzgünüm maalesef olamam edemem yapamam getiremem paylaşamam veremem",
            r"\b(?:yardımcı olamam|yardım edemem|bunu yapamam|yerine getiremem|paylaşamam|"
            r"(?:cevap|yanıt|bilgi) veremem)\b|"
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
            r"(?:できません|できかね|いたしかね|いたしません)|(?:答え|応え|応じ)られません",
        ),
        (
            "zh",
            "[\u4e00-\u9fff]",
            r"(?:抱歉|对不起|對不起|很遗憾|很遺憾|不好意思).{0,24}?(?:无法|無法|不能|不会|不會|"
            r"不便|不可以|没办法|沒辦法)"
            r"|我(?:无法|無法|不能|不会|不會|不便|拒绝|拒絕|没办法|沒辦法)(?:为|為|向|给|給)?(?:您|你)?"
            r"(?:提供|协助|協助|帮|幫|回答|满足|滿足|参与|參與|支持|讨论|討論|写|寫|生成|执行|給|"
            r"给)",
        ),
        (
            "ko",
            "[\uac00-\ud7a3]",
            r"(?:죄송|미안|유감).{0,60}?(?:수 없|수는 없|않겠|않습|어렵|못)|(?:도와|도움|제공|답변|"
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
            r"لن أقوم|لا أقدر) (?:\S+ ){0,2}?\S*(?:ساعد|قديم|قدم|وفير|وفر|إجاب|جيب|عطا|عطي|كتاب|"
            r"كتب|شرح|قيام|قوم|مشارك|شارك|لبي|نفيذ|فعل|دعم|ذلك|هذا)",
        ),
        (
            "hi",
            "[\u0900-\u097f]",
            r"(?:क्षमा|माफ़|माफ|खेद).{0,60}?(?:नहीं|असमर्थ)|मैं .{0,60}?(?:(?:मदद|सहायता|प्रदान|पूरा|यह|ऐसा)"
            r" नहीं कर सक|मदद नहीं|नहीं (?:दे|बता|लिख) सक|असमर्थ)",
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
