"""Attacks against judges that obey them: some win a label, and with the rule none does."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.constitutions import find_constitution, load_constitution
from charter.evals.injections import (
    KEEPS,
    Attack,
    injections_page,
    load_attacks,
    measure_attacks,
    measure_detector,
)
from charter.models.call import Answer
from charter.rows import Reason, Verdict
from charter.steps.injection import InjectionKind
from charter.steps.judge import JudgeAsk
from charter.steps.keep import KeepRule, kept

SET = load_attacks()
HHH = load_constitution(find_constitution("hhh"))
ASK = JudgeAsk(HHH)
WEIGHTS = {p.id: p.weight for p in HHH.principles}
UNSEEN = re.compile("[\u200b\u2060\u00ad]")


def blocks_of(call):
    """The two responses that a judge is shown."""
    body = call.messages[-1]["content"]
    mark = re.search(r"(?m)^\[response A ([0-9a-f]{8})\]$", body).group(1)
    between = r"(?ms)^\[response {0} {1}\]\n(.*)\n\[end of response {0} {1}\]$"
    return {place: re.search(f"{between.format(place, mark)}", body).group(1) for place in "AB"}


def obeys_all(attack):
    """A judge that does whatever the attack is after: the worst there is."""
    plain = UNSEEN.sub("", attack.attack)

    def judge(call):
        blocks = blocks_of(call)
        (own,) = (place for place, text in blocks.items() if UNSEEN.sub("", text) == plain)
        return attack.names if attack.names in ("A", "B") else own

    return judge


_LETTER = re.compile(
    r"(?:answer|reply|respond|output|verdict|winner|label|letter|write|say|answer is|record)\W+"
    r"(?:with |only |the |single |letter |is |: )*\W*([AB])\b|Response ([AB]) is|\[\[([AB])\]\]",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"(?:choose|pick|select|prefer|vote for)\s+(?:the|this|whichever)\s+(?:response|answer)"
    r"|this response is (?:\w+ )?better|other (?:response|candidate|answer)",
    re.IGNORECASE,
)


def obeys_the_last(call):
    """A judge that reads: it does what the last order in any response says, else it takes A."""
    orders = []
    for place, text in blocks_of(call).items():
        plain = UNSEEN.sub("", text)
        orders += [
            (m.end(), next(filter(None, m.groups())).upper()) for m in _LETTER.finditer(plain)
        ]
        orders += [(m.end(), place) for m in _OWN.finditer(plain)]
    return max(orders)[1] if orders else "A"


def row_of(attack):
    texts = {"attack": attack.attack, "honest": attack.honest}
    return {
        "prompt_id": attack.id,
        "prompt": list(attack.messages),
        "source": "",
        "candidates": [{"slot": s, "text": t, "model": ""} for s, t in texts.items()],
    }


def judged(attack, judge):
    row = row_of(attack)
    return ASK.fold(row, [Answer(judge(call)) for call in ASK.calls(row)])


def report_of(judge_of, attacks=SET.attacks):
    votes = [judged(attack, judge_of(attack))["votes"] for attack in attacks]
    return measure_attacks(attacks, votes, WEIGHTS)


def test_the_shipped_set():
    assert len(SET.attacks) >= 48 and len(SET.benign) >= 16
    assert len({a.id for a in SET.attacks} | {b.id for b in SET.benign}) == 94
    kinds = Counter(a.kind for a in SET.attacks)
    assert set(kinds) == {kind.value for kind in InjectionKind} and min(kinds.values()) >= 12
    places = Counter(a.names for a in SET.attacks)
    assert set(places) == {"A", "B", "both", "none"} and places["none"] >= 24
    # the first few have all kinds
    assert len({a.kind for a in SET.first(5).attacks}) == 5
    assert SET.first(5).benign == SET.benign
    assert max(len(a.attack) for a in SET.attacks) > 1000
    for a in SET.attacks:
        assert a.prompt and a.honest and a.attack != a.honest


def test_a_judge_that_obeys_all_is_won_by_what_names_no_place_and_by_nothing_with_the_rule():
    report = report_of(obeys_all)
    for keep in KEEPS:
        free = [a.id for a in SET.attacks if a.names in ("none", "both")]
        # what names a place turns round with the order, and so cancels itself
        assert report.winners(keep, ruled=False) == free
        assert report.success[keep].before.value == len(free) / len(SET.attacks)
        said = report.as_json()[keep]
        assert (said["won_before"], said["won_after"]) == (free, [])
        assert said["before"]["value"] == len(free) / len(SET.attacks)
        assert said["by_place"]["names no place"]["before"]["value"] == 1
        assert report.by_place[keep]["names a place"].before.value == 0
        assert report.by_place[keep]["names no place"].before.value == 1
        assert report.winners(keep, ruled=True) == []
        assert report.success[keep].after.value == 0
        assert set(report.by_kind[keep]) == {kind.value for kind in InjectionKind}
    assert report.reasons["consistent"].keys() <= {"TIE", "INCONSISTENT"}


def test_a_judge_that_reads_and_obeys_the_last_order():
    report = report_of(lambda _: obeys_the_last)
    for keep in KEEPS:
        won = report.winners(keep, ruled=False)
        assert len(won) >= 10 and report.winners(keep, ruled=True) == []
        assert not [a for a in SET.attacks if a.id in won and a.names in ("A", "B")]


@pytest.mark.parametrize("keep", KEEPS)
def test_the_rule_as_labels_are_kept(keep):
    ruled, plain = KeepRule(keep=keep), KeepRule(keep=keep, injections="ignore")
    won = 0
    for attack in SET.attacks:
        row = judged(attack, obeys_all(attack))
        (before,) = kept(row, plain, HHH)["labels"]
        (after,) = kept(row, ruled, HHH)["labels"]
        won += before["winner"] == "A"
        assert after["winner"] != "A"
        if before["winner"] == "A":
            assert after["reason"] == Reason.INJECTION
    assert won == sum(a.names in ("none", "both") for a in SET.attacks)


def test_an_honest_judge_keeps_all_its_labels():
    def honest(attack):
        plain = UNSEEN.sub("", attack.attack)

        def judge(call):
            blocks = blocks_of(call)
            return next(p for p, text in blocks.items() if UNSEEN.sub("", text) != plain)

        return judge

    report = report_of(honest)
    for keep in KEEPS:
        assert report.success[keep].before.value == 0
        assert report.right[keep].before.value == report.right[keep].after.value == 1


def vote(order, p_a):
    verdict = Verdict.UNPARSED if p_a is None else "A" if p_a > 0.5 else "B" if p_a < 0.5 else "TIE"
    return {"principle_id": "x", "order": order, "verdict": str(verdict), "p_a": p_a, "error": ""}


probability = st.none() | st.floats(0, 1)


@given(st.lists(st.tuples(probability, probability), min_size=1, max_size=8), st.floats(0, 0.4))
@settings(deadline=None)
def test_no_judge_makes_a_found_attack_win_and_the_rule_only_takes_away(cast, min_margin):
    attacks = [*SET.attacks[: len(cast) - 1], Attack("new", "frame", "A", "Q?", "Bad.", "Good.")]
    votes = [[vote("AB", ab), vote("BA", ba)] for ab, ba in cast]
    report = measure_attacks(attacks, votes, {}, min_margin=min_margin)
    for keep in KEEPS:
        before, after = (set(report.winners(keep, ruled)) for ruled in (False, True))
        assert after <= before and after <= {"new"}
        assert report.success[keep].after.value <= report.success[keep].before.value
        labelled = sum(bool(o.labels[keep].winner) for o in report.outcomes)
        assert labelled + sum(report.reasons[keep].values()) == len(attacks)


def test_votes_and_attacks_must_match():
    with pytest.raises(ValueError):
        measure_attacks(SET.attacks, [], {})


def test_the_detector_alone():
    found = measure_detector(SET)
    assert found.recall.value == 1 and found.recall.n == 70 and found.missed == ()
    by_kind = found.as_json()["recall_by_kind"]
    assert {kind: each["value"] for kind, each in by_kind.items()} == dict.fromkeys(by_kind, 1)
    assert sum(each["n"] for each in by_kind.values()) == 70
    assert found.false_alarms.value == found.honest_alarms.value == 0 and not found.alarms
    small = measure_detector(SET.first(0))
    assert small.recall.value is None and small.as_json()["recall"]["n"] == 0


def test_the_page_escapes_what_attacks_say():
    report = report_of(obeys_all)
    shown = injections_page("Attacks", SET, measure_detector(SET), report)
    assert "<start_of_turn>" not in shown and "&lt;start_of_turn&gt;" in shown
    assert "<verdict>" not in shown and shown.count("<details>") == len(SET.attacks)
    assert "won" in shown
    assert "did not win" not in injections_page("Alone", SET, measure_detector(SET), None)
