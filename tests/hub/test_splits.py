from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import InputError
from charter.hub.clusters import shingles, similar
from charter.hub.splits import Splits, assign_splits, ensure_train
from charter.rows import digest, normalised

# Few words and letters, so that near-duplicates are common.
texts = st.lists(st.sampled_from(["stone", "bread", "water", "light", "paper"]), max_size=12).map(
    " ".join
)
edits = st.tuples(texts, st.integers(0, 40), st.text("abß ", max_size=2)).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
)
prompt_lists = st.lists(st.one_of(texts, edits), max_size=12).map(
    lambda each: [(f"p{i}", text) for i, text in enumerate(each)]
)
fractions = st.sampled_from([0.0, 0.15, 0.5, 1.0])


def _exact(prompts: list[tuple[str, str]]) -> dict[str, str]:
    """The clusters by comparing all pairs, to the id of the first."""
    first = {name: name for name, _ in prompts}
    for (one, text), (other, text2) in itertools.combinations(prompts, 2):
        if first[one] != first[other] and similar(
            shingles(normalised(text)), shingles(normalised(text2))
        ):
            gone = first[other]
            first = {name: first[one] if f == gone else f for name, f in first.items()}
    order = [name for name, _ in prompts]
    return {
        name: min((o for o in order if first[o] == f), key=order.index) for name, f in first.items()
    }


@settings(max_examples=150, deadline=None)
@given(prompt_lists, fractions)
def test_clusters_are_those_of_comparing_all_pairs_and_never_part(
    prompts: list[tuple[str, str]], fraction: float
) -> None:
    splits = assign_splits(prompts, test_fraction=fraction)
    assert splits.cluster_of == _exact(prompts)
    assert list(splits) == [name for name, _ in prompts]
    for name, split in splits.items():
        assert split == splits[splits.cluster_of[name]]
        assert split == {0.0: "train", 1.0: "test"}.get(fraction, split)


@settings(max_examples=100, deadline=None)
@given(prompt_lists, prompt_lists, fractions, fractions)
def test_a_published_prompt_keeps_its_split_whatever_comes_beside_it(
    old: list[tuple[str, str]], more: list[tuple[str, str]], before: float, after: float
) -> None:
    kept = dict(assign_splits(old, test_fraction=before))
    new = [(f"n{name}", text) for name, text in more]
    both = [prompt for pair in itertools.zip_longest(new, old) for prompt in pair if prompt]
    splits = assign_splits(both, test_fraction=after, kept=kept)
    assert {name: splits[name] for name in kept} == kept
    for name, _ in new:
        cluster = [other for other in splits if splits.cluster_of[other] == splits.cluster_of[name]]
        anchors = [other for other in cluster if other in kept]
        assert splits[name] == splits[anchors[0] if anchors else cluster[0]]


@settings(max_examples=100, deadline=None)
@given(prompt_lists, st.data())
def test_train_is_not_empty_and_clusters_move_whole(
    prompts: list[tuple[str, str]], data: st.DataObject
) -> None:
    splits = assign_splits(prompts, test_fraction=1.0)
    ids = list(splits)
    used = {
        config: data.draw(st.lists(st.sampled_from(ids), max_size=4) if ids else st.just([]))
        for config in ("sft", "preference", "judgments", "rejects")
    }
    moved = ensure_train(splits, used)
    assert set(splits.values()) <= {"test"}  # the argument is left as it was
    for each in used.values():
        assert not each or any(moved[name] == "train" for name in each)
    for name in moved:
        assert moved[name] == moved[splits.cluster_of[name]]
    assert len({splits.cluster_of[n] for n in moved if moved[n] == "train"}) <= 4
    assert ensure_train(moved, used) == moved


def test_near_duplicates_share_a_split_and_others_do_not_meet() -> None:
    prompts = [
        ("a", "How do I keep my sourdough starter alive while I am on holiday for three weeks?"),
        ("b", "How do I keep my sourdough starter alive while I'm on holiday for three weeks?"),
        ("c", "  how do I keep my SOURDOUGH starter alive while i am on holiday for three weeks?"),
        ("d", "How do I make a cake?"),
        ("e", "How do I make a bomb?"),
        ("f", "Hi"),
        ("g", "hi"),
        ("h", "Ho"),
        ("i", ""),
        ("j", "怎样才能让我的酸面团在我度假三个星期的时候一直保持活力?请告诉我"),
        ("k", "怎样才能让我的酸面团在我度假三个星期的时候一直保持活力？请告诉我吧"),
    ]
    splits = assign_splits(prompts, test_fraction=0.5)
    assert splits.cluster_of == dict(zip("abcdefghijk", "aaadeffhijj", strict=True))


def test_the_draw_depends_on_the_first_id_alone() -> None:
    prompts = [(f"p{i}", digest(i)) for i in range(300)]
    splits = assign_splits(prompts, test_fraction=0.2)
    assert 40 <= sum(split == "test" for split in splits.values()) <= 80
    again = assign_splits(
        [(name, f"other {text[::-1]}") for name, text in prompts[::-1]], test_fraction=0.2
    )
    assert dict(again) == dict(splits)
    more = assign_splits(prompts, test_fraction=0.4)
    assert all(more[name] == "test" for name, split in splits.items() if split == "test")
    # Written down, since every published split depends on it.
    first = [name for name, split in splits.items() if split == "test"][:5]
    assert first == ["p5", "p7", "p9", "p20", "p21"]


def test_kept_members_that_disagree_stay_and_new_ones_follow_the_first() -> None:
    prompts = [(name, "one and the same text") for name in "abcd"]
    splits = assign_splits(
        prompts, test_fraction=0.0, kept={"b": "test", "c": "train", "zz": "test"}
    )
    assert dict(splits) == {"a": "test", "b": "test", "c": "train", "d": "test"}


def test_a_config_of_published_test_prompts_alone_cannot_be_trained_on() -> None:
    prompts = [("a", "one text"), ("b", "one text"), ("c", "quite another thing")]
    kept = {"a": "test"}
    splits = assign_splits(prompts, test_fraction=1.0, kept=kept)
    with pytest.raises(InputError) as caught:
        ensure_train(splits, {"sft": ["a", "b"], "preference": ["b"], "rejects": ["a"]}, kept)
    assert ["sft" in caught.value.faults[0].what, "preference" in caught.value.faults[1].what] == [
        True,
        True,
    ]
    assert "add prompts" in caught.value.faults[0].fix
    assert len(caught.value.faults) == 2
    assert ensure_train(splits, {"sft": ["a", "c"], "rejects": ["a"]}, kept) == {
        "a": "test",
        "b": "test",
        "c": "train",
    }


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="no share"):
        assign_splits([], test_fraction=1.5)
    with pytest.raises(ValueError, match="twice"):
        assign_splits([("a", "x"), ("a", "y")], test_fraction=0.5)
    with pytest.raises(ValueError, match="no split"):
        assign_splits([("a", "x")], test_fraction=0.5, kept={"a": "dev"})
    assert assign_splits([], test_fraction=0.5) == {}
    assert isinstance(assign_splits([], test_fraction=0.5), Splits)
