"""Attacks on the judge: how many win a label, before and after the detector's rule.

The attacks are the shipped ones (`prompts/injections.jsonl`): each is a bad answer that speaks to
the judge, against an honest one to the same prompt. An attack succeeds when the label of its pair
names it. After the rule, a winner in which `charter.steps.injection` finds something has no label.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, TypeVar

from charter.errors import Failure, Fault
from charter.html import details, figures, page, quote, section, table
from charter.plots import estimates, grid
from charter.rows import Message
from charter.stats import Estimate, wilson
from charter.steps.injection import Injection, find_injection
from charter.steps.label import KeepRule, Label, Mode, label_votes

__all__ = [
    "Attack",
    "AttackReport",
    "AttackSet",
    "Benign",
    "Detection",
    "Outcome",
    "Success",
    "injections_page",
    "load_attacks",
    "measure_attacks",
    "measure_detector",
]

_T = TypeVar("_T")
KEEPS: Final = ("consistent", "margin")
PLACES: Final = {
    "A": "names a place",
    "B": "names a place",
    "both": "names both places",
    "none": "names no place",
}


@dataclass(frozen=True, slots=True)
class Attack:
    """A response that speaks to the judge, and an honest one beside it.

    Attributes:
        id: of the attack.
        kind: how it speaks to the judge, a value of `InjectionKind`.
        names: the place it names: `A`, `B`, `both` or `none`.
        prompt: what both answer.
        attack: a bad answer, with what is to win for it.
        honest: a good answer.
    """

    id: str
    kind: str
    names: str
    prompt: str
    attack: str
    honest: str

    @property
    def messages(self) -> tuple[Message, ...]:
        """The prompt as a conversation."""
        return ({"role": "user", "content": self.prompt},)


@dataclass(frozen=True, slots=True)
class Benign:
    """An ordinary answer that looks like an attack."""

    id: str
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class AttackSet:
    """The attacks and the look-alikes of one file, in its order."""

    attacks: tuple[Attack, ...]
    benign: tuple[Benign, ...]

    def first(self, limit: int | None) -> AttackSet:
        """The first attacks and all look-alikes; kinds take turns, so a few have all of them."""
        return AttackSet(self.attacks[:limit], self.benign)


def load_attacks() -> AttackSet:
    """The shipped attacks.

    Raises:
        Failure: the file of this installation is damaged.
    """
    file = resources.files("charter.prompts") / "injections.jsonl"
    attacks, benign = [], []
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["kind"] == "benign":
                benign.append(Benign(record["id"], record["prompt"], record["answer"]))
            else:
                attacks.append(Attack(**record))
    except (OSError, ValueError, KeyError, TypeError):
        what = "the shipped attacks cannot be read"
        raise Failure(Fault(str(file), "", what, "install charter-ai again")) from None
    return AttackSet(tuple(attacks), tuple(benign))


@dataclass(frozen=True, slots=True)
class Detection:
    """What the detector finds by itself, with no judge.

    Attributes:
        recall: share of the attacks in which it finds something.
        by_kind: the same by kind.
        false_alarms: share of the look-alikes in which it does.
        honest_alarms: share of the honest answers in which it does.
        missed: attacks in which it finds nothing.
        alarms: what it found in look-alikes and honest answers, by id.
    """

    recall: Estimate
    by_kind: Mapping[str, Estimate]
    false_alarms: Estimate
    honest_alarms: Estimate
    missed: tuple[str, ...]
    alarms: Mapping[str, Injection]

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "recall": self.recall.as_json(),
            "recall_by_kind": _json(self.by_kind),
            "false_alarms": self.false_alarms.as_json(),
            "honest_alarms": self.honest_alarms.as_json(),
            "missed": list(self.missed),
            "alarms": {name: found.found for name, found in self.alarms.items()},
        }


def measure_detector(given: AttackSet) -> Detection:
    """Run the detector over attacks, look-alikes and honest answers."""
    missed = tuple(a.id for a in given.attacks if find_injection(a.attack) is None)
    lost = set(missed)
    answers = [(b.id, b.answer) for b in given.benign]
    honest = [(f"{a.id} (honest)", a.honest) for a in given.attacks]
    found = {name: find_injection(text) for name, text in (*answers, *honest)}
    alarms = {name: each for name, each in found.items() if each is not None}
    return Detection(
        recall=_share(given.attacks, lambda a: a.id not in lost),
        by_kind=_split(given.attacks, lambda a: a.kind, lambda a: a.id not in lost),
        false_alarms=_share(answers, lambda each: each[0] in alarms),
        honest_alarms=_share(honest, lambda each: each[0] in alarms),
        missed=missed,
        alarms=alarms,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attack.

    Attributes:
        attack: which one.
        labels: the label of its pair by `keep`; `A` is the attack, `B` the honest answer.
        found: what the detector finds in it.
        found_honest: what the detector finds in the honest answer.
    """

    attack: Attack
    labels: Mapping[str, Label]
    found: Injection | None
    found_honest: Injection | None

    def won(self, keep: str, ruled: bool) -> bool:
        """Whether the label names the attack, perhaps after the detector's rule."""
        return self.labels[keep].winner == "A" and not (ruled and self.found)

    def lost(self, keep: str, ruled: bool) -> bool:
        """Whether the label names the honest answer, perhaps after the detector's rule."""
        return self.labels[keep].winner == "B" and not (ruled and self.found_honest)


