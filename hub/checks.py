"""The integrity checks, each over all rows in one stream of batches.

A check sees every batch once and keeps counts, and hashes that lie on disk where they are many;
what it then names, it names exactly: where hashes meet, the keys themselves are read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import numpy as np
import polars as pl

from charter.hub.columns import some
from charter.hub.named import Named
from charter.hub.part import Part, frames, parts
from charter.hub.schema import SPLITS, TRAINED
from charter.hub.stored import StoredRows
from charter.hub.tally import Tally, together
from charter.hub.twice import Hash, hashes, met, twice
from charter.rows import Ledger, Order, Reason, Verdict, normalised

__all__ = [
    "Check",
    "EnumCheck",
    "IdCheck",
    "LabelCheck",
    "PairCheck",
    "Seeing",
    "SplitCheck",
]

Rows = Mapping[str, StoredRows]

# Log-odds are often the original and p their image, or the other way round: compared through
# the sigmoid, where both are exact to the last digits even near certainty.
_TOLERANCE: Final = 1e-9
_HEAD: Final = 48


class Seeing(Protocol):
    """What looks at the rows in their one pass."""

    def see(self, part: Part) -> None:
        """Look at one batch; each comes once, a config's in their order."""


class Check(Seeing, Protocol):
    """What the gate asks of a check."""

    def problems(self) -> Iterator[str]:
        """What was found wrong, when all batches were seen."""


class IdCheck:
    """Every id names one row, every vote one judgment."""

    _KEYS: Final = {
        "sft": ("id",),
        "preference": ("id",),
        "rejects": ("pair_id",),
        "judgments": ("comparison_id", "principle_id", "order", "sample"),
        "reviews": ("id",),
    }

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._seen = {config: Tally() for config in self._KEYS}

    def see(self, part: Part) -> None:
        """Hash the keys."""
        keys = part.frame(*self._KEYS[part.config]).drop_nulls()
        self._seen[part.config].add(hashes(keys))

    def problems(self) -> Iterator[str]:
        """Ids, pairs and votes that are there twice."""
        pairs_once = True
        for config in ("sft", "preference", "reviews"):
            found = self._twice(config)
            if found:
                yield f"{config}: id twice: {some(name for (name,) in found)}"
                pairs_once = pairs_once and config != "preference"
        if pairs_once:
            found = self._twice("preference", "rejects")
            if found:
                names = some(name for (name,) in found)
                yield f"pair both kept and rejected, or rejected twice: {names}"
        votes = [
            f"{pair} under {p} in order {order}" for pair, p, order, _ in self._twice("judgments")
        ]
        if votes:
            yield f"judgments: vote twice: {some(votes)}"

    def _twice(self, *configs: str) -> list[tuple[str, ...]]:
        suspects = met(*(self._seen[config] for config in configs))
        keys = (
            frame.drop_nulls()
            for config in configs
            for frame in frames(self._rows.get(config), *self._KEYS[config])
        )
        return twice(suspects, keys)


class PairCheck:
    """Chosen and rejected differ."""

    def __init__(self) -> None:
        self._same = Named()

    def see(self, part: Part) -> None:
        """Compare the texts of each pair."""
        if part.config != "preference":
            return
        texts = zip(part.contents("chosen"), part.contents("rejected"), strict=True)
        same = pl.Series([_alike(one, other) for one, other in texts], dtype=pl.Boolean)
        self._same.add(part.column("id").filter(same))

    def problems(self) -> Iterator[str]:
        """Pairs of equal texts."""
        yield from self._same.told("chosen equals rejected: ")


def _alike(one: str, other: str) -> bool:
    """Whether two texts are the same but for case, white space and the like."""
    return not _begin_apart(one, other) and normalised(one) == normalised(other)


def _begin_apart(one: str, other: str) -> bool:
    """Whether the first characters say that two texts differ; most do, and few are read for it."""
    heads = one[:_HEAD], other[:_HEAD]
    if not all(map(str.isascii, heads)):
        return False
    # What is before an ASCII character is normalised apart from what follows, as all but the last
    # one here are: an accent may come next.
    left, right = (normalised(head[:-1]) for head in heads)
    shared = min(len(left), len(right))
    return left[:shared] != right[:shared]


class LabelCheck:
    """`p_chosen` is above one half, and `log_odds` its logit."""

    def __init__(self) -> None:
        self._outside, self._apart = Named(), Named()

    def see(self, part: Part) -> None:
        """Compare the two columns."""
        if part.config != "preference":
            return
        p = part.column("p_chosen").to_numpy()
        log_odds = part.column("log_odds")
        lacks = log_odds.is_null().to_numpy()
        outside = ~((p > 0.5) & (p <= 1))
        off = np.abs(_sigmoid(log_odds.fill_null(0.0).to_numpy()) - p) > _TOLERANCE
        apart = ~outside & (((p == 1) != lacks) | (~lacks & off))
        ids = part.column("id")
        self._outside.add(ids.filter(pl.Series(outside)))
        self._apart.add(ids.filter(pl.Series(apart)))

    def problems(self) -> Iterator[str]:
        """Labels that are none."""
        yield from self._outside.told("p_chosen not in (0.5, 1]: ")
        yield from self._apart.told("log_odds is not the logit of p_chosen: ")


