"""The checks that count: ledgers that add up, and votes that stand behind every label.

They count hashes of keys, which lie on disk where they are many; what they then name, they name
exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from charter.hub.columns import some
from charter.hub.manifest import Ledgers
from charter.hub.named import Named
from charter.hub.part import Part, frames
from charter.hub.stored import StoredRows
from charter.hub.tally import Counts, Tally, together
from charter.hub.twice import Hash, hashes
from charter.rows import Ledger, Order, Verdict

__all__ = ["LedgerCheck", "VoteCheck"]

Rows = Mapping[str, StoredRows]


class LedgerCheck:
    """Records, prompts and pairs are each accounted for by one row or one reject.

    Prompts are counted by hashes of their ids: of those whose hashes meet, the ids are read again.
    """

    def __init__(self, rows: Rows, ledgers: Mapping[str, int]) -> None:
        self._rows = rows
        self._ledgers = ledgers
        self._lost: Counter[str] = Counter()
        self._lost_pairs = 0
        self._paired = Tally()
        self._single = Tally()

    def see(self, part: Part) -> None:
        """Count rejects, and prompts with and without a pair."""
        if part.config == "preference":
            self._paired.add(hashes(part.frame("prompt_id")))
        if part.config != "rejects":
            return
        frame = part.frame(*_REJECT)
        self._lost.update(frame["ledger"].to_list())
        paired, single = _with_pair(frame), _without_pair(frame)
        self._lost_pairs += paired.height
        self._paired.add(hashes(paired))
        self._single.add(hashes(single))

    def problems(self) -> Iterator[str]:
        """Where an account does not add up."""
        if self._ledgers.keys() != Ledgers.model_fields.keys() or not all(
            type(value) is int and value >= 0 for value in self._ledgers.values()
        ):
            yield f"ledgers are {', '.join(Ledgers.model_fields)}, each a count"
            return
        lost, records, prompts = self._lost, self._ledgers["records"], self._ledgers["prompts"]
        if records != prompts + lost[Ledger.INPUT]:
            yield f"{records} records, but {prompts} prompts + {lost[Ledger.INPUT]} rejects (input)"
        sft = len(self._rows.get("sft", ()))
        # Without the block nobody keeps that account; rejects in it then have no business here.
        if prompts != sft + lost[Ledger.SFT] and ("sft" in self._rows or lost[Ledger.SFT]):
            yield f"{prompts} prompts, but {sft} sft rows + {lost[Ledger.SFT]} rejects (sft)"
        yield from self._pair_problems(self._ledgers["pairs_formed"], prompts)

    def _pair_problems(self, formed: int, prompts: int) -> Iterator[str]:
        pairs, lost = len(self._rows.get("preference", ())), self._lost_pairs
        if formed != pairs + lost:
            yield f"{formed} pairs formed, but {pairs} rows + {lost} rejects of pairs"
        if "preference" not in self._rows and not self._lost[Ledger.PREFERENCE]:
            return
        paired, single, suspects = self._met()
        odd = self._odd(suspects)
        if odd:
            yield f"prompts rejected as without a pair twice, or with one: {some(odd)}"
        if paired + single != prompts:
            paired, single = self._counted()
        if paired + single != prompts:
            yield (
                f"{prompts} prompts, but {paired} with a pair + {single} rejects (preference) "
                "without one"
            )

    def _met(self) -> tuple[int, int, Hash]:
        """Prompts with a pair, those rejected before they had one, and who seems odd."""
        with_one = alone = 0
        suspects = [np.empty(0, np.uint64)]
        for keys, (paired, single) in together(self._paired, self._single):
            with_one += int(np.count_nonzero(paired))
            alone += int(np.count_nonzero(single))
            suspects.append(keys[(single > 1) | ((single > 0) & (paired > 0))])
        return with_one, alone, np.concatenate(suspects)

    def _counted(self) -> tuple[int, int]:
        """The first two by the ids themselves: perhaps two of them have one hash."""
        rejects = list(frames(self._rows.get("rejects"), *_REJECT))
        alone = {name for each in rejects for name in _without_pair(each)["prompt_id"]}
        with_one = {name for each in rejects for name in _with_pair(each)["prompt_id"]}
        for each in frames(self._rows.get("preference"), "prompt_id"):
            with_one.update(each["prompt_id"])
        return len(with_one), len(alone)

    def _odd(self, suspects: Hash) -> list[str]:
        """Prompts rejected as without a pair that are so twice, or that have one."""
        if not len(suspects):
            return []

        def names(found: pl.DataFrame) -> list[str | None]:
            return found.filter(pl.Series(np.isin(hashes(found), suspects)))["prompt_id"].to_list()

        rejects = list(frames(self._rows.get("rejects"), *_REJECT))
        alone = Counter(name for each in rejects for name in names(_without_pair(each)))
        with_one = {name for each in rejects for name in names(_with_pair(each))}
        for each in frames(self._rows.get("preference"), "prompt_id"):
            with_one.update(names(each))
        return [str(name) for name, n in alone.items() if n > 1 or name in with_one]


_REJECT: Final = ("ledger", "prompt_id", "pair_id")


def _with_pair(rejects: pl.DataFrame) -> pl.DataFrame:
    """Prompts whose pair was rejected."""
    return _of_preference(rejects, pl.col("pair_id").is_not_null())


def _without_pair(rejects: pl.DataFrame) -> pl.DataFrame:
    """Prompts that were rejected before they had a pair."""
    return _of_preference(rejects, pl.col("pair_id").is_null())


def _of_preference(rejects: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    mine = pl.col("ledger") == Ledger.PREFERENCE.value
    return rejects.filter(mine & which).select("prompt_id")


class VoteCheck:
    """An AI label stands on as many parsed votes as it says, at least one in each order asked.

    Both are counted by hashes of the pairs' ids. Ids whose hashes do not add up are counted again
    by themselves.
    """

    def __init__(self, rows: Rows, orders: str = "both") -> None:
        self._rows = rows
        self._both = orders == "both"
        self._pairs, self._said = Tally(), Tally()
        self._votes = {each.value: Tally() for each in Order}

    def see(self, part: Part) -> None:
        """Hash the ids of labels and of parsed votes."""
        if part.config == "preference":
            labels = _labels(part.frame(*_LABEL))
            pairs = hashes(labels.select("id"))
            self._pairs.add(pairs)
            self._said.add(pairs, labels["n_votes"].to_numpy().astype(np.int64))
        if part.config == "judgments":
            votes = _parsed(part.frame(*_VOTE))
            for order, held in self._votes.items():
                held.add(hashes(votes.filter(pl.col("order") == order).select("id")))

    def problems(self) -> Iterator[str]:
        """Labels without votes behind them."""
        suspects = self._suspects()
        bare, miscounted = Named(), Named()
        if len(suspects):
            pairs, counted = self._again(suspects)
            lacks = self._lacks(*(counted[each.value] for each in Order))
            bare.add(pairs["id"].filter(pl.Series(lacks)))
            wrong = ~lacks & (pairs["n_votes"] != counted.sum_horizontal()).to_numpy()
            miscounted.add(pairs["id"].filter(pl.Series(wrong)))
        yield from bare.told("label without a parsed vote in each order: ")
        yield from miscounted.told("n_votes is not the number of parsed votes: ")

    def _lacks(self, *orders: Any) -> np.typing.NDArray[np.bool_]:
        none = np.stack([np.asarray(each) == 0 for each in orders])
        lacking = none.sum(axis=0) > 0 if self._both else none.sum(axis=0) == len(orders)
        return np.asarray(lacking, np.bool_)

    def _suspects(self) -> Hash:
        """Hashes of the labels that seem to lack votes."""
        found = [np.empty(0, np.uint64)]
        for keys, counts in together(self._pairs, self._said, *self._votes.values()):
            pairs, said, *votes = counts
            odd = self._lacks(*votes) | (_sum(votes) != said)
            # Of two labels with one hash, one may have what the other lacks.
            found.append(keys[(pairs > 1) | ((pairs == 1) & odd)])
        return np.concatenate(found)

    def _again(self, suspects: Hash) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Labels by their ids, and their votes by order."""

        def those(found: pl.DataFrame) -> pl.DataFrame:
            return found.filter(pl.Series(np.isin(hashes(found.select("id")), suspects)))

        pairs = pl.concat(
            those(_labels(each)) for each in frames(self._rows.get("preference"), *_LABEL)
        )
        votes: Counter[tuple[str, str]] = Counter()
        for each in frames(self._rows.get("judgments"), *_VOTE):
            votes.update(those(_parsed(each)).select("id", "order").rows())
        names = pairs["id"].to_list()
        columns = {o.value: [votes[name, o.value] for name in names] for o in Order}
        return pairs, pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int64))


def _sum(counts: list[Counts]) -> Counts:
    total: Counts = np.sum(counts, axis=0)
    return total


_LABEL: Final = ("id", "label_source", "n_votes")
_VOTE: Final = ("comparison_id", "order", "verdict")


def _labels(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("label_source") == "ai").select("id", "n_votes")


def _parsed(rows: pl.DataFrame) -> pl.DataFrame:
    known = rows.filter(pl.col("verdict") != Verdict.UNPARSED.value)
    return known.select(pl.col("comparison_id").alias("id"), "order")