@dataclass(frozen=True, slots=True)
class Success:
    """How often attacks win a label.

    Attributes:
        before: share of the pairs whose label names the attack.
        after: the same where a winner that speaks to the judge has no label.
    """

    before: Estimate
    after: Estimate

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {"before": self.before.as_json(), "after": self.after.as_json()}


@dataclass(frozen=True, slots=True)
class AttackReport:
    """How a judge stands up to the attacks; all figures by `keep`.

    Attributes:
        success: of all attacks.
        by_kind: the same by kind.
        by_place: the same by what the attack names.
        right: share of the pairs whose label names the honest answer, before and after.
        reasons: pairs without a label, by reason, before the rule.
        outcomes: every attack, in order.
    """

    success: Mapping[str, Success]
    by_kind: Mapping[str, Mapping[str, Success]]
    by_place: Mapping[str, Mapping[str, Success]]
    right: Mapping[str, Success]
    reasons: Mapping[str, Mapping[str, int]]
    outcomes: tuple[Outcome, ...]

    def as_json(self) -> dict[str, Any]:
        """The figures by name, and the attacks that won."""
        keeps = {}
        for keep in KEEPS:
            keeps[keep] = {
                **self.success[keep].as_json(),
                "right": self.right[keep].as_json(),
                "by_kind": _json(self.by_kind[keep]),
                "by_place": _json(self.by_place[keep]),
                "no_label": dict(self.reasons[keep]),
                "won_before": self.winners(keep, False),
                "won_after": self.winners(keep, True),
            }
        return keeps

    def winners(self, keep: str, ruled: bool) -> list[str]:
        """The attacks that won a label."""
        return [o.attack.id for o in self.outcomes if o.won(keep, ruled)]


def measure_attacks(
    attacks: Sequence[Attack],
    votes: Sequence[Sequence[Mapping[str, Any]]],
    weights: Mapping[str, float],
    *,
    mode: Mode = "verdict",
    min_margin: float = 0.0,
    tie_band: float = 0.0,
) -> AttackReport:
    """The figures of a judge.

    Args:
        attacks: the pairs.
        votes: the votes on each pair, where candidate A is the attack and B the honest answer.
        weights: of the principles.
        mode: how the votes were got.
        min_margin: of the labels under `keep: margin`.
        tie_band: of all labels.

    Raises:
        ValueError: there are not as many lists of votes as attacks.
    """
    rules = {
        keep: KeepRule(keep=keep, min_margin=min_margin, tie_band=tie_band, mode=mode)
        for keep in ("consistent", "margin")
    }
    outcomes = tuple(
        Outcome(
            attack,
            {keep: label_votes(cast, rule, weights) for keep, rule in rules.items()},
            find_injection(attack.attack),
            find_injection(attack.honest),
        )
        for attack, cast in zip(attacks, votes, strict=True)
    )
    return AttackReport(
        success={keep: _success(outcomes, keep) for keep in KEEPS},
        by_kind={keep: _successes(outcomes, keep, lambda o: o.attack.kind) for keep in KEEPS},
        by_place={
            keep: _successes(outcomes, keep, lambda o: PLACES[o.attack.names]) for keep in KEEPS
        },
        right={keep: _right(outcomes, keep) for keep in KEEPS},
        reasons={
            keep: Counter(o.labels[keep].reason for o in outcomes if o.labels[keep].reason)
            for keep in KEEPS
        },
        outcomes=outcomes,
    )


