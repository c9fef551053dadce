from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.errors import InputError
from charter.hub.manifest import Manifest
from charter.hub.number import Tag, best_match, bump, change, next_tag, parse_tag
from charter.hub.publish import publish_local

numbers = st.integers(0, 300)
tags = st.one_of(
    st.builds(Tag, numbers, numbers, numbers, st.just(True), st.just(0)),
    st.builds(Tag, numbers, numbers, numbers, st.just(False), numbers),
)


@given(tags)
def test_a_tag_reads_back_as_itself(tag: Tag) -> None:
    assert parse_tag(str(tag)) == tag


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.0.0",
        "v1",
        "v1.0",
        "v01.0.0",
        "v1.0.0-rc",
        "v1.0.0-beta.1",
        "v1.0.0 ",
        "v1.0.0\n",
        "v١.0.0",
    ],
)
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no version tag"):
        parse_tag(text)


def test_tags_have_the_order_of_semver() -> None:
    texts = [
        "v0.9.0",
        "v0.10.0",
        "v1.0.0-rc.2",
        "v1.0.0-rc.10",
        "v1.0.0",
        "v1.0.1-rc.0",
        "v1.0.1",
        "v1.1.0",
        "v2.0.0",
    ]
    assert [str(tag) for tag in sorted(map(parse_tag, reversed(texts)))] == texts


@given(tags.filter(lambda tag: tag.final), st.sampled_from(["major", "minor", "patch"]))
def test_a_bump_is_later_and_smaller_changes_stay_below_larger_ones(tag: Tag, size: Any) -> None:
    assert bump(tag, size) > tag
    assert bump(tag, "patch") <= bump(tag, "minor") <= bump(tag, "major")
    assert bump(tag, size).major == (tag.major + 1 if tag.major and size == "major" else tag.major)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (">=0.1,<1", "v0.3.1"),
        (" >= 0.1 , < 0.3 ", "v0.2.0"),
        (">0.3.1", "v1.0.0"),
        ("<=0.2", "v0.2.0"),
        ("==0.2", "v0.2.0"),
        ("!=1.0.0", "v0.3.1"),
        (">=v0.1", "v1.0.0"),
        (">=2", None),
    ],
)
def test_a_range_finds_the_highest_release_and_never_a_candidate(
    spec: str, found: str | None
) -> None:
    there = map(parse_tag, ["v0.1.0", "v0.2.0", "v0.3.1", "v0.4.0-rc.1", "v1.0.0", "v2.0.0-rc.1"])
    match = best_match(there, spec)
    assert (match and str(match)) == found


@pytest.mark.parametrize("spec", ["", "latest", "~1.0", ">=", ">=1,", ">=1.0.0.0", ">=1.0-rc.1"])
def test_an_unreadable_range_is_refused(spec: str) -> None:
    with pytest.raises(InputError, match="neither a tag nor a range"):
        best_match([], spec)


@pytest.fixture
def manifest(make_draft: Any, store: Any) -> Manifest:
    return publish_local(make_draft(), store).manifest


CHANGES: list[tuple[str, Any, str, str, str]] = [
    # a change of the facts, its size, the next tag after v0.1.0, and after v1.2.3
    ("schema_version", 3, "major", "v0.2.0", "v2.0.0"),
    ("constitution.fingerprint", "other", "major", "v0.2.0", "v2.0.0"),
    ("models.judge.model", "other", "major", "v0.2.0", "v2.0.0"),
    ("models.generator.temperature", 0.8, "major", "v0.2.0", "v2.0.0"),
    ("models.reviser", {"llm": "other"}, "patch", "v0.1.1", "v1.2.4"),
    ("constitution.version", "1.0.1", "patch", "v0.1.1", "v1.2.4"),
    ("recipe.fingerprint", "other", "patch", "v0.1.1", "v1.2.4"),
    ("seeds.recipe", 8, "patch", "v0.1.1", "v1.2.4"),
    ("reviews", {"agreement": 0.9}, "patch", "v0.1.1", "v1.2.4"),
    ("evaluations", {"refusals": 0.1}, "patch", "v0.1.1", "v1.2.4"),
]


@pytest.mark.parametrize(("path", "value", "size", "young", "stable"), CHANGES)
def test_what_changed_decides_on_the_number(
    manifest: Manifest, path: str, value: Any, size: str, young: str, stable: str
) -> None:
    new = copy.deepcopy(manifest.facts())
    *parents, last = path.split(".")
    place = new
    for name in parents:
        place = place[name]
    place[last] = value
    assert change(manifest.facts(), new, rows_changed=False) == size
    assert change(manifest.facts(), new, rows_changed=True) == (
        "major" if size == "major" else "minor"
    )
    assert next_tag(manifest, new, False) == young
    assert next_tag(manifest.model_copy(update={"tag": "v1.2.3"}), new, False) == stable


def test_changed_rows_are_minor_and_nothing_is_no_version(manifest: Manifest) -> None:
    stable = manifest.model_copy(update={"tag": "v1.2.3"})
    assert next_tag(manifest, manifest.facts(), True) == "v0.1.1"
    assert next_tag(stable, manifest.facts(), True) == "v1.3.0"
    assert next_tag(manifest, manifest.facts(), False) is None
    assert next_tag(None, manifest.facts(), True) == "v0.1.0"
