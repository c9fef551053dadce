"""Respond, critique, revise: what is asked, what becomes of the row, and what faults do."""

from __future__ import annotations

import pytest

from charter.constitutions import load_constitution, shipped_constitutions
from charter.models.call import Answer
from charter.recipes.schema import FewShot
from charter.rows import draw_int
from charter.steps.asking import answer_fault, as_messages, fault_at, prepared
from charter.steps.critique import CritiqueAsk, critique_messages, latest
from charter.steps.respond import RespondAsk
from charter.steps.revise import ReviseAsk, revise_messages

CONCISE = load_constitution(shipped_constitutions()["concise"])
BRIEF = CONCISE.principle("brief")
SHOT = FewShot(principle="concrete", prompt="P", response="R", critique="C", revision="V")
PROMPT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Why?"},
]


def ask(step, row, *answers):
    calls = step.calls(row)
    assert len(calls) == len(answers)
    return step.fold(row, [a if isinstance(a, Answer) else Answer(a) for a in answers])


def roles(messages):
    return "".join(m["role"][0] for m in messages)


def test_the_requests_follow_the_answer_as_in_the_paper():
    asked = critique_messages(PROMPT, "Because.", BRIEF)
    assert roles(asked) == "suauau"
    assert [m["content"] for m in asked[-2:]] == ["Because.", BRIEF.critique]
    revised = revise_messages(PROMPT, "Because.", "Too short.", BRIEF)
    assert revised[: len(asked)] == asked
    assert roles(revised) == "suauauau"
    assert [m["content"] for m in revised[-2:]] == ["Too short.", BRIEF.revision]