def _sigmoid(x: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    high = 1 / (1 + np.exp(-np.abs(x)))
    return np.where(x >= 0, high, 1 - high)


class EnumCheck:
    """Verdicts, orders, sources, reasons and roles are known words."""

    _ENUMS: Final[tuple[tuple[str, str, frozenset[str | None]], ...]] = (
        ("preference", "label_source", frozenset({"ai", "human"})),
        ("judgments", "order", frozenset(Order)),
        ("judgments", "verdict", frozenset(Verdict)),
        ("judgments", "source_label", frozenset({"A", "B", "TIE", None})),
        ("preference", "source_label", frozenset({"chosen", "rejected", "tie", None})),
        ("rejects", "ledger", frozenset(Ledger)),
        ("rejects", "reason", frozenset(Reason)),
    )
    _ANSWER: Final = frozenset({"assistant"})
    _ROLES: Final[tuple[tuple[str, str, frozenset[str]], ...]] = (
        ("sft", "prompt", frozenset({"system", "user", "assistant"})),
        ("preference", "prompt", frozenset({"system", "user", "assistant"})),
        ("sft", "completion", _ANSWER),
        ("preference", "chosen", _ANSWER),
        ("preference", "rejected", _ANSWER),
    )

    def __init__(self) -> None:
        self._unknown: dict[tuple[str, str], set[str | None]] = {}
        self._odd = {(config, column): Named() for config, column, _ in self._ROLES}
        self._no_p = Named()

    def see(self, part: Part) -> None:
        """Collect what is no known word."""
        for config, column, known in self._ENUMS:
            if config == part.config:
                odd = set(part.column(column).unique().to_list()) - known
                self._unknown.setdefault((config, column), set()).update(odd)
        for config, column, known in self._ROLES:
            if config == part.config:
                odd_roles = pl.Series(part.other_roles(column, known))
                self._odd[config, column].add(part.column("id").filter(odd_roles))
        if part.config == "judgments":
            p_a = pl.col("p_a")
            outside = part.frame("comparison_id", "p_a").filter((p_a < 0) | (p_a > 1))
            self._no_p.add(outside["comparison_id"])

    def problems(self) -> Iterator[str]:
        """Unknown words, by column."""
        for config, column, _ in self._ENUMS:
            odd = self._unknown.get((config, column))
            if odd:
                yield f"{config}.{column}: unknown {some(sorted(map(str, odd)))}"
        yield from self._no_p.told("judgments.p_a: no probability in ")
        for (config, column), named in self._odd.items():
            yield from named.told(f"{config}.{column}: no message, or one of another role, in ")


class SplitCheck:
    """Every prompt has a split, no text is in both, and there is something to train on."""

    def __init__(self, rows: Rows, splits: Mapping[str, str]) -> None:
        self._rows = rows
        self._splits = splits
        self._lost: dict[str, dict[str, None]] = {}
        self._trained: set[str] = set()
        self._texts: dict[str, Tally] = {}

    def see(self, part: Part) -> None:
        """Hash the texts of the prompts in each split."""
        if part.config == "rejects":
            return
        self._lost.setdefault(part.config, {}).update(dict.fromkeys(part.without_split()))
        if part.config not in TRAINED:
            return
        hashed = hashes(pl.DataFrame({"text": part.texts("prompt")}))
        for split, mask in part.masks.items():
            self._texts.setdefault(split, Tally()).add(np.unique(hashed[mask]))
            if split == "train":
                self._trained.add(part.config)

    def problems(self) -> Iterator[str]:
        """Prompts in no split or in two, and configs that nobody can train on."""
        odd = sorted({str(split) for split in self._splits.values()} - set(SPLITS))
        if odd:
            yield f"unknown split {some(odd)}"
        for config in TRAINED:
            rows = len(self._rows.get(config, ()))
            if rows and config not in self._trained:
                yield f"{config} has {rows} rows and none in train"
        lost = {
            name: None for config in (*TRAINED, "judgments") for name in self._lost.get(config, ())
        }
        if lost:
            yield f"no split for prompt {some(lost)}"
        both = self._both()
        if both:
            yield f"prompt in both splits: {some(both)}"

    def _both(self) -> list[str]:
        suspects = self._suspects()
        if not len(suspects):
            return []
        places: dict[str, set[str]] = {}
        for config in TRAINED:
            for part in parts(config, self._rows.get(config), self._splits):
                texts = part.texts("prompt")
                hit = np.isin(hashes(pl.DataFrame({"text": texts})), suspects)
                for at in np.flatnonzero(hit).tolist():
                    places.setdefault(texts[at], set()).add(part.row_splits[at])
        return [f'"{text[:40]}"' for text, where in places.items() if len(where) > 1]

    def _suspects(self) -> Hash:
        """Hashes of the texts that seem to be in several splits."""
        found = [np.empty(0, np.uint64)]
        for keys, counts in together(*self._texts.values()):
            found.append(keys[np.count_nonzero(counts, axis=0) > 1])
        return np.concatenate(found)
