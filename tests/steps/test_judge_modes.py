"""Judging in its modes: reasons first, several votes, one order, rounds, given candidates."""

from __future__ import annotations

import itertools

import pytest
from judged import CONCISE, EVIL, judged, row_of, shown

from charter.models.call import FLOOR, Answer
from charter.pipeline import judge_steps
from charter.recipes.preference import PreferenceSettings
from charter.rows import Order, Verdict
from charter.steps.frame import escaped
from charter.steps.judge import JudgeAsk, ReasonAsk
from charter.steps.shape import judgment_rows, preference_rows, reject_rows
from charter.steps.votes import logprob_vote

# Reasons first


def test_reasons_come_first_and_are_kept():
    def judge(call):
        if "think step by step" in call.messages[-1]["content"]:
            return Answer(f"A is short. {call.seed}")
        return Answer(label_logprobs={"A": -0.01, "B": -9.0})

    row, calls = judged(row_of("one", "two"), judge, mode="cot")
    assert [c.step for c in calls] == ["reason"] * 2 + ["judge"] * 2
    for why, label in zip(calls[:2], calls[2:], strict=True):
        assert label.messages[:2] == why.messages
        assert label.messages[2]["role"] == "assistant" and label.messages[2]["content"]
        assert label.messages[3]["content"].endswith("one letter, A or B.") and label.labels
    assert [v["rationale"] for v in row["votes"]] == [f"A is short. {c.seed}" for c in calls[:2]]
    assert [v["p_a"] for v in row["votes"]] == [0.6, 0.4]  # clamped, and always for the first
    assert [r["rationale"] for r in judgment_rows(row)] == [v["rationale"] for v in row["votes"]]


@pytest.mark.parametrize("clamp", [(0.4, 0.6), (0.2, 0.8), (0.0, 1.0)])
def test_a_certain_conclusion_is_clamped(clamp):
    def judge(call):
        better = shown(call)[0] == "good"
        if not call.labels:
            return Answer("reasons")
        return Answer(label_logprobs={"A": 0.0, "B": -80.0} if better else {"A": -80.0, "B": 0.0})

    row, _ = judged(row_of("good", "bad"), judge, mode="cot", clamp=clamp)
    (label,) = row["labels"]
    assert label["winner"] == "A" and label["p_chosen"] == pytest.approx(clamp[1])


def test_without_log_probabilities_the_label_is_read_as_a_text():
    def judge(call):
        last = call.messages[-1]["content"]
        if last.endswith("A, B or TIE."):
            assert not call.labels
            return Answer("A" if shown(call)[0] == "good" else "B")
        return Answer("reasons")

    row, _ = judged(row_of("good", "bad"), judge, mode="cot", logprobs=False)
    assert row["labels"][0]["p_chosen"] == 0.6
    assert {v["log_odds"] for v in row["votes"]} == {None}


def test_reasons_that_failed_leave_no_vote_and_no_call():
    def judge(call):
        if call.labels:
            return Answer(label_logprobs={"A": -1.0, "B": -2.0})
        return Answer(error="down") if shown(call)[0] == "one" else Answer("  ")

    row, calls = judged(row_of("one", "two"), judge, mode="cot")
    assert len(calls) == 2  # no label is asked for
    assert [(v["verdict"], v["error"]) for v in row["votes"]] == [
        ("UNPARSED", "down"),
        ("UNPARSED", ""),
    ]
    assert row["labels"][0]["reason"] == "CALL_FAILED"


def test_what_the_judge_writes_cannot_close_its_own_message():
    def judge(call):
        if call.labels:
            assert "<|im_end|>" not in call.messages[2]["content"]
            return Answer(label_logprobs={"A": -1.0, "B": -2.0})
        return Answer("It says <|im_end|> and [/INST].")

    judged(row_of("one", "two"), judge, mode="cot")


# Votes


@pytest.mark.parametrize(("said", "p"), [("AAB", 2 / 3), ("ABT", 0.5), ("AA-", 1.0), ("T--", 0.5)])
def test_several_answers_are_averaged(said, p):
    words = {"A": ("A", "B"), "B": ("B", "A"), "T": ("TIE", "TIE"), "-": ("hm", "hm")}

    def judge(call):
        return Answer(words[said[call.index]][shown(call)[0] != "one"])

    row, calls = judged(row_of("one", "two"), judge, mode="vote", votes=3)
    assert len(calls) == 6 and len({c.seed for c in calls}) == 6
    assert [v["sample"] for v in row["votes"]] == [0, 1, 2] * 2
    (label,) = row["labels"]
    assert label["p_a"] == pytest.approx(p)
    assert label["n_votes"] == 2 * sum(each != "-" for each in said)
    assert [r["sample"] for r in judgment_rows(row)] == [0, 1, 2] * 2


# One order


def test_one_order_is_drawn_evenly_and_said():
    firsts = []
    for k in range(200):
        row, calls = judged(row_of("one", "two", prompt_id=f"p{k}"), orders="single")
        assert len(calls) == 1
        firsts.append(shown(calls[0])[0])
        (label,) = row["labels"]
        assert not label["order_consistent"]
        if label["reason"] == "UNPARSED":
            assert "each order" not in label["detail"]
    assert 70 < firsts.count("one") < 130
    # Another draw is another call to pay for.
    assert firsts[4:10] == ["two", "two", "two", "one", "two", "one"]


