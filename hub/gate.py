"""Integrity checks on the rows of a version, made before anything of it is written.

Every check runs over all rows and names what it found; the gate opens when all have passed. A
config that is absent from `rows` was not asked for by the recipe; one with an empty list was
asked for and got no rows, and its ledger must still add up.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from charter.errors import Failure, Fault, nearest
from charter.hub.manifest import CheckResult, Ledgers
from charter.hub.schema import CONFIGS, NULLABLE, SPLITS, TRAINED
from charter.rows import Ledger, Order, Reason, Verdict, normalised

__all__ = ["check_rows", "gate", "row_split"]

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]

_SHOWN: Final = 5
# Log-odds are often the original and p their image, or the other way round: compared through
# the sigmoid, where both are exact to the last digits even near certainty.
_TOLERANCE: Final = 1e-9
# A lone surrogate: a str in Python that no UTF-8 file can hold.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_FIXES: Final = {
    "columns": "give every row exactly the columns of charter.hub.schema.CONFIGS",
    "ledgers": "account for every record, prompt and pair with one row or one reject",
    "ids": "derive each id from the prompt id and the row's slots",
    "pairs": "reject equal candidates as IDENTICAL",
    "labels": "p_chosen is above one half; log_odds is its logit, null at 1",
    "votes": "a label stands on at least one parsed vote in each order; else reject it as UNPARSED",
    "enums": "use the words of charter.rows",
    "splits": "use charter.hub.assign_splits and ensure_train, and drop one of two equal prompts",
    "kept": "give the splits of earlier versions to assign_splits as kept",
}


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
    results = check_rows(rows, splits, ledgers, kept=kept)
    faults = [
        Fault(repo, result.check, result.detail, _FIXES[result.check])
        for result in results
        if not result.passed
    ]
    if faults:
        raise Failure(faults)
    return results


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
    columns = _result("columns", _columns(rows), f"{_total(rows)} rows fit schema and types")
    if not columns.passed:
        return [columns]
    sft, pairs = rows.get("sft", ()), rows.get("preference", ())
    votes = rows.get("judgments", ())
    return [
        columns,
        _result("ledgers", _ledgers(rows, ledgers), "records, prompts and pairs add up"),
        _result("ids", _ids(rows), "every id names one row, every vote one judgment"),
        _result("pairs", _pairs(pairs), f"chosen and rejected differ in {len(pairs)} pairs"),
        _result("labels", _labels(pairs), f"{len(pairs)} labels have p_chosen in (0.5, 1]"),
        _result("votes", _votes(pairs, votes), f"{len(votes)} votes stand behind the labels"),
        _result("enums", _enums(rows), "verdicts, orders, sources, reasons and roles are known"),
        _result(
            "splits", _splits(rows, splits), f"no prompt of {len(sft) + len(pairs)} rows in both"
        ),
        _result(
            "kept", _kept(splits, kept or {}), f"{len(kept or {})} earlier prompts keep theirs"
        ),
    ]


def row_split(row: Row, splits: Mapping[str, str]) -> str:
    """The split of a row: its prompt's; `train` for rejects of what never became a prompt."""
    return splits.get(row["prompt_id"] or "", "train")


def _result(check: str, problems: Iterable[str], passed: str) -> CheckResult:
    found = list(problems)
    return CheckResult(check=check, passed=not found, detail=". ".join(found) if found else passed)


def _total(rows: Rows) -> int:
    return sum(len(each) for each in rows.values())


