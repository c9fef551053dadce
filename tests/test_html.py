"""Pages: texts stay texts, and what runs is what the page's own policy names."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from charter.html import clean, details, embedded, figures, page, quote, section, table, text
from charter.plots import Series, bars, estimates, grid, histogram, lines
from charter.stats import wilson

EVIL = "</script></blockquote><img src=x onerror=alert(1)> \" ' & \u202e \x00 \x1b \ud800 \u2028"


def elements(source: str) -> list[str]:
    """The elements of a page, which is balanced."""
    found: list[str] = []
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append(tag)
            if tag not in ("meta", "img"):
                opened.append(tag)

        def handle_startendtag(self, tag, attrs):
            found.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    reader = Reader()
    reader.feed(source)
    reader.close()
    assert opened == []
    return found


def test_no_part_of_a_page_takes_a_text_for_markup():
    harmless = [
        quote("label", "text"),
        table(("a", "b"), [("x", 1), ("y", 2.5)]),
        figures([("name", "value")]),
        details("summary", [quote("l", "t")]),
        bars("title", [("name", 1.0)]),
        estimates("title", [("name", wilson(1, 2)), ("none", wilson(0, 0))]),
    ]
    hostile = [
        quote(EVIL, EVIL),
        table((EVIL, EVIL), [(EVIL, 1), (EVIL, 2.5)]),
        figures([(EVIL, EVIL)]),
        details(EVIL, [quote(EVIL, EVIL)]),
        bars(EVIL, [(EVIL, 1.0)]),
        estimates(EVIL, [(EVIL, wilson(1, 2)), (EVIL, wilson(0, 0))]),
    ]
    for one, other in zip(harmless, hostile, strict=True):
        assert elements(one) == elements(other)
    whole = page(EVIL, [section(EVIL, hostile)])
    whole.encode()
    assert "img" not in elements(whole) and "script" not in elements(whole)
    assert not any(sign in whole for sign in "\x00\x1b")


def test_embedded_data_cannot_close_its_element_and_comes_back_whole():
    value = {"text": EVIL.replace("\ud800", ""), "list": [1, None, "<!--"]}
    source = embedded("data", value)
    assert elements(source) == ["script"]
    body = source.split(">", 1)[1].rsplit("</script>", 1)[0]
    assert not set("<>&\u2028\x00") & set(body)
    assert json.loads(body) == value
    with pytest.raises(ValueError, match="JSON"):
        embedded("data", float("nan"))
    embedded("data", "\ud800").encode()


def test_the_policy_names_the_pages_own_style_and_script_by_hash():
    code = "console.log('<b>')"
    source = page("t", [], code)
    digest = b64encode(sha256(code.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in source
    assert "default-src 'none'" in source and "unsafe" not in source
    assert "script-src" not in page("t", [])


def test_control_characters_are_shown_as_such():
    assert clean("a\x00b\tc\nd\x85\ud800é\u202e") == "a\ufffdb\tc\nd\ufffd\ufffdé\u202e"
    assert text('<a b="c">') == "&lt;a b=&quot;c&quot;&gt;"


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(0.0, 1.0)],
        [(0.0, 0.0), (1.0, 0.0)],
        [(0.0, 5.0), (0.0, 7.0)],
        [(k * 2.0, (k % 9) * 1e6) for k in range(300)],
        [(0.0, 1e-9), (1e9, 3e-9)],
    ],
    ids=len,
)
def test_plots_of_anything_have_places_that_are_numbers(points):
    series = [Series("one", points), Series("two", points)]
    for plot in (
        lines("t", series, "x", [0.5], 60.0),
        histogram("t", series, 2.0, "x"),
        bars("t", [(str(x), y) for x, y in points]),
    ):
        assert elements(grid([plot]))[:2] == ["div", "figure"]
        assert "nan" not in plot and "inf" not in plot


def test_numbers_stand_to_the_right_with_marks_between_thousands():
    source = table(("n",), [(1234567,), (True,), ("x",)])
    assert '<td class="number">1,234,567</td>' in source
    assert "<td>True</td>" in source


def test_an_estimate_is_not_broken_and_what_only_looks_like_one_may_be():
    source = table(("value",), [["0.780 [0.702, 0.842]"], ["-0.1 [-0.2, 0.0] or so"], ["9" * 99]])
    assert '<td class="estimate">0.780 [0.702, 0.842]</td>' in source
    assert source.count('class="estimate"') == 1