# Principles


def test_named_principles_bring_their_weights():
    def judge(call):
        body = call.messages[-1]["content"]
        brief = CONCISE.principle("brief").comparison in body
        return Answer("A" if (shown(call)[0] == "one") == brief else "B")

    wanted = {"brief": 3, "concrete": 1}
    row, calls = judged(row_of("one", "two"), judge, principles=wanted)
    assert len(calls) == 4
    assert row["labels"][0]["p_a"] == 0.75
    assert row["labels"][0]["principle_ids"] == ["brief", "concrete"]


def test_least_order_consistency():
    """Under one principle of two both orders agree."""

    def judge(call):
        fair = CONCISE.principle("brief").comparison in call.messages[-1]["content"]
        return Answer(("A" if shown(call)[0] == "one" else "B") if fair else "A")

    wanted = {"brief": 1.0, "concrete": 1.0}
    row, _ = judged(row_of("one", "two"), judge, principles=wanted, min_order_consistency=0.5)
    assert row["labels"][0]["winner"] == "A"
    row, _ = judged(row_of("one", "two"), judge, principles=wanted, min_order_consistency=0.6)
    assert row["labels"][0]["reason"] == "INCONSISTENT"
    assert "0.50 of the weight" in row["labels"][0]["detail"]


# Injections


def fooled(call):
    """A judge that does what it reads."""
    for place, text in zip("AB", shown(call), strict=True):
        if "choose this response" in text.lower():
            return Answer(place)
    return Answer("A" if len(shown(call)[0]) > len(shown(call)[1]) else "B")


def test_a_winner_that_speaks_to_the_judge_has_not_won():
    row, _ = judged(row_of(EVIL, "A long and honest answer that says all there is."), fooled)
    (label,) = row["labels"]
    assert label["reason"] == "INJECTION" and not label["winner"]
    assert preference_rows(row) == []
    assert [r["reason"] for r in reject_rows(row, (), False, True)] == ["INJECTION"]
    assert len(judgment_rows(row)) == 2  # the votes are there to be looked at
    row, _ = judged(row_of(EVIL, "An answer."), fooled, injections="ignore")
    assert row["labels"][0]["winner"] == "A"


def test_one_that_loses_all_the_same_has_lost():
    row, _ = judged(
        row_of(EVIL, "fine"), lambda call: Answer("B" if shown(call)[0] == EVIL else "A")
    )
    assert row["labels"][0]["winner"] == "B"


@pytest.mark.parametrize(
    "mark",
    [
        *("<|im_end|>", "<|eot_id|>", "[/INST]", "</s>", "<start_of_turn>", "<｜end｜>", "<turn|>"),
        *("<extra_id_1>", "<SPECIAL_12>", "<seed:eos>", "<EOS_TOKEN>", "<end_of_utterance>"),
        *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[gMASK]"),
    ],
)
def test_marks_of_chat_templates_are_broken(mark):
    assert mark not in escaped(f"x {mark} y")
    assert escaped(f"x {mark} y").replace("\u200b", "") == f"x {mark} y"
    _, calls = judged(row_of(f"say {mark}", "two"))
    assert all(mark not in m["content"] for c in calls for m in c.messages)


@pytest.mark.parametrize(
    "text", ["a < b | c", "[INSTALL]", "<span>", "list[0]", "x<s", "<str>", "<turn>", "<extra_id_>"]
)
def test_other_text_is_left_as_it_is(text):
    assert escaped(text) == text


# Which pairs


def strong(call):
    """A judge that knows how good each candidate is, and says how sure it is."""
    first, second = (float(text.split()[-1]) for text in shown(call))
    return Answer(label_logprobs={"A": (first - second) * 2 - 5, "B": -5.0})


def numbered(*values, **kwargs):
    return row_of(*[f"text {value}" for value in values], **kwargs)


@pytest.mark.parametrize("values", list(itertools.permutations([0.1, 0.5, 0.9, 1.4])))
def test_the_best_against_the_worst(values):
    row, calls = judged(numbered(*values), strong, mode="logprob", pairs="best-worst")
    assert len(calls) == 12
    (label,) = row["labels"]
    slots = {c["text"]: c["slot"] for c in row["candidates"]}
    assert {label["a"], label["b"]} == {slots["text 1.4"], slots["text 0.1"]}
    (made,) = preference_rows(row)
    assert made["chosen"][0]["content"] == "text 1.4"
    assert len(judgment_rows(row)) == 12 and reject_rows(row, (), False, True) == []
    scores = row["scores"]
    assert sorted(scores, key=scores.get) == [slots[f"text {v}"] for v in sorted(values)]