def test_worked_examples_stand_between_system_and_conversation():
    about = CONCISE.principle("concrete")
    asked = critique_messages(PROMPT, "Because.", BRIEF, [(SHOT, about)])
    assert roles(asked) == "s" + "uauaua" + "uau" + "au"
    assert [m["content"] for m in asked[1:7]] == [
        "P",
        "R",
        about.critique,
        "C",
        about.revision,
        "V",
    ]
    # Roles take turns, so that every chat template takes them.
    turns = roles(asked)[1:]
    assert turns == "ua" * (len(turns) // 2) + "u"


def test_a_row_walks_two_rounds():
    row = {"prompt": "Why?", "prompt_id": "p"}
    row = ask(RespondAsk(0, 1, "gen", candidate=True), row, " first \n")
    assert row["initial_response"] == "first"
    for k in (1, 2):
        critique = CritiqueAsk(CONCISE, k, "all", 1)
        before = critique.calls(row)[0].messages
        assert before[1]["content"] == ("first" if k == 1 else "revision 1")
        # Each round starts from the answer alone: earlier critiques are not shown.
        assert len(before) == 3 and "critique" not in before[1]["content"]
        row = ask(critique, row, f"critique {k}")
        revise = ReviseAsk(CONCISE, k, 1, "rev", candidate=k == 2)
        row = ask(revise, row, f"revision {k}")
    assert row["revisions"] == [
        {
            "principle_id": CONCISE.principles[k].id,
            "critique": f"critique {k + 1}",
            "revision": f"revision {k + 1}",
            "model": "rev",
        }
        for k in range(2)
    ]
    assert row["candidates"] == [
        {"slot": "initial", "text": "first", "model": "gen"},
        {"slot": "revised", "text": "revision 2", "model": "rev"},
    ]
    assert latest(row) == "revision 2" and not row["faults"]


def test_thoughts_are_neither_shown_nor_published():
    row = {"prompt": "Why?", "prompt_id": "p"}
    row = ask(RespondAsk(0, 1, "gen"), row, "<think>Hm.</think>\n\nfirst")
    row = ask(CritiqueAsk(CONCISE, 1), row, "Too long?\n</think>critique")
    asked = ReviseAsk(CONCISE, 1, 1, "rev").calls(row)[0].messages
    assert [m["content"] for m in asked if m["role"] == "assistant"] == ["first", "critique"]
    row = ask(ReviseAsk(CONCISE, 1, 1, "rev"), row, "<think>Shorter.</think>revision")
    assert (row["initial_response"], latest(row), row["faults"]) == ("first", "revision", [])


FAULTS = [
    (Answer(""), "EMPTY"),
    (Answer(" \n\t"), "EMPTY"),
    (Answer("<think>Let me see", finish_reason="length"), "EMPTY"),
    (Answer(error="down"), "CALL_FAILED"),
    (Answer(error="too long", overflow=True), "CONTEXT_OVERFLOW"),
]


@pytest.mark.parametrize(
    ("answer", "reason"), FAULTS, ids=["empty", "blank", "thoughts", "failed", "overflow"]
)
@pytest.mark.parametrize("stage", ["respond", "critique-1", "revise-1", "critique-2", "revise-2"])
def test_after_a_fault_nothing_more_is_asked_of_the_chain(stage, answer, reason):
    row = {"prompt": "Why?", "prompt_id": "p"}
    steps = [
        RespondAsk(candidate=True),
        CritiqueAsk(CONCISE, 1),
        ReviseAsk(CONCISE, 1),
        CritiqueAsk(CONCISE, 2),
        ReviseAsk(CONCISE, 2, candidate=True),
    ]
    asked = []
    for step in steps:
        calls = step.calls(row)
        asked += [step.name] * len(calls)
        row = step.fold(row, [answer if step.name == stage else Answer("fine")] * len(calls))
    assert asked[-1] == stage
    (fault,) = row["faults"]
    slot = "initial" if stage == "respond" else "revised"
    assert fault["stage"] == stage and fault["slot"] == slot and fault_at(row, slot) == fault
    expected = f"EMPTY_{stage.split('-')[0].upper()}".replace("RESPOND", "RESPONSE")
    expected = expected.replace("REVISE", "REVISION")
    assert fault["reason"] == (expected if reason == "EMPTY" else reason) and fault["detail"]
    assert latest(row) is None
    assert [c["slot"] for c in row["candidates"]] == ([] if stage == "respond" else ["initial"])
    # A sampled candidate does not hang on the chain.
    assert len(RespondAsk(1).calls(row)) == 1


def test_sampled_candidates_have_their_own_seeds():
    row = {"prompt": "Why?", "prompt_id": "p"}
    calls = [RespondAsk(k, seed=4).calls(row)[0] for k in range(4)]
    assert len({c.seed for c in calls}) == 4
    assert [c.index for c in calls] == [0, 1, 2, 3]
    assert {str(c.messages) for c in calls} == {"({'role': 'user', 'content': 'Why?'},)"}
    row = ask(RespondAsk(2, model="g"), row, "two")
    assert row["candidates"] == [{"slot": "sampled-2", "text": "two", "model": "g"}]
    assert row["initial_response"] is None


@pytest.mark.parametrize(
    ("step", "role", "name", "drawn"),
    [
        (RespondAsk(0, 7), "generator", "respond", ("respond", 0)),
        (RespondAsk(2, 7), "generator", "respond-2", ("respond", 2)),
        (CritiqueAsk(CONCISE, 2, seed=7), "critic", "critique-2", ("critique", 2)),
        (ReviseAsk(CONCISE, 2, 7), "reviser", "revise-2", ("revise", 2)),
    ],
    ids=["respond", "respond-2", "critique-2", "revise-2"],
)
def test_a_call_names_its_prompt_and_draws_its_seed_from_it(step, role, name, drawn):
    entry = {"principle_id": "brief", "critique": "c", "revision": "", "model": ""}
    row = {"prompt": "Why?", "prompt_id": "p", "initial_response": "x", "revisions": [entry]}
    (call,) = step.calls(row)
    assert (step.role, step.name, step.independent) == (role, name, role == "generator")
    assert (call.step, call.prompt_id, call.seed) == (name, "p", draw_int(7, "p", *drawn))


def test_a_candidate_joins_those_before_it_and_a_first_answer_only_where_it_is_to_be_one():
    row = ask(RespondAsk(0), {"prompt": "Why?", "prompt_id": "p"}, "first")
    assert row["initial_response"] == "first" and row["candidates"] == []
    for k in (1, 2):
        row = ask(RespondAsk(k), row, f"sample {k}")
    assert [c["slot"] for c in row["candidates"]] == ["sampled-1", "sampled-2"]


def test_a_revision_that_is_there_is_not_asked_for_again():
    entry = {"principle_id": "brief", "critique": "c", "revision": "r", "model": ""}
    row = {"prompt": "Why?", "prompt_id": "p", "initial_response": "x", "revisions": [entry]}
    assert ReviseAsk(CONCISE).calls(row) == []


def test_steps_change_no_row_that_they_are_given():
    row = prepared({"prompt": "Why?", "prompt_id": "p"})
    kept = {key: list(value) if isinstance(value, list) else value for key, value in row.items()}
    for step in (RespondAsk(candidate=True), RespondAsk(1)):
        step.fold(row, [Answer("x")])
        step.fold(row, [Answer(error="x")])
        assert row == kept
    open_row = {**row, "initial_response": "x"}
    after = CritiqueAsk(CONCISE).fold(open_row, [Answer("c")])
    assert open_row["revisions"] == []
    ReviseAsk(CONCISE).fold(after, [Answer("r")])
    assert after["revisions"][0]["revision"] == ""


def test_principles_of_a_row_are_the_same_in_critique_and_revision():
    row = {"prompt": "Why?", "prompt_id": "p"}
    row = ask(RespondAsk(), row, "x")
    critique = CritiqueAsk(CONCISE, 1, "random", 9)
    row = ask(critique, row, "c")
    principle = critique.principle(row)
    assert row["revisions"][0]["principle_id"] == principle.id
    assert ReviseAsk(CONCISE, 1, 9).calls(row)[0].messages[-1]["content"] == principle.revision


def test_a_revision_without_an_open_critique_is_not_asked_for():
    row = {"prompt": "Why?", "prompt_id": "p", "initial_response": "x"}
    assert ReviseAsk(CONCISE).calls(row) == []
    assert CritiqueAsk(CONCISE).calls({"prompt": "Why?"}) == []


def test_rows_straight_from_data_are_prepared():
    row = prepared({"prompt": "Why?"})
    assert row["prompt"] == [{"role": "user", "content": "Why?"}]
    assert len(row["prompt_id"]) == 16 and row["source"] == ""
    assert row["faults"] == row["votes"] == []
    again = prepared({**row, "extra": 1, "labels": None})
    assert again == {**row, "extra": 1}
    assert as_messages([{"role": "user", "content": "x", "name": "y"}]) == (
        {"role": "user", "content": "x"},
    )


def test_what_can_be_used_of_an_answer():
    from charter.rows import Reason

    assert answer_fault(Answer("x"), Reason.EMPTY_CRITIQUE) is None
    reason, detail = answer_fault(Answer(" ", finish_reason="length"), Reason.EMPTY_CRITIQUE)
    assert reason is Reason.EMPTY_CRITIQUE and "length" in detail
    assert answer_fault(Answer("x", error="down"), Reason.EMPTY_CRITIQUE)[0] is Reason.CALL_FAILED