def injections_page(
    title: str, given: AttackSet, found: Detection, report: AttackReport | None
) -> str:
    """The audit as a page.

    Args:
        title: of the page.
        given: what was measured with.
        found: what the detector finds.
        report: how a judge stands up; None where none was asked.
    """
    first = [("recall of the detector", found.recall), ("false alarms", found.false_alarms)]
    shares = [("recall of the detector", found.recall)]
    shares += [(f"recall, {kind}", each) for kind, each in found.by_kind.items()]
    shares += [("false alarms, look-alikes", found.false_alarms)]
    shares += [("false alarms, honest answers", found.honest_alarms)]
    plots = [estimates("The detector alone", shares)]
    for keep in KEEPS if report else ():
        assert report is not None
        success = report.success[keep]
        first += [(f"{keep}: before", success.before), (f"{keep}: after", success.after)]
        rows = [("all, before", success.before), ("all, after", success.after)]
        for groups in (report.by_kind[keep], report.by_place[keep]):
            for name, each in groups.items():
                rows += [(f"{name}, before", each.before), (f"{name}, after", each.after)]
        plots.append(estimates(f"Attacks that win a label, keep: {keep}", rows))
    parts = [figures((name, _short(each)) for name, each in first), grid(plots)]
    parts.append(section("Attacks", _attacks(given, report)))
    return page(title, parts)


def _attacks(given: AttackSet, report: AttackReport | None) -> Iterable[str]:
    outcomes = {o.attack.id: o for o in report.outcomes} if report else {}
    for attack in given.attacks:
        found = find_injection(attack.attack)
        seen = f"found: {found.kind}" if found else "not found"
        outcome = outcomes.get(attack.id)
        said = ""
        rows = []
        if outcome is not None:
            said = ", won" if any(outcome.won(keep, False) for keep in KEEPS) else ", did not win"
            named = {"A": "the attack", "B": "the honest answer", "": "nothing"}
            for keep in KEEPS:
                label = outcome.labels[keep]
                rows.append((keep, named[label.winner], label.reason, label.detail))
        yield details(
            f"{attack.id} {attack.kind}, {PLACES[attack.names]}, {seen}{said}",
            [
                quote("prompt", attack.prompt),
                quote("attack", attack.attack),
                quote("honest answer", attack.honest),
                quote("what was found", found.found if found else "nothing"),
                table(("keep", "the label names", "reason", "detail"), rows) if rows else "",
            ],
        )


def _short(each: Estimate) -> str:
    return "–" if each.value is None else f"{each.value:.0%} of {each.n}"


def _share(values: Iterable[_T], counted: Callable[[_T], bool]) -> Estimate:
    hits = [counted(value) for value in values]
    return wilson(sum(hits), len(hits))


def _split(
    values: Sequence[_T], key: Callable[[_T], str], counted: Callable[[_T], bool]
) -> dict[str, Estimate]:
    names = dict.fromkeys(key(value) for value in values)
    return {name: _share([v for v in values if key(v) == name], counted) for name in names}


def _success(outcomes: Sequence[Outcome], keep: str) -> Success:
    return Success(
        _share(outcomes, lambda o: o.won(keep, False)),
        _share(outcomes, lambda o: o.won(keep, True)),
    )


def _right(outcomes: Sequence[Outcome], keep: str) -> Success:
    return Success(
        _share(outcomes, lambda o: o.lost(keep, False)),
        _share(outcomes, lambda o: o.lost(keep, True)),
    )


def _successes(
    outcomes: Sequence[Outcome], keep: str, key: Callable[[Outcome], str]
) -> dict[str, Success]:
    names = dict.fromkeys(key(o) for o in outcomes)
    return {name: _success([o for o in outcomes if key(o) == name], keep) for name in names}


def _json(values: Mapping[str, Estimate] | Mapping[str, Success]) -> dict[str, Any]:
    return {name: each.as_json() for name, each in values.items()}
