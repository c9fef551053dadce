"""Which rows of a version a retraction takes out: by id, prompt, principle or source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from charter.constitutions import load_constitution
from charter.errors import Fault, InputError, nearest
from charter.hub.data import data_path
from charter.hub.retracted_names import chain
from charter.hub.version import Version
from charter.rows import Ledger, Reason

__all__ = ["Found", "What", "find_rows", "named_anew"]

_NEAR: Final = 2000
"""Names among which a mistyped one is looked for; more would take long."""


@dataclass(frozen=True, slots=True)
class What:
    """What is to be taken out; a row goes when any of these names it.

    Attributes:
        ids: of rows of `sft` and `preference`, or of rejected pairs: a pair goes with its votes.
        prompts: ids of prompts: all their rows and votes go.
        principles: pairs judged and rows revised under one, and every vote under it.
        sources: all prompts of a source, as far as a row of theirs says that they are of it.
    """

    ids: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    principles: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def as_json(self) -> dict[str, list[str]]:
        """What was named, by kind; kinds of which nothing was named are left out."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(each) for name, each in named.items() if each}


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that go.

    Attributes:
        sft: `id` and `prompt_id` of the rows that go, in their order.
        preference: the same of the pairs that go.
        judgments: how many votes go.
        pairs: ids of the pairs whose votes go; rejected ones among them.
        prompts: ids of the prompts whose votes go.
        principles: whose votes go.
    """

    sft: pl.DataFrame
    preference: pl.DataFrame
    judgments: int
    pairs: list[str]
    prompts: list[str]
    principles: list[str]

    @property
    def rows(self) -> dict[str, int]:
        """Config -> rows that go."""
        return {
            "sft": self.sft.height,
            "preference": self.preference.height,
            "judgments": self.judgments,
        }


def find_rows(version: Version, what: What) -> Found:
    """Find the rows that a retraction takes out of a version; there may be none left.

    Raises:
        InputError: nothing is named, or a name means nothing in this version; all at once.
    """
    if not what.as_json():
        fix = "give --id, --ids, --prompt, --principle or --source"
        raise InputError(Fault("charter retract", "", "nothing to retract is named", fix))
    faults = list(_unknown(version, what))
    if faults:
        raise InputError(faults)
    prompts = sorted({*what.prompts, *_of_sources(version, what.sources)})
    sft = _chosen(version, "sft", what, prompts)
    pairs = _chosen(version, "preference", what, prompts)
    gone = sorted({*pairs["id"], *what.ids})
    return Found(
        sft, pairs, _votes(version, gone, prompts, what), gone, prompts, [*what.principles]
    )


def _scan(version: Version, config: str) -> pl.LazyFrame | None:
    files = [version.path / data_path(config, split) for split in version.splits(config)]
    return pl.scan_parquet(files) if files else None


_PRINCIPLES: Final = {
    "sft": pl.col("revisions").list.eval(pl.element().struct.field("principle_id")),
    "preference": pl.col("principle_ids"),
}


def _chosen(version: Version, config: str, what: What, prompts: list[str]) -> pl.DataFrame:
    scan = _scan(version, config)
    if scan is None:
        return pl.DataFrame(schema={"id": pl.String, "prompt_id": pl.String})
    under = pl.lit(False)
    for name in what.principles:
        under |= _PRINCIPLES[config].list.contains(name)
    goes = pl.col("id").is_in(list(what.ids)) | pl.col("prompt_id").is_in(prompts) | under
    return scan.filter(goes).select("id", "prompt_id").collect(engine="streaming")


def _votes(version: Version, pairs: list[str], prompts: list[str], what: What) -> int:
    scan = _scan(version, "judgments")
    if scan is None:
        return 0
    goes = (
        pl.col("comparison_id").is_in(pairs)
        | pl.col("prompt_id").is_in(prompts)
        | pl.col("principle_id").is_in(list(what.principles))
    )
    return int(scan.filter(goes).select(pl.len()).collect(engine="streaming").item())


def _of_sources(version: Version, sources: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for config in ("sft", "preference") if sources else ():
        scan = _scan(version, config)
        if scan is not None:
            of = scan.filter(pl.col("source").is_in(list(sources))).select("prompt_id")
            found.update(of.collect()["prompt_id"].to_list())
    return found


def _unknown(version: Version, what: What) -> Iterator[Fault]:
    """A fault for each name that means nothing here, and meant nothing before a retraction."""
    before = retracted_before(version)
    place = f"{version.repo}@{version.tag}"
    known: dict[str, set[str]] = {
        "ids": _ids(version) if what.ids else set(),
        "prompts": _prompts(version) if what.prompts else set(),
        "principles": _principles(version) if what.principles else set(),
        "sources": _values(version, "source") if what.sources else set(),
    }
    for kind, names in known.items():
        for name in getattr(what, kind):
            if name in names or name in before.get(kind, ()):
                continue
            if kind == "ids" and name in _prompts(version):
                fix = f"use --prompt {name}"
                yield Fault(place, "--id", f'"{name}" is a prompt and no row', fix)
                continue
            hint = nearest(name, sorted(names)[:_NEAR])
            fix = hint if hint.startswith("did you") else f"see `charter show {place}`"
            yield Fault(place, f"--{kind[:-1]}", f'no {kind[:-1]} "{name}"', fix)


def named_anew(version: Version, what: What) -> bool:
    """Whether a name is given that later versions are to hold to and do not yet.

    It may be of rejects alone, which quote texts and whose rows another run could publish.
    """
    before = retracted_before(version)
    kinds = ("ids", "prompts", "sources")
    return any(set(getattr(what, kind)) - before.get(kind, set()) for kind in kinds)


def retracted_before(version: Version) -> dict[str, set[str]]:
    """What earlier retractions named, by kind, as the figures of the version have it."""
    found: dict[str, set[str]] = {}
    for _, what in chain(version.manifest.figures.get("retracted")):
        for kind, names in what.items():
            found.setdefault(kind, set()).update(names)
    return found


def _values(version: Version, column: str) -> set[str]:
    found: set[str] = set()
    for config in ("sft", "preference"):
        scan = _scan(version, config)
        if scan is not None:
            found.update(scan.select(pl.col(column).unique()).collect()[column].to_list())
    return found


def _ids(version: Version) -> set[str]:
    return _values(version, "id") | set(_rejected(version, "pair_id"))


def _prompts(version: Version) -> set[str]:
    return _values(version, "prompt_id") | set(_rejected(version, "prompt_id"))


def _rejected(version: Version, column: str) -> Iterable[str]:
    scan = _scan(version, "rejects")
    if scan is None:
        return ()
    rows = scan.filter(pl.col("ledger") != Ledger.INPUT.value)
    found = rows.select("ledger", "reason", "prompt_id", "pair_id").collect()
    names = found[column].drop_nulls().to_list()
    if column == "pair_id":
        # An sft row that was taken out left its prompt's id alone, and its own follows from it.
        sft = found.filter(
            (pl.col("ledger") == Ledger.SFT.value) & (pl.col("reason") == Reason.RETRACTED.value)
        )
        names += [f"{prompt_id}#sft" for prompt_id in sft["prompt_id"].to_list()]
    return [str(name) for name in names]


def _principles(version: Version) -> set[str]:
    named = load_constitution(version.path / "constitution.yaml").principles
    found = {principle.id for principle in named}
    scan = _scan(version, "judgments")
    if scan is not None:
        found.update(scan.select(pl.col("principle_id").unique()).collect().to_series().to_list())
    return found
