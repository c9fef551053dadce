"""Constitutions: what the schema takes and refuses, and what a fingerprint covers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from charter.constitutions import Constitution, load_constitution
from charter.documents import Document, read_document, validated
from charter.errors import InputError

GOOD = """\
schema_version: 1
name: tiny
version: 1.2.3
licence: CC0-1.0
principles:
  - id: kind
    name: Be kind
    critique: Is it kind?
    revision: Make it kind.
    comparison: Choose the kinder response.
  - id: short
    name: Be short
    critique: Is it short?
    revision: Make it short.
    comparison: Choose the shorter response.
    weight: 2
    tags: [style]
"""


def load(text):
    return load_constitution(read_document(Path("c.yaml"), text))


def changed(**changes):
    """GOOD with other values, by dotted path with __ for the dot."""
    data = yaml.safe_load(GOOD)
    for path, value in changes.items():
        *parents, last = [int(p) if p.isdigit() else p for p in path.split("__")]
        here = data
        for part in parents:
            here = here[part]
        if value is ...:
            del here[last]
        else:
            here[last] = value
    return yaml.safe_dump(data, sort_keys=False)


def test_a_constitution_loads():
    constitution = load(GOOD)
    assert [p.id for p in constitution.principles] == ["kind", "short"]
    assert constitution.principle("short").weight == 2.0
    assert constitution.principle("kind").tags == ()
    with pytest.raises(KeyError):
        constitution.principle("cruel")


def test_texts_lose_the_white_space_around_them():
    assert load(changed(principles__0__critique="\n  Is it?\n")).principles[0].critique == "Is it?"


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"principles": []}, "principles", "no principle"),
        ({"principles": ...}, "principles", "missing"),
        ({"principles": {}}, "principles", "not a list"),
        ({"principles__1__id": "kind"}, "principles[1].id", 'earlier principle, "kind"'),
        ({"principles__0__id": "Kind"}, "principles[0].id", "no identifier"),
        ({"principles__0__id": "ki nd"}, "principles[0].id", "no identifier"),
        ({"principles__0__id": "-kind"}, "principles[0].id", "no identifier"),
        ({"principles__0__id": "a" * 65}, "principles[0].id", "no identifier"),
        ({"principles__0__id": "kind\n"}, "principles[0].id", "no identifier"),
        ({"principles__0__id": 3}, "principles[0].id", "not text"),
        ({"principles__1__comparison": " \n"}, "principles[1].comparison", "blank"),
        ({"principles__1__critique": ...}, "principles[1].critique", "missing"),
        ({"principles__1__weight": 0}, "principles[1].weight", "is 0"),
        ({"principles__1__weight": -1.5}, "principles[1].weight", "is -1.5"),
        ({"principles__1__weight": "2"}, "principles[1].weight", "not a number"),
        ({"principles__1__weight": True}, "principles[1].weight", "not a number"),
        ({"principles__1__tags": "style"}, "principles[1].tags", "not a list"),
        ({"principles__1__tags": [""]}, "principles[1].tags[0]", "blank"),
        ({"principles__1__wieght": 2}, "principles[1].wieght", "no key"),
        ({"version": "1.0"}, "version", "no version"),
        ({"version": 1.0}, "version", "not text"),
        ({"version": "01.0.0"}, "version", "no version"),
        ({"licence": ...}, "licence", "missing"),
        ({"license": "MIT"}, "license", "no key"),
        ({"name": "../x"}, "name", "no identifier"),
        ({"schema_version": 2}, "schema_version", "newer"),
        ({"schema_version": 0}, "schema_version", "no schema 0"),
        ({"schema_version": "1"}, "schema_version", "whole number"),
        ({"schema_version": True}, "schema_version", "whole number"),
    ],
    ids=str,
)
def test_one_thing_wrong_is_one_fault(changes, path, words):
    with pytest.raises(InputError) as caught:
        load(changed(**changes))
    (fault,) = caught.value.faults
    assert fault.path == path
    assert words in fault.what and fault.fix


def test_a_mistyped_key_gets_a_suggestion():
    with pytest.raises(InputError, match='did you mean "licence"'):
        load(changed(license="MIT"))
    with pytest.raises(InputError, match='did you mean "weight"'):
        load(changed(principles__1__wieght=2))


def test_all_faults_of_all_principles_at_once():
    text = changed(
        principles__0__id="K", principles__0__critique="", principles__1__weight=0, version="x"
    )
    _, faults = validated(read_document(Path("c.yaml"), text), Constitution)
    assert [f.path for f in faults] == [
        "version",
        "principles[0].id",
        "principles[0].critique",
        "principles[1].weight",
    ]
    lines = text.splitlines()
    for fault in faults:
        _, line, col = fault.place.split(":")
        assert lines[int(line) - 1][int(col) - 1 :].startswith(fault.path.rpartition(".")[2])


def test_every_id_that_stands_twice_is_told_in_its_line():
    principle = "{id: %s, name: n, critique: c, revision: r, comparison: Choose the better.}"
    text = "name: c\nversion: 1.0.0\nlicence: MIT\nprinciples:\n" + "".join(
        f"- {principle % name}\n" for name in ("a", "b", "a", "c", "b", "a")
    )
    _, faults = validated(read_document(Path("c.yaml"), text), Constitution)
    assert [(f.place, f.path) for f in faults] == [
        (f"c.yaml:{5 + at}:4", f"principles[{at}].id") for at in (2, 4, 5)
    ]


@pytest.mark.parametrize(
    ("loc", "value"),
    [("name", "A b"), ("version", "1.0"), ("licence", " "), ("schema_version", 2)],
)
def test_an_editor_sees_in_the_json_schema_what_check_refuses(loc, value):
    schema = Draft202012Validator(Constitution.model_json_schema())
    data = read_document(Path("c.yaml"), changed()).data
    assert schema.is_valid(data)
    assert not schema.is_valid({**data, loc: value})
    assert [f.path for f in validated(Document("c", {**data, loc: value}, {}), Constitution)[1]]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"version": "2.0.0"},
        {"licence": "MIT"},
        {"description": "new"},
        {"sources": ["x"]},
        {"principles__0__name": "Other"},
        {"principles__0__tags": ["x"]},
        {"principles__0__weight": 1},
        {"schema_version": ...},
    ],
    ids=str,
)
def test_what_changes_no_row_changes_no_fingerprint(changes):
    assert load(changed(**changes)).fingerprint() == load(GOOD).fingerprint()
    assert load(f"# a comment\n{GOOD}").fingerprint() == load(GOOD).fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"principles__0__id": "kinder"},
        {"principles__0__critique": "Is it really kind?"},
        {"principles__0__revision": "x"},
        {"principles__0__comparison": "x"},
        {"principles__0__weight": 1.5},
        {"principles__1": ...},
    ],
    ids=str,
)
def test_what_a_model_reads_or_what_counts_is_in_the_fingerprint(changes):
    assert load(changed(**changes)).fingerprint() != load(GOOD).fingerprint()


def test_the_order_of_principles_is_in_the_fingerprint():
    data = yaml.safe_load(GOOD)
    data["principles"].reverse()
    assert load(yaml.safe_dump(data)).fingerprint() != load(GOOD).fingerprint()


def test_a_constitution_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load(GOOD).name = "x"
