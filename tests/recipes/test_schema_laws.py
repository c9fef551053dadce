"""The recipe's schema: whatever value stands wherever, the answer is faults in plain words."""

from __future__ import annotations

import copy

import pytest
from full_recipe import FULL, HERE, LOCS, check, put
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from charter.documents import Document, validated
from charter.recipes import Recipe, check_recipe


def name_of(loc):
    return ".".join(map(str, loc))


def test_the_full_recipe_is_right_and_has_every_key():
    assert check(FULL) == []
    schema = Recipe.model_json_schema()
    blocks = schema["$defs"].values()
    known = {key for block in [schema, *blocks] for key in block.get("properties", {})}
    used = {part for loc in LOCS for part in loc if isinstance(part, str)}
    # These exclude `path`, and are tried below. A new key belongs into FULL.
    assert known - used == {"dataset", "config"}


@pytest.mark.parametrize("loc", LOCS, ids=name_of)
def test_a_wrong_kind_of_value_is_one_fault_in_its_place(loc):
    good = FULL
    for part in loc:
        good = good[part]
    wrong = [[[]], {"zzz": {"y": 1}}] if not isinstance(good, dict) else [[1], "text", 3]
    for value in wrong:
        if name_of(loc) in ("sft.principles", "models.generator.options", "train.sft", "train.dpo"):
            value = 3.5
        if loc[-1] in ("a", "max_steps"):
            continue  # free values of TRL's fields and of the LLM's options
        faults = check(put(loc, value))
        inside = [f for f in faults if f.path.replace("[", ".").replace("]", "") != name_of(loc)]
        assert len(faults) - len(inside) <= 1
        assert faults, value
        if not isinstance(value, dict) and not isinstance(good, list):
            assert [f.path for f in faults] == [faults[0].path]


@pytest.mark.parametrize("loc", [loc for loc in LOCS if isinstance(loc[-1], str)], ids=name_of)
def test_a_mistyped_key_gets_a_suggestion(loc):
    data = put(loc, None)
    here = data
    for part in loc[:-1]:
        here = here[part]
    del here[loc[-1]]
    typo = loc[-1][:-1] + loc[-1][-1] * 2 if loc[-1] != "n" else "nn"
    if typo == "aa":
        return
    here[typo] = FULL if len(loc) == 0 else "x"
    mine = [f for f in check(data) if f.path.endswith(typo)]
    assert len(mine) == 1
    assert mine[0].fix == f'did you mean "{loc[-1]}"?'


EDITOR = Draft202012Validator(Recipe.model_json_schema())


@pytest.mark.parametrize(
    "value", [0, 0.0, 2, 0.5, False, None, "", " ", "A b", "x\n", [], {}], ids=repr
)
def test_what_check_takes_is_right_to_an_editor_too(value):
    for loc in LOCS:
        data = put(loc, value)
        if validated(Document("f", data, {}), Recipe)[0] is not None:
            assert EDITOR.is_valid(data), loc


@pytest.mark.parametrize(
    ("loc", "value"),
    [
        (("schema_version",), 2),
        (("name",), "A b"),
        (("constitution",), " "),
        (("models", "generator", "stop", 0), ""),
        (("sft", "few_shot", 0, "principle"), "Brief"),
        (("sft", "few_shot", 0, "prompt"), ""),
        (("publish", "repo"), "x"),
        (("publish", "version"), "1"),
    ],
    ids=str,
)
def test_an_editor_sees_what_is_wrong_with_a_text(loc, value):
    assert check(put(loc, value)) and EDITOR.is_valid(FULL)
    assert not EDITOR.is_valid(put(loc, value))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.sampled_from(["", "hhh", "local", "all", "~nobody/x", "**.jsonl", "a/**b", "x" * 5000])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["llm", "path", "a", "", "prompt"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(LOCS), VALUES), min_size=1, max_size=3))
def test_no_values_anywhere_make_check_raise(changes):
    data = copy.deepcopy(FULL)
    for loc, value in changes:
        here = data
        for part in loc[:-1]:
            held = isinstance(here, dict) and part in here
            held = held or (isinstance(here, list) and isinstance(part, int) and part < len(here))
            here = here[part] if held else None
        if isinstance(here, dict):
            here[loc[-1]] = value
    document = Document("f", data, {})
    loaded, faults = check_recipe(document, HERE)
    assert (loaded is None) == bool(faults)
    for fault in faults:
        assert fault.what and fault.fix and fault.place
        str(fault).encode()


def test_a_text_with_a_nul_is_a_fault_in_its_place():
    (fault,) = check(put(("models", "judge", "model"), "a\0b"))
    assert fault.path == "models.judge.model" and "(NUL)" in fault.what