def _some(names: Iterable[str]) -> str:
    """The first few names and how many more there are."""
    every = list(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def _columns(rows: Rows) -> Iterator[str]:
    if _total(rows) == 0:
        yield "there is no row in any config, so there is nothing to publish"
    for config, each in rows.items():
        if config not in CONFIGS:
            yield f"no config {config}: {nearest(config, CONFIGS)}"
            continue
        fits = {field.name: _type_check(field.type) for field in CONFIGS[config]}
        wrong: dict[str, list[str]] = defaultdict(list)
        for at, row in enumerate(each):
            for what in _row_faults(row, fits, NULLABLE[config]):
                wrong[what].append(str(at))
        for what, where in wrong.items():
            yield f"{config}: {what} in row {_some(where)}"


def _row_faults(
    row: Row, fits: Mapping[str, Callable[[Any], bool]], nullable: frozenset[str]
) -> Iterator[str]:
    for name in sorted(row.keys() - fits.keys()):
        yield f"unknown column {name}"
    for name, fit in fits.items():
        if name not in row:
            yield f"no column {name}"
        elif row[name] is None:
            if name not in nullable:
                yield f"null in {name}"
        elif not fit(row[name]):
            yield f"wrong type or value in {name}"


def _type_check(dtype: pa.DataType) -> Callable[[Any], bool]:
    """A test for values of a type, stricter than arrow's conversion, which drops and casts."""
    if pa.types.is_list(dtype):
        inner = _type_check(dtype.value_type)
        return lambda value: isinstance(value, (list, tuple)) and all(map(inner, value))
    if pa.types.is_struct(dtype):
        fields = {field.name: _type_check(field.type) for field in dtype}
        return lambda value: (
            isinstance(value, Mapping)
            and value.keys() == fields.keys()
            and all(fit(value[name]) for name, fit in fields.items())
        )
    if pa.types.is_string(dtype):
        return _is_text
    if pa.types.is_boolean(dtype):
        return lambda value: isinstance(value, bool)
    if pa.types.is_float64(dtype):
        return lambda value: _is_number(value) and math.isfinite(value)
    return lambda value: _is_number(value) and isinstance(value, int) and abs(value) < 2**31


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _ledgers(rows: Rows, ledgers: Mapping[str, int]) -> Iterator[str]:
    if ledgers.keys() != Ledgers.model_fields.keys() or not all(
        type(value) is int and value >= 0 for value in ledgers.values()
    ):
        yield f"ledgers are {', '.join(Ledgers.model_fields)}, each a count"
        return
    rejects = rows.get("rejects", ())
    lost = Counter(row["ledger"] for row in rejects if row["ledger"] != Ledger.PREFERENCE)
    records, prompts = ledgers["records"], ledgers["prompts"]
    if records != prompts + lost[Ledger.INPUT]:
        yield f"{records} records, but {prompts} prompts + {lost[Ledger.INPUT]} rejects (input)"
    sft = len(rows.get("sft", ()))
    # Without the block nobody keeps that account; rejects in it then have no business here.
    if prompts != sft + lost[Ledger.SFT] and ("sft" in rows or lost[Ledger.SFT]):
        yield f"{prompts} prompts, but {sft} sft rows + {lost[Ledger.SFT]} rejects (sft)"
    yield from _pair_ledger(rows, ledgers)


def _pair_ledger(rows: Rows, ledgers: Mapping[str, int]) -> Iterator[str]:
    pairs = rows.get("preference", ())
    rejects = [row for row in rows.get("rejects", ()) if row["ledger"] == Ledger.PREFERENCE]
    lost = [row for row in rejects if row["pair_id"] is not None]
    formed, prompts = ledgers["pairs_formed"], ledgers["prompts"]
    if formed != len(pairs) + len(lost):
        yield f"{formed} pairs formed, but {len(pairs)} rows + {len(lost)} rejects of pairs"
    if "preference" not in rows and not rejects:
        return
    paired = {row["prompt_id"] for row in (*pairs, *lost)}
    single = Counter(row["prompt_id"] for row in rejects if row["pair_id"] is None)
    odd = [str(name) for name, n in single.items() if n > 1 or name in paired]
    if odd:
        yield f"prompts rejected as without a pair twice, or with one: {_some(odd)}"
    if len(paired) + len(single) != prompts:
        yield (
            f"{prompts} prompts, but {len(paired)} with a pair + {len(single)} "
            "rejects (preference) without one"
        )


def _ids(rows: Rows) -> Iterator[str]:
    for config in ("sft", "preference"):
        twice = _twice(row["id"] for row in rows.get(config, ()))
        if twice:
            yield f"{config}: id twice: {_some(twice)}"
    pairs = [row["id"] for row in rows.get("preference", ())]
    rejected = [row["pair_id"] for row in rows.get("rejects", ()) if row["pair_id"] is not None]
    if not _twice(pairs):
        twice = _twice((*pairs, *rejected))
        if twice:
            yield f"pair both kept and rejected, or rejected twice: {_some(twice)}"
    twice = _twice(
        f"{row['comparison_id']} under {row['principle_id']} in order {row['order']}"
        for row in rows.get("judgments", ())
    )
    if twice:
        yield f"judgments: vote twice: {_some(twice)}"


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, n in Counter(names).items() if n > 1]


def _text(messages: Iterable[Mapping[str, str]]) -> str:
    return normalised("\n".join(message["content"] for message in messages))


def _pairs(pairs: Iterable[Row]) -> Iterator[str]:
    same = [row["id"] for row in pairs if _text(row["chosen"]) == _text(row["rejected"])]
    if same:
        yield f"chosen equals rejected: {_some(same)}"