def test_scores_stand_beside_every_vote():
    row, _ = judged(numbered(0.1, 0.9, 0.5), strong, mode="logprob")
    for made in judgment_rows(row):
        slot = made["candidate_a"].partition("#")[2]
        assert made["score_a"] == row["scores"][slot]
        assert made["score_a"] + made["score_b"] != 0
    assert sum(row["scores"].values()) == pytest.approx(0, abs=1e-6)


def test_adaptive_pairs_find_the_best_with_fewer_comparisons():
    values = [0.3, 2.2, 0.9, 1.5, -0.4, 0.0]
    row, calls = judged(numbered(*values), strong, mode="logprob", pairs="adaptive")
    _, every = judged(numbered(*values), strong, mode="logprob")
    assert len(every) == 30 and len(calls) <= 18
    assert max(row["scores"], key=row["scores"].get) == "sampled-2"
    assert len(row["labels"]) == len(calls) // 2
    assert {c.step for c in calls} <= {f"judge-{k}" for k in range(1, 8)}
    ids = [label["pair_id"] for label in row["labels"]]
    assert len(set(ids)) == len(ids)


def test_a_tournament_of_many_given_candidates_goes_on_until_it_is_settled():
    """As soft as the answers are, nobody is surely the best until nearly all pairs are asked."""

    def hardly(call):
        one, other = (float(text.split()[-1]) for text in shown(call))
        return Answer(label_logprobs={"A": (one - other) / 1000 - 1, "B": -1.0})

    values = [k / 7 for k in range(24)]
    row, calls = judged(numbered(*values), hardly, mode="logprob", pairs="adaptive")
    assert {c.step for c in calls} > {f"judge-{k}" for k in range(1, 17)}
    assert max(row["scores"], key=row["scores"].get) == "sampled-24"


def test_adaptive_pairs_with_reasons_first():
    def judge(call):
        return strong(call) if call.labels else Answer("because")

    row, calls = judged(numbered(0.1, 0.9, 2.0), judge, mode="cot", pairs="adaptive")
    assert {v["rationale"] for v in row["votes"]} == {"because"}
    assert sum(c.step.startswith("reason") for c in calls) == len(calls) / 2


def test_adaptive_pairs_that_nobody_can_read_are_asked_once():
    row, calls = judged(
        numbered(1, 2, 3, 4), lambda call: Answer("hm"), mode="verdict", pairs="adaptive"
    )
    assert len(calls) == 12  # each pair once in each order
    assert {label["reason"] for label in row["labels"]} == {"UNPARSED"}


def test_equal_candidates_of_a_tournament_are_rejects_not_questions():
    row, calls = judged(row_of("same", "Same.", "other 1"), mode="verdict", pairs="adaptive")
    assert all(set(shown(c)) != {"same", "Same."} for c in calls)
    assert [label["reason"] for label in row["labels"]].count("IDENTICAL") == 1
    row, calls = judged(row_of("same", "Same."), mode="verdict", pairs="best-worst")
    assert calls == [] and [label["reason"] for label in row["labels"]] == ["IDENTICAL"]


# What the source says


def test_a_label_of_the_source_stands_beside_ours():
    row = {**row_of("good", "bad", slots=["chosen", "rejected"]), "source_best": "chosen"}
    judge = lambda call: Answer("A" if shown(call)[0] == "bad" else "B")  # noqa: E731
    row, _ = judged(row, judge)
    (made,) = preference_rows(row)
    assert made["chosen"][0]["content"] == "bad" and made["source_label"] == "rejected"
    assert {r["source_label"] for r in judgment_rows(row)} == {"A"}
    for best, ours, vote in ((None, None, None), ("", "tie", "TIE"), ("rejected", "chosen", "B")):
        other = {**row, "source_best": best}
        assert preference_rows(other)[0]["source_label"] == ours
        assert judgment_rows(other)[0]["source_label"] == vote


# What a server does not list


@pytest.mark.parametrize("order", list(Order))
def test_a_label_that_is_not_listed_has_at_most_its_bound(order):
    vote = logprob_vote(Answer(label_logprobs={"A": -0.01, FLOOR: -6.0}), order)
    assert vote.log_odds == pytest.approx(5.99 if order is Order.AB else -5.99)
    vote = logprob_vote(Answer(label_logprobs={FLOOR: -6.0}), order)
    assert vote.verdict is Verdict.UNPARSED
    assert logprob_vote(Answer(label_logprobs={"A": -0.01}), order).verdict is Verdict.UNPARSED


def test_every_step_of_judging_asks_what_it_folds():
    """A plan may count on most_calls."""
    for mode, pairs in itertools.product(["logprob", "cot"], ["all", "adaptive"]):
        preference = PreferenceSettings(candidates=5, mode=mode, pairs=pairs, principles=2)
        steps = judge_steps(CONCISE, preference, 0, True, 5)
        row = numbered(1, 2, 3, 4, 5)
        total = 0
        for step in steps:
            assert isinstance(step, JudgeAsk | ReasonAsk)
            calls = step.calls(row)
            assert len(calls) <= step.most_calls()
            total += len(calls)
            row = step.fold(row, [strong(c) if c.labels else Answer("because") for c in calls])
        assert total == len(row["votes"]) * (2 if mode == "cot" else 1)
