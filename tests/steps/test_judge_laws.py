"""What never changes in judging, whatever the judge says."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from judged import EVIL, judged, row_of

from charter.models.call import FLOOR, Answer
from charter.steps.shape import judgment_rows, preference_rows, reject_rows

MODES = st.sampled_from(["verdict", "logprob", "cot", "vote"])


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.text(max_size=12), min_size=2, max_size=4, unique=True),
    MODES,
    st.sampled_from(["both", "single"]),
    st.integers(1, 4) | st.just("all"),
    st.integers(0, 99),
    st.randoms(use_true_random=False),
)
def test_p_chosen_is_the_same_in_whatever_order_candidates_come(
    texts, mode, orders, principles, seed, chance
):
    """Exactly, for a judge whose answers hang on every letter, the place and the seed."""
    wanted = {"mode": mode, "orders": orders, "principles": principles, "votes": 3}
    slots = [f"sampled-{k + 1}" for k in range(len(texts))]
    one, calls = judged(row_of(*texts, slots=slots), seed=seed, **wanted)
    mixed = list(zip(texts, slots, strict=True))
    chance.shuffle(mixed)
    turned = row_of(*[t for t, _ in mixed], slots=[s for _, s in mixed])
    other, others = judged(turned, seed=seed, **wanted)
    assert sorted(map(repr, calls)) == sorted(map(repr, others))

    def labels(row):
        text = {c["slot"]: c["text"] for c in row["candidates"]}
        return {
            frozenset((label["a"], label["b"])): (
                text[label["a" if label["winner"] == "A" else "b"]] if label["winner"] else "",
                label["reason"],
                label["p_chosen"],
                label["n_votes"],
                label["order_consistent"],
            )
            for label in row["labels"]
        }

    assert labels(one) == labels(other)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=12), st.text(max_size=12), MODES, st.integers(0, 99))
def test_p_chosen_is_the_same_with_the_texts_in_each_others_slot(one, two, mode, seed):
    wanted = {"mode": mode, "principles": 2, "votes": 2}
    first, _ = judged(row_of(one, two), seed=seed, **wanted)
    second, _ = judged(row_of(two, one), seed=seed, **wanted)
    (a,), (b,) = first["labels"], second["labels"]
    assert (a["p_chosen"], a["reason"], a["n_votes"]) == (b["p_chosen"], b["reason"], b["n_votes"])


SAID = st.sampled_from(["A", "B", "TIE", "", "no idea", "(A)", "Answer: B"]) | st.text(max_size=20)
ODDS = st.dictionaries(
    st.sampled_from(["A", "B", FLOOR]), st.floats(-40, 0) | st.just(-math.inf), max_size=3
)
ANSWERS = st.builds(Answer, text=SAID, label_logprobs=ODDS) | st.builds(
    Answer, error=st.just("down"), overflow=st.booleans()
)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.text(max_size=8) | st.just(EVIL), min_size=2, max_size=4),
    MODES,
    st.sampled_from(["all", "best-worst", "adaptive"]),
    st.sampled_from(["both", "single"]),
    st.sampled_from(["consistent", "margin"]),
    st.sampled_from([0.0, 0.02, 0.2]),
    st.sampled_from([0.0, 0.05]),
    st.sampled_from([0.0, 1.0]),
    st.data(),
)
def test_nothing_that_the_rules_turn_away_is_published(
    texts, mode, pairs, orders, keep, margin, band, agreed, data
):
    if orders == "single":
        keep, agreed = "margin", 0.0
    if mode == "cot":
        margin, band = min(margin, 0.02), min(band, 0.05)
    rules = {"keep": keep, "tie_band": band, "min_order_consistency": agreed}
    if keep == "margin":
        rules["min_margin"] = margin
    row, _ = judged(
        row_of(*texts),
        lambda call: data.draw(ANSWERS),
        mode=mode,
        pairs=pairs,
        orders=orders,
        principles=2,
        votes=2,
        **rules,
    )
    rows, votes = preference_rows(row), judgment_rows(row)
    rejects = reject_rows(row, (), False, True)
    assert len(rows) + sum(r["pair_id"] is not None for r in rejects) == len(row["labels"])
    for made in rows:
        mine = [v for v in votes if v["comparison_id"] == made["id"]]
        parsed = [v for v in mine if v["verdict"] != "UNPARSED"]
        assert made["n_votes"] == len(parsed) > 0
        assert {v["order"] for v in parsed} == {"AB", "BA"} or orders == "single"
        assert 0.5 < made["p_chosen"] <= 1
        assert made["p_chosen"] - 0.5 > band
        assert keep == "consistent" or made["p_chosen"] - 0.5 >= margin - 1e-8
        assert keep == "margin" or made["order_consistent"]
        chosen, rejected = made["chosen"][0]["content"], made["rejected"][0]["content"]
        assert chosen != rejected and chosen.casefold().split() != rejected.casefold().split()
        assert chosen != EVIL
    for vote in votes:
        assert (vote["verdict"] == "UNPARSED") == (vote["p_a"] is None)
