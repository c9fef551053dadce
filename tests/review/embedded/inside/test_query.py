from __future__ import annotations

import sqlite3
from functools import reduce

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charter.review.embedded.inside.query import (
    EVERYTHING,
    MARK,
    NOTHING,
    TooManyWords,
    match_expression,
)
from charter.review.embedded.inside.words import stored

WORDS = ["ape", "bee", "cat", "dog"]


def found_in(texts: list[str], query: str) -> list[int]:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE t USING fts5(f0, mark, tokenize = 'ascii')")
    rows = [(place, stored(text), MARK) for place, text in enumerate(texts)]
    db.executemany("INSERT INTO t (rowid, f0, mark) VALUES (?, ?, ?)", rows)
    sql = "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rowid"
    try:
        return [row for (row,) in db.execute(sql, (match_expression(query),))]
    finally:
        db.close()


@given(st.text(max_size=60) | st.text('ab*"~|+-() \\\x00:^{}', max_size=60))
@example('"')
@example("NEAR(a b, 2) AND NOT f0 : c ^d")
@example("((((((((((((((((((((((((a))))))))))))))))))))))))")
@example("-(-(-(-(-(-(-(-(-(-(-(-(-a))))))))))))")
@example("\ud800 a")
@example(MARK)
def test_no_text_is_wrong_or_breaks_out_of_its_quotes(query: str) -> None:
    found = found_in(["a b", "b c", ""], query)
    assert set(found) <= {0, 1, 2}


ITEMS = st.lists(
    st.tuples(st.sampled_from([" ", " + ", " | ", "|"]), st.booleans(), st.sampled_from(WORDS)),
    min_size=1,
    max_size=8,
)


@given(ITEMS, st.lists(st.lists(st.sampled_from(WORDS), max_size=4), min_size=1, max_size=6))
def test_operators_work_from_left_to_right(
    items: list[tuple[str, bool, str]], texts: list[list[str]]
) -> None:
    query = ""
    kept: list[tuple[str, set[int]]] = []
    everything = set(range(len(texts)))
    for operator, negated, word in items:
        query += f"{operator}{'-' if negated else ''}{word}"
        has = {place for place, text in enumerate(texts) if word in text}
        kept.append((operator, everything - has if negated else has))
    expected = reduce(
        lambda left, item: left | item[1] if "|" in item[0] else left & item[1],
        kept[1:],
        kept[0][1],
    )
    assert found_in([" ".join(text) for text in texts], query) == sorted(expected)


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("red fox", {"the red fox", "fox, red"}),
        ('"red fox"', {"the red fox"}),
        ('"fox red"~3', {"the red fox", "fox, red"}),
        ("red -fox", {"red"}),
        ("- red fox", {"the red fox", "fox, red"}),
        ("(red | blue) fox", {"the red fox", "fox, red", "blue fox"}),
        ("re*", {"the red fox", "fox, red", "red"}),
        (r"re\*", set()),
        ("blue-fox", {"blue fox"}),
        ("RED", {"the red fox", "fox, red", "red"}),
        ("*", {"the red fox", "fox, red", "red", "blue fox"}),
        ("", set()),
        (' \t"', set()),
        ("()", set()),
        ("red AND fox", set()),
        ("fox OR blue", set()),
        ('"red fox', {"the red fox", "fox, red"}),
        ("red (fox", {"the red fox", "fox, red"}),
        ("red |+ blue", {"the red fox", "fox, red", "red", "blue fox"}),
        ("red + | blue", set()),
        ("red | () fox", {"the red fox", "fox, red"}),
        ('red | "" fox', {"the red fox", "fox, red"}),
        ("f0:red", set()),
    ],
)
def test_the_language_of_simple_query_string(query: str, texts: set[str]) -> None:
    all_texts = ["the red fox", "fox, red", "red", "blue fox"]
    assert {all_texts[place] for place in found_in(all_texts, query)} == texts


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("我们在北京大学学习", "北京"),
        ("今日はテストをします", "テスト"),
        ("안녕하세요 세계", "하세"),
        ("สวัสดีชาวโลก", "ชาว"),
        ("हिन्दी में लिखा", "हिन्दी"),
        ("cafe\u0301 au lait", "Café"),
        ("Straße", "STRASSE"),
        ("ｆｕｌｌ width", "full"),
        ("good 👍🏽 work", "👍"),
        ("a family 👨‍👩‍👧 here", "👨‍👩‍👧"),
        ("it's", "it's"),
        ("one\x00two", "two"),
        ("co\u00adop", "coop"),
        ("snake_case", "snake_case"),
        ("3.14", "3.14"),
    ],
)
def test_words_of_all_scripts_are_found(text: str, query: str) -> None:
    assert found_in([text, "something else"], query) == [0]


def test_characters_of_a_sentence_without_spaces_must_follow_one_another() -> None:
    assert found_in(["北京大学", "大学北京", "京北"], "京大") == [0]


@given(st.text())
def test_text_is_found_by_each_of_its_own_words(text: str) -> None:
    quoted = '"' + text.replace("\\", " ").replace('"', " ") + '"'
    assert found_in([text], quoted) == ([0] if match_expression(quoted) != NOTHING else [])


def test_a_field_is_a_filter_on_every_word() -> None:
    expression = match_expression("a -b", ["f0"])
    assert expression.count("{f0}") == 2


def test_word_with_edits_asks_for_neighbours() -> None:
    asked = []

    def similar(word: str, edits: int) -> list[str]:
        asked.append((word, edits))
        return ["bat", "hat"]

    expression = match_expression("cat~ dog~1 two-words~1", similar=similar)
    assert sorted(asked) == [("cat", 2), ("dog", 1), ("words", 1)]
    assert '"bat"' in expression


def test_too_many_words_are_refused_and_many_are_not() -> None:
    texts = ["a b", "c"]
    assert found_in(texts, "a " * 1000 + "b") == [0]
    assert found_in(texts, "|".join(["x"] * 1000 + ["c"])) == [1]
    with pytest.raises(TooManyWords, match="1024 words"):
        match_expression("a " * 1025)
    with pytest.raises(TooManyWords):
        match_expression("a | b " * 200)


def test_everything_and_nothing() -> None:
    assert match_expression(" * ") == EVERYTHING
    assert found_in(["a", ""], "*") == [0, 1]
    assert found_in(["a", ""], "-a") == [1]
    assert found_in(["a", MARK], MARK) == []
