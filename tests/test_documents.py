"""YAML documents: what is wrong with them is said once, in place, and with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from charter.documents import (
    Clashes,
    Document,
    Settings,
    dotted,
    expanded,
    is_file,
    read_document,
    read_text,
    read_value,
    validated,
)
from charter.errors import Fault, InputError

HERE = Path("file.yaml")


def read(text):
    return read_document(HERE, text)


def faults_read(text):
    try:
        return read(text).faults
    except InputError as error:
        return list(error.faults)


def fault_of(text):
    (fault,) = faults_read(text)
    assert fault.what and fault.fix
    return fault


def test_values_and_their_places():
    document = read("a: 1\nb:\n  - x\n  - {c: true, d: ~}\n# end\n")
    assert document.data == {"a": 1, "b": ["x", {"c": True, "d": None}]}
    assert document.place(("b", 1, "c")) == "file.yaml:4:6"
    assert document.place(("b", 0)) == "file.yaml:3:5"
    # What is not written is said to be where the nearest block around it stands.
    assert document.place(("b", 1, "e", "f")) == "file.yaml:4:5"
    assert document.at("b", 1, "d") is None and document.at("b", 7) is None
    assert document.at("a", "x") is None and document.at() == document.data
    assert dotted(("b", 1, "c")) == "b[1].c" and dotted((3, "x")) == "[3].x" and dotted(()) == ""


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "file.yaml", "is empty"),
        ("# only a comment\n", "file.yaml", "is empty"),
        ("- a\n- b\n", "file.yaml", "no mapping"),
        ("just text\n", "file.yaml", "no mapping"),
        ("a:\n\tb: 1\n", "file.yaml:2:1", "not YAML"),
        ("a: [1, 2\nb: 3\n", "file.yaml:2:2", "not YAML"),
        ("a: b: c\n", "file.yaml:1:5", "not YAML"),
        ("a: *nowhere\n", "file.yaml:1:4", "undefined alias"),
        ("a: 1\n---\nb: 2\n", "file.yaml:2:1", "another document"),
        ("a: !!python/object/apply:os.system [x]\n", "file.yaml:1:4", "tag python"),
        ("a: !mine {b: 1}\n", "file.yaml:1:4", "tag !mine"),
        ("a: !mine b\n", "file.yaml:1:4", "tag !mine"),
        ("a: !!set {b, c}\n", "file.yaml:1:4", "tag set"),
        ("a: 1\nb: \x07\n", "file.yaml:2:4", "U+0007"),
        ("a: \x00", "file.yaml:1:4", "U+0000"),
        ("a: &a [*a]\n", "file.yaml:1:4", "refers to itself"),
        ("a: &a\n  <<: *a\n", "file.yaml:1:4", "refers to itself"),
        ("a: &a {b: {<<: *a}}\n", "file.yaml:1:11", "refers to itself"),
        ("a: {<<: 3}\n", "file.yaml:1:9", "after <<"),
        ("a: {<<: [{x: 1}, 3]}\n", "file.yaml:1:18", "after <<"),
        ("a: !!int abc\n", "file.yaml:1:4", "as int"),
        ("a: !!float x\n", "file.yaml:1:4", "as float"),
        ("a: !!bool maybe\n", "file.yaml:1:4", "as bool"),
        ("a: 0b_\n", "file.yaml:1:4", "as int"),
        ("a: !!int ''\n", "file.yaml:1:4", "as int"),
        ("a: !!timestamp soon\n", "file.yaml:1:4", "as timestamp"),
        ("a: " + "9" * 5000, "file.yaml:1:4", "as int"),
        ('a: "\\ud800"\n', "file.yaml:1:4", "half a character"),
        ('"\\ud800": 1\n', "file.yaml:1:1", "no text"),
        ("? [a, b]\n: 1\n", "file.yaml:1:3", "no text"),
    ],
)
def test_a_text_that_cannot_be_read_has_one_fault_in_its_place(text, place, words):
    fault = fault_of(text)
    assert fault.place == place
    assert words in fault.what
    assert "\n" not in str(fault)


def test_every_repeated_key_is_a_fault():
    found = faults_read("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 4\n")
    assert [(f.place, f.path) for f in found] == [("file.yaml:6:1", "a"), ("file.yaml:5:3", "b.c")]
    assert "(first in line 1)" in found[0].what
    # ...in what is merged in as well, and once where it is written once.
    assert "second time" in fault_of("a: {<<: {b: 1, b: 2}}\n").what
    assert fault_of("a: &a {b: 1, b: 2}\nc: *a\nd: {<<: *a}\n").path == "a.b"
    assert "no text" in fault_of("a: {<<: {[b]: 1}}\n").what


@pytest.mark.parametrize(
    ("number", "value"),
    [("010", 8), ("-0_17", -15), ("1:30", 90), ("+1:00:00", 3600), ("1:30.5", 90.5)],
)
def test_a_number_that_yaml_reads_otherwise_than_people_is_a_fault(number, value):
    fault = fault_of(f"a: [{number}]\n")
    assert fault.place == "file.yaml:1:5" and fault.what == f"{number} is {value} in YAML"
    assert fault.fix == "write the number that is meant, or quote it to make it text"
    assert read(f"a: '{number}'\n").data == {"a": number}


def test_numbers_that_are_what_they_look_like():
    assert read("a: [0, 00, 07, 1_000, 0x10, 0b11, -3, +4, 0.5, 010.5, 1.0e+3]").data == {
        "a": [0, 0, 7, 1000, 16, 3, -3, 4, 0.5, 10.5, 1000.0]
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('b: 1\na: "x\nc: 2\n', "a quoted scalar that begins in line 2"),
        ("a: 1\nb 2\nc: 3\n", "a simple key that begins in line 2"),
        ("a:\n - b\n- c\n", "a block mapping that begins in line 1"),
        ("a: 1\n---\nb: 2\n", "expected a single document in the stream, but found another"),
    ],
)
def test_what_is_no_yaml_says_where_it_began(text, words):
    assert words in fault_of(text).what


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_deep_nesting_is_a_fault_and_no_crash(opening):
    closing = "]" if opening == "[" else "}"
    fault = fault_of("a: " + opening * 20_000 + closing * 20_000)
    assert "nested" in fault.what and fault.place.startswith("file.yaml:1:")


@pytest.mark.parametrize(
    "line", ["{0}: &{0} [{1}]", "{0}: &{0} {{x: [{1}]}}", "{0}: &{0} {{<<: [{1}]}}"]
)
def test_a_bomb_of_aliases_is_a_fault_at_once(line):
    lines = ["a: &a {k: v}"]
    for before, name in zip("abcdefghij", "bcdefghijk", strict=True):
        lines.append(line.format(name, ",".join([f"*{before}"] * 9)))
    # Nine to the tenth values: without the bound this test would not end.
    assert "too many values" in fault_of("\n".join(lines)).what


def test_merge_keys_and_anchors():
    document = read(
        "base: &base {llm: local, max_tokens: 5}\n"
        "other: &other {max_tokens: 6, top_p: 0.5}\n"
        "one:\n  <<: *base\n  max_tokens: 7\n"
        "two:\n  max_tokens: 8\n  <<: [*other, *base]\n"
        "three: {<<: {<<: *other, llm: x}}\n"
    )
    assert document.data["one"] == {"llm": "local", "max_tokens": 7}
    assert document.data["two"] == {"llm": "local", "max_tokens": 8, "top_p": 0.5}
    assert document.data["three"] == {"llm": "x", "max_tokens": 6, "top_p": 0.5}
    # A merged value stands where it was written.
    assert document.place(("one", "llm")) == "file.yaml:1:14"
    assert document.place(("one", "max_tokens")) == "file.yaml:5:3"


def test_text_stays_text():
    document = read("a: 2020-01-01\nb: '1'\nc: 1.0.0\nd: 1e3\n~: x\n1: y\n")
    assert document.data["a"] == "2020-01-01"
    assert document.data["b"] == "1" and document.data["c"] == "1.0.0"
    assert document.data["~"] == "x" and document.data["1"] == "y"


@settings(deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**62), 2**62)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    )
)
def test_what_pyyaml_writes_reads_back_the_same(value):
    text = yaml.safe_dump({"value": value})
    assert read(text).data == {"value": value}


@settings(deadline=None)
@given(st.text())
def test_no_text_breaks_the_reader(text):
    try:
        document = read(text)
    except InputError as error:
        for fault in error.faults:
            assert fault.what and fault.fix
            str(fault).encode()
    else:
        assert isinstance(document.data, dict)


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!#|>'\"%@`,? \n\t<.0123456789~", max_size=60))
def test_no_yaml_like_text_breaks_the_reader(text):
    try:
        read(text)
    except InputError as error:
        assert all(fault.what and fault.fix for fault in error.faults)
    read_value(text, "--set a")


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "quickstart.yaml").write_text("a: 1\n")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    cases = {
        tmp_path / "quickstat.yaml": (str(tmp_path / "quickstat.yaml"), "no such file"),
        tmp_path: (str(tmp_path), "folder"),
        tmp_path / "latin.yaml": (f"{tmp_path / 'latin.yaml'}:2:7", "not UTF-8"),
        tmp_path / ("x" * 300): (str(tmp_path / ("x" * 300)), "cannot be read"),
        tmp_path / "quickstart.yaml" / "x": (
            str(tmp_path / "quickstart.yaml" / "x"),
            "cannot be read",
        ),
    }
    for path, (place, words) in cases.items():
        with pytest.raises(InputError) as caught:
            read_document(path)
        assert caught.value.faults[0].place == place
        assert words in caught.value.faults[0].what and caught.value.faults[0].fix
        assert caught.value.exit_code == 2
    with pytest.raises(InputError, match=r'did you mean "quickstart\.yaml"\?'):
        read_document(tmp_path / "quickstat.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_document(tmp_path / "bom.yaml").data == {"a": 1, "b": 2}
    assert not read_text(tmp_path / "bom.yaml").startswith("\ufeff")


def test_paths_that_no_file_can_have_are_no_files(tmp_path):
    assert not is_file(tmp_path / ("x" * 300))
    assert not is_file(Path("a\0b"))
    assert not is_file(tmp_path)
    (tmp_path / "f").touch()
    assert is_file(tmp_path / "f")


def test_a_tilde_is_read_as_shells_read_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = [expanded("~/x"), expanded("a/~"), expanded(Path("~no-such-user/x"))]
    assert list(map(str, found)) == ["/home/me/x", "a/~", "~no-such-user/x"]


def test_the_value_of_an_option():
    assert read_value("3", "--set a") == (3, [])
    assert read_value("", "--set a") == (None, [])
    assert read_value("[1, {b: x}]", "--set a") == ([1, {"b": "x"}], [])
    assert read_value("2020-01-01", "--set a") == ("2020-01-01", [])
    # What is no YAML is that text: paths and sentences need no quotes on a command line.
    assert read_value("a: b: c", "--set a") == ("a: b: c", [])
    assert read_value("&a [*a]", "--set a") == ("&a [*a]", [])
    value, faults = read_value("{a: 1, a: 2}", "--set a")
    assert value == {"a": 1} and faults[0].place == "--set a"


class Inner(Settings):
    number: int = Field(default=1, ge=1, lt=9)
    share: float = Field(default=0.5, gt=0, le=1)
    word: str = "x"


class Pair(Settings):
    low: int = 0
    high: int = 9

    @model_validator(mode="after")
    def _fit(self) -> Pair:
        found = [((n,), f"{n} is odd; make it even") for n in ("low", "high") if self.low % 2]
        if found:
            raise Clashes([*found, (("low",), "is too low; raise it")])
        return self


class Outer(Settings):
    pair: Pair | None = None
    inner: Inner | bool = True
    items: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = Field(default={})
    needed: int


def faults_of(text):
    model, faults = validated(read(text), Outer)
    assert model is None
    return [(f.place, f.path, f.what, f.fix) for f in faults]


def test_all_faults_at_once_in_the_order_of_the_file():
    found = faults_of(
        "items:\n"
        "  - {number: 0}\n"
        "  - {numbr: 3, share: 2}\n"
        "by_name:\n"
        "  a: {word: 3}\n"
        "  b: [1]\n"
        "inner: {number: 1.5}\n"
        "extra: 1\n"
    )
    assert [(place, path) for place, path, _, _ in found] == [
        ("file.yaml:1:1", "needed"),
        ("file.yaml:2:6", "items[0].number"),
        ("file.yaml:3:6", "items[1].numbr"),
        ("file.yaml:3:16", "items[1].share"),
        ("file.yaml:5:7", "by_name.a.word"),
        ("file.yaml:6:3", "by_name.b"),
        ("file.yaml:7:9", "inner.number"),
        ("file.yaml:8:1", "extra"),
    ]
    whats = [f"{what}; {fix}" for _, _, what, fix in found]
    assert whats[0] == 'the key "needed" is missing; add `needed:`'
    assert whats[1] == "is 0; give a number at least 1"
    assert whats[2] == 'there is no key "numbr" here; did you mean "number"?'
    assert whats[3] == "is 2; give a number at most 1"
    assert whats[5] == "is not a mapping of keys to values; indent keys below it"
    assert whats[6] == "is not a whole number; give a whole number"
    assert whats[7] == (
        'there is no key "extra" here; use one of: by_name, inner, items, needed, pair'
    )


def test_what_is_wrong_in_the_text_hides_no_other_fault():
    found = faults_of(
        "needed: !!int x\nneeded: 2\nextra: 1\nitems: [{number: 010}]\nby_name: {a: !b c}"
    )
    assert [(place, path) for place, path, *_ in found] == [
        ("file.yaml:1:9", "needed"),
        ("file.yaml:2:1", "needed"),
        ("file.yaml:3:1", "extra"),
        ("file.yaml:4:18", "items[0].number"),
        ("file.yaml:5:14", "by_name.a"),
    ]


def test_all_that_clashes_in_a_block_is_told_where_it_is_written():
    assert faults_of("needed: 1\npair: {low: 1,\n  high: 3}\n") == [
        ("file.yaml:2:8", "pair.low", "low is odd", "make it even"),
        ("file.yaml:2:8", "pair.low", "is too low", "raise it"),
        ("file.yaml:3:3", "pair.high", "high is odd", "make it even"),
    ]


@pytest.mark.parametrize(
    ("text", "fix"),
    [("'3'", "write 3, without"), ("1e3", "write 1000, without"), ("1.5e0", "give a whole number")],
)
def test_a_whole_number_that_is_text_is_shown_without_quotes(text, fix):
    ((_, path, what, said),) = faults_of(f"needed: {text}\n")
    assert (path, what) == ("needed", "is text, not a whole number") and fix in said


def test_values_that_json_does_not_have_hide_no_other_fault():
    found = faults_of(
        "inner: {share: .nan}\nneeded: !!binary aGk=\nitems: [{number: 99}]\n"
        f"by_name: {{a: {{number: {10**30}}}}}\n"
    )
    assert [(path, what) for _, path, what, _ in found] == [
        ("inner.share", "is not a finite number"),
        ("needed", "is of a kind that no setting has (bytes)"),
        ("items[0].number", "is 99"),
        ("by_name.a.number", "is out of range"),
    ]
    assert all(fix for *_, fix in found)
    # ...and even where the model would take what stands in for it, there is no model.
    assert validated(read("needed: 1\nby_name: {}\nitems: []\ninner: .inf\n"), Outer)[0] is None


def test_a_fault_of_an_option_names_the_option():
    document = read("needed: 1\ninner: {number: 0, word: 1}\n")
    document.data["inner"] = {"number": 99}
    document.overridden.add(("inner",))
    _, faults = validated(document, Outer)
    # What the file has there no longer counts, so no line of it is blamed.
    assert [f.place for f in faults] == ["--set inner"]


@settings(deadline=None)
@given(st.text())
def test_no_value_breaks_a_message(text):
    document = Document("f", {"needed": 1, "inner": text, text: text}, {})
    _, faults = validated(document, Outer)
    for fault in faults:
        assert isinstance(fault, Fault) and fault.what and fault.fix