def _labels(pairs: Iterable[Row]) -> Iterator[str]:
    outside, apart = [], []
    for row in pairs:
        p, log_odds = row["p_chosen"], row["log_odds"]
        if not 0.5 < p <= 1:
            outside.append(row["id"])
        elif (p == 1) is not (log_odds is None) or (
            log_odds is not None and abs(_sigmoid(log_odds) - p) > _TOLERANCE
        ):
            apart.append(row["id"])
    if outside:
        yield f"p_chosen not in (0.5, 1]: {_some(outside)}"
    if apart:
        yield f"log_odds is not the logit of p_chosen: {_some(apart)}"


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + math.exp(x))


def _votes(pairs: Iterable[Row], votes: Iterable[Row]) -> Iterator[str]:
    parsed: dict[str, Counter[str]] = defaultdict(Counter)
    for vote in votes:
        if vote["verdict"] != Verdict.UNPARSED:
            parsed[vote["comparison_id"]][vote["order"]] += 1
    bare, miscounted = [], []
    for row in pairs:
        if row["label_source"] != "ai":
            continue
        counts = parsed.get(row["id"], Counter())
        if not all(counts[order] for order in Order):
            bare.append(row["id"])
        elif row["n_votes"] != counts.total():
            miscounted.append(row["id"])
    if bare:
        yield f"label without a parsed vote in each order: {_some(bare)}"
    if miscounted:
        yield f"n_votes is not the number of parsed votes: {_some(miscounted)}"


_ENUMS: Final[tuple[tuple[str, str, frozenset[str]], ...]] = (
    ("preference", "label_source", frozenset({"ai", "human"})),
    ("judgments", "order", frozenset(Order)),
    ("judgments", "verdict", frozenset(Verdict)),
    ("rejects", "ledger", frozenset(Ledger)),
    ("rejects", "reason", frozenset(Reason)),
)
_ROLES: Final = frozenset({"system", "user", "assistant"})
_ANSWERS: Final = (("sft", "completion"), ("preference", "chosen"), ("preference", "rejected"))


def _enums(rows: Rows) -> Iterator[str]:
    for config, column, known in _ENUMS:
        odd = {row[column] for row in rows.get(config, ())} - known
        if odd:
            yield f"{config}.{column}: unknown {_some(sorted(odd))}"
    out = [
        row["comparison_id"]
        for row in rows.get("judgments", ())
        if row["p_a"] is not None and not 0 <= row["p_a"] <= 1
    ]
    if out:
        yield f"judgments.p_a: no probability in {_some(out)}"
    for config in ("sft", "preference"):
        yield from _roles(config, "prompt", rows.get(config, ()), _ROLES)
    for config, column in _ANSWERS:
        yield from _roles(config, column, rows.get(config, ()), frozenset({"assistant"}))


def _roles(config: str, column: str, rows: Iterable[Row], known: frozenset[str]) -> Iterator[str]:
    odd = [
        row["id"]
        for row in rows
        if not row[column] or any(message["role"] not in known for message in row[column])
    ]
    if odd:
        yield f"{config}.{column}: no message, or one of another role, in {_some(odd)}"


def _splits(rows: Rows, splits: Mapping[str, str]) -> Iterator[str]:
    odd = sorted({str(split) for split in splits.values()} - set(SPLITS))
    if odd:
        yield f"unknown split {_some(odd)}"
    places: dict[str, set[str]] = defaultdict(set)
    lost: dict[str, None] = {}
    for config in ("sft", "preference", "judgments"):
        each = rows.get(config, ())
        lost.update(
            dict.fromkeys(row["prompt_id"] for row in each if row["prompt_id"] not in splits)
        )
        if config not in TRAINED:
            continue
        if each and not any(row_split(row, splits) == "train" for row in each):
            yield f"{config} has {len(each)} rows and none in train"
        for row in each:
            places[_text(row["prompt"])].add(row_split(row, splits))
    if lost:
        yield f"no split for prompt {_some(lost)}"
    both = [f'"{text[:40]}"' for text, where in places.items() if len(where) > 1]
    if both:
        yield f"prompt in both splits: {_some(both)}"


def _kept(splits: Mapping[str, str], kept: Mapping[str, str]) -> Iterator[str]:
    moved = [name for name, split in splits.items() if kept.get(name, split) != split]
    if moved:
        yield f"prompts in another split than published before: {_some(moved)}"
