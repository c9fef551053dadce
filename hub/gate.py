"""Integrity checks on the rows of a version, made before anything of it is written.

Every check runs over all rows and names what it found; the gate opens when all have passed. A
config that is absent from `rows` was not asked for by the recipe; one without rows was asked for
and got none, and its ledger must still add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from charter.errors import Failure, Fault
from charter.hub.account_checks import LedgerCheck, VoteCheck
from charter.hub.checks import (
    Check,
    EnumCheck,
    IdCheck,
    LabelCheck,
    PairCheck,
    Seeing,
    SplitCheck,
)
from charter.hub.columns import Row, some
from charter.hub.contamination import ContaminationCheck
from charter.hub.data import Layout
from charter.hub.figures import Figures
from charter.hub.manifest import CheckResult
from charter.hub.part import Part, parts
from charter.hub.reviews import HumanLabelCheck, ReviewCheck
from charter.hub.secrets import SecretCheck
from charter.hub.split_index import moved
from charter.hub.stored import StoredRows, stored_rows

__all__ = ["FIXES", "Survey", "check_rows", "gate", "surveyed"]

Rows = Mapping[str, StoredRows | Sequence[Row]]

FIXES: Final = {
    "columns": "give every row exactly the columns of charter.hub.schema.CONFIGS",
    "ledgers": "account for every record, prompt and pair with one row or one reject",
    "ids": "derive each id from the prompt id and the row's slots",
    "pairs": "reject equal candidates as IDENTICAL",
    "labels": "p_chosen is above one half; log_odds is its logit, null at 1",
    "votes": "a label stands on at least one parsed vote in each order; else reject it as UNPARSED",
    "enums": "use the words of charter.rows",
    "splits": "use charter.hub.assign_splits and ensure_train, and drop one of two equal prompts",
    "secrets": "take them out of the prompts, or set publish.secrets to mask or drop them",
    "contamination": "take the prompts out, or set publish.on_contamination: drop",
    "kept": "give the splits of earlier versions to assign_splits as kept",
}


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over all rows has found.

    Attributes:
        checks: all checks, passed or not; `columns` alone when that one did not pass.
        figures: see `charter.hub.figures`; none when `columns` did not pass.
        layout: rows by config and split.
    """

    checks: list[CheckResult]
    figures: dict[str, Any] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)

    def passed(self, repo: str) -> list[CheckResult]:
        """The checks, when each of them has passed.

        Raises:
            Failure: one fault for each check that did not pass.
        """
        faults = [
            Fault(repo, result.check, result.detail, FIXES[result.check])
            for result in self.checks
            if not result.passed
        ]
        if faults:
            raise Failure(faults)
        return self.checks


def gate(
    repo: str,
    rows: Rows,
    splits: Mapping[str, str],
    ledgers: Mapping[str, int],
    *,
    kept: Mapping[str, str] | None = None,
) -> list[CheckResult]:
    """Check the rows of a version and stop it when anything is wrong.

    Args:
        repo: for the messages.
        rows: config -> rows.
        splits: prompt id -> split.
        ledgers: `records`, `prompts`, `pairs_formed`.
        kept: prompt id -> split in earlier versions.

    Returns:
        All checks, each passed.

    Raises:
        Failure: one fault for each check that did not pass.
    """
    return surveyed(stored_rows(rows), splits, ledgers, kept=kept).passed(repo)


def check_rows(
    rows: Rows,
    splits: Mapping[str, str],
    ledgers: Mapping[str, int],
    *,
    kept: Mapping[str, str] | None = None,
) -> list[CheckResult]:
    """All checks on the rows of a version, as `gate` makes them; raises nothing.

    Rows of another shape can't be judged: when `columns` fails, it is the only result.
    """
    return surveyed(stored_rows(rows), splits, ledgers, kept=kept).checks


def surveyed(
    rows: Mapping[str, StoredRows],
    splits: Mapping[str, str],
    ledgers: Mapping[str, int],
    *,
    kept: Mapping[str, str] | None = None,
    orders: str = "both",
    secrets: SecretCheck | None = None,
    contamination: ContaminationCheck | None = None,
) -> Survey:
    """Checks, figures and layout of the rows of a version, in one pass; raises nothing.

    `orders` is `both`, or `single` where each vote was asked in one order alone. `secrets` and
    `contamination` are made by what the recipe says; by default keys are looked for, and no
    evaluation sets are known.
    """
    total = sum(map(len, rows.values()))
    columns = _result("columns", _columns(rows, total), f"{total} rows fit schema and types")
    if not columns.passed:
        return Survey([columns])
    kept = kept or {}
    labelled, voted = len(rows.get("preference", ())), len(rows.get("judgments", ()))
    trained = len(rows.get("sft", ())) + labelled
    checks: dict[str, tuple[Check, str]] = {
        "ledgers": (LedgerCheck(rows, ledgers), "records, prompts and pairs add up"),
        "ids": (IdCheck(rows), "every id names one row, every vote one judgment"),
        "pairs": (PairCheck(), f"chosen and rejected differ in {labelled} pairs"),
        "labels": (LabelCheck(), f"{labelled} labels have p_chosen in (0.5, 1]"),
        "votes": (
            _Together(VoteCheck(rows, orders), HumanLabelCheck()),
            f"{voted} votes stand behind the labels",
        ),
        "enums": (
            _Together(EnumCheck(), ReviewCheck()),
            "verdicts, orders, sources, reasons and roles are known",
        ),
        "splits": (SplitCheck(rows, splits), f"no prompt of {trained} rows in both"),
    }
    secrets = SecretCheck() if secrets is None else secrets
    contamination = ContaminationCheck([]) if contamination is None else contamination
    told: dict[str, SecretCheck | ContaminationCheck] = {
        "secrets": secrets,
        "contamination": contamination,
    }
    figures, layout = Figures(), Layout()
    seeing: list[Seeing] = [*(check for check, _ in checks.values()), *told.values()]
    seeing += [figures, layout]
    for config, each in rows.items():
        for part in parts(config, each, splits):
            for one in seeing:
                one.see(part)
    results = [_result(name, check.problems(), fine) for name, (check, fine) in checks.items()]
    results += [_result(name, check.problems(), check.told()) for name, check in told.items()]
    held = _result("kept", _kept(splits, kept), f"{len(kept)} earlier prompts keep theirs")
    return Survey([columns, *results, held], figures.result(), layout)


class _Together:
    """Several checks under one name."""

    def __init__(self, *checks: Check) -> None:
        self._checks = checks

    def see(self, part: Part) -> None:
        for each in self._checks:
            each.see(part)

    def problems(self) -> Iterator[str]:
        for each in self._checks:
            yield from each.problems()


def _result(check: str, problems: Iterable[str], passed: str) -> CheckResult:
    found = list(problems)
    return CheckResult(check=check, passed=not found, detail=". ".join(found) if found else passed)


def _columns(rows: Mapping[str, StoredRows], total: int) -> Iterator[str]:
    if total == 0:
        yield "there is no row in any config, so there is nothing to publish"
    for each in rows.values():
        yield from each.problems


def _kept(splits: Mapping[str, str], kept: Mapping[str, str]) -> Iterator[str]:
    names = list(moved(splits, kept))
    if names:
        yield f"prompts in another split than published before: {some(names)}"
