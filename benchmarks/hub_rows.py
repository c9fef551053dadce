"""The rows of the Hub's benchmark: preference pairs of some 3 KB, their votes, a few rejects.

Words are drawn from a vocabulary with the frequencies of a language (Zipf), so that the texts
compress about as prose does. Everything is drawn from the number of a block of rows: the first N
rows of more are those of N rows. Not run by itself; see `hub.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from hub_plan import SHARE, Change

from charter.hub import Draft, Splits, StoredRows
from charter.hub.schema import CONFIGS
from charter.hub.split_index import split_of
from charter.rows import digest

__all__ = ["change", "draft", "made", "plain", "splits_of", "stored"]

_BLOCK: Final = 1024
_VOCABULARY: Final = 30_000
# Words: some 500, 1,250 and 1,250 characters.
_LENGTHS: Final = {"prompt": 82, "one": 205, "other": 205}
_TIES, _BROKEN = 50, 100  # a tie for each so many rows, a record that is no prompt
_TEST: Final = 20
_JUDGE: Final = "judge-32b"

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@cache
def _words() -> pa.Array:
    """The vocabulary, the most frequent word first; frequent words are short."""
    draw = np.random.default_rng(1)
    syllables = [c + v for c in "bcdfghklmnprstvwz" for v in ("a", "e", "i", "o", "u", "ou", "en")]
    found: dict[str, None] = {}
    while len(found) < _VOCABULARY:
        size = 1 + int(draw.poisson(0.6 + len(found) / _VOCABULARY))
        found["".join(draw.choice(syllables, size))] = None
    return pa.array(found)


class _Texts:
    """Texts of words drawn by their rank."""

    def __init__(self) -> None:
        self._words = _words()
        frequency = 1 / (np.arange(_VOCABULARY) + 2.7)
        self._sums = np.cumsum(frequency / frequency.sum())

    def draw(self, draw: np.random.Generator, rows: int, words: int) -> pa.Array:
        sizes = np.maximum(draw.gamma(4.0, words / 4.0, rows).astype(np.int64), 5)
        ends = np.concatenate(([0], np.cumsum(sizes)))
        ranks = np.searchsorted(self._sums, draw.random(int(ends[-1])))
        taken = self._words.take(pa.array(np.minimum(ranks, _VOCABULARY - 1)))
        return pc.binary_join(pa.ListArray.from_arrays(pa.array(ends, pa.int32()), taken), " ")


def _said(role: str, texts: pa.Array) -> pa.Array:
    """One message a text."""
    roles = pa.array([role] * len(texts))
    offsets = pa.array(np.arange(len(texts) + 1), pa.int32())
    messages = pa.StructArray.from_arrays([roles, texts], ["role", "content"])
    return pa.ListArray.from_arrays(offsets, messages)


def _names(prefix: str, numbers: Ints, suffix: str = "") -> pa.Array:
    return pa.array([f"{prefix}{number:08d}{suffix}" for number in numbers.tolist()])


def _label(draw: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Log-odds of a label, and half of what the two orders differ by."""
    return np.abs(draw.normal(0, 1.2, rows)) + 0.05, draw.normal(0, 0.04, rows)


def _p(log_odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-log_odds))


def _pairs(texts: _Texts, block: int, rows: int) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """One block of preference rows, and of their votes, one in each order."""
    draw = np.random.default_rng([7, block])
    said = {name: texts.draw(draw, _BLOCK, words)[:rows] for name, words in _LENGTHS.items()}
    numbers = np.arange(block * _BLOCK, block * _BLOCK + rows)
    log_odds, apart = (each[:rows] for each in _label(draw, _BLOCK))
    principles = pa.array([[f"p{n}"] for n in draw.integers(0, 12, _BLOCK)[:rows].tolist()])
    first = draw.random(_BLOCK)[:rows] < 0.5
    ids, prompt_ids = _names("q", numbers, "#0~1"), _names("q", numbers)
    columns: dict[str, Any] = {
        "id": ids,
        "prompt": _said("user", said["prompt"]),
        "chosen": _said("assistant", said["one"]),
        "rejected": _said("assistant", said["other"]),
        "p_chosen": _p(log_odds),
        "log_odds": log_odds,
        "principle_ids": principles,
        "n_votes": np.full(rows, 2, np.int32),
        "order_consistent": np.abs(apart) < log_odds,
        "prompt_id": prompt_ids,
        **_same(rows, label_source="ai", source_label=None, source="made up"),
        **_same(rows, judge_model=_JUDGE, chosen_model="answer-7b", rejected_model="answer-7b"),
    }
    both = np.repeat(np.arange(rows), 2)
    in_order = np.tile([True, False], rows)
    votes: dict[str, Any] = {
        "comparison_id": ids.take(pa.array(both)),
        "prompt_id": prompt_ids.take(pa.array(both)),
        "candidate_a": _names("q", numbers[both], "#0"),
        "candidate_b": _names("q", numbers[both], "#1"),
        "principle_id": principles.flatten().take(pa.array(both)),
        "order": pc.if_else(pa.array(in_order), "AB", "BA"),
        "sample": np.zeros(2 * rows, np.int32),
        **_verdicts(log_odds, apart, first),
        "rationale": pa.nulls(2 * rows, pa.string()),
        "score_a": pa.nulls(2 * rows, pa.float64()),
        "score_b": pa.nulls(2 * rows, pa.float64()),
        "prompt_tokens": draw.integers(500, 900, 2 * _BLOCK)[: 2 * rows].astype(np.int32),
        "completion_tokens": np.ones(2 * rows, np.int32),
        **_same(2 * rows, judge_model=_JUDGE, source_label=None),
    }
    return _batch("preference", columns), _batch("judgments", votes)


def _verdicts(log_odds: Floats, apart: Floats, first: Bools) -> dict[str, Any]:
    """What the two votes of each pair say; `first` where the chosen one is candidate A."""
    signed = np.where(first, log_odds, -log_odds)
    p_a = _p(np.stack([signed + apart, signed - apart], axis=1).ravel())
    said = pc.if_else(pa.array(p_a > 0.5), "A", "B")
    return {"p_a": p_a, "verdict": said, "raw": said}


def _same(rows: int, **columns: str | None) -> dict[str, Any]:
    return {name: pa.array([value] * rows, pa.string()) for name, value in columns.items()}


def _batch(config: str, columns: dict[str, Any]) -> pa.RecordBatch:
    schema = CONFIGS[config]
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _rejects(rows: int) -> pa.RecordBatch:
    ties, broken = rows // _TIES, rows // _BROKEN
    return _batch(
        "rejects",
        {
            "ledger": ["preference"] * ties + ["input"] * broken,
            "prompt_id": [f"t{n:08d}" for n in range(ties)] + [None] * broken,
            "pair_id": [f"t{n:08d}#0~1" for n in range(ties)] + [None] * broken,
            "stage": ["aggregate"] * ties + ["read"] * broken,
            "reason": ["TIE"] * ties + ["NOT_JSON"] * broken,
            "detail": ["p 0.501"] * ties + ["line is no JSON object"] * broken,
        },
    )


def made(folder: Path, rows: int, say: Callable[[int], None] = lambda _: None) -> None:
    """Write the first version's rows, one Arrow stream a config."""
    texts = _Texts()
    with _Streams(folder) as streams:
        for block in range(-(-rows // _BLOCK)):
            pairs, votes = _pairs(texts, block, min(_BLOCK, rows - block * _BLOCK))
            streams.write("preference", pairs)
            streams.write("judgments", votes)
            say(block)
        streams.write("rejects", _rejects(rows))


class _Streams:
    """Arrow streams as `charter.hub.RowWriter` leaves them; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[Any, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> _Streams:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open.values():
            for part in each:
                part.close()

    def write(self, config: str, batch: pa.RecordBatch) -> None:
        if config not in self._open:
            file = pa.OSFile(str(self._folder / f"{config}.arrow"), "wb")
            options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
            stream = pa.ipc.new_stream(file, CONFIGS[config], options=options)
            self._open[config] = (stream, file)
        self._open[config][0].write_batch(batch)


def stored(folder: Path) -> dict[str, StoredRows]:
    """What `made` or `change` wrote."""
    found = {}
    for path in sorted(folder.glob("*.arrow"), key=lambda path: list(CONFIGS).index(path.stem)):
        rows = StoredRows(path.stem, 0, (), path)
        count = sum(batch.num_rows for batch in rows.batches(CONFIGS[path.stem].names[0]))
        found[path.stem] = StoredRows(path.stem, count, (), path)
    return found


def splits_of(rows: dict[str, StoredRows]) -> Splits:
    """One prompt in twenty is `test`; as `assign_splits` gives them."""
    tests = np.fromiter((int(name[1:]) % _TEST == 7 for name in _prompts(rows)), np.bool_)
    pa.default_memory_pool().release_unused()
    return Splits(_prompts(rows), tests)


def _prompts(rows: dict[str, StoredRows]) -> Iterator[str]:
    for batch in rows["preference"].batches("prompt_id"):
        yield from batch.column(0).to_pylist()
    yield from (name for name in rows["rejects"].distinct("prompt_id") if name)


def draft(repo: str, rows: dict[str, StoredRows], splits: Mapping[str, str]) -> Draft:
    """All that `publish_hub` wants."""
    pairs, rejects = len(rows["preference"]), rows["rejects"]
    reasons = [name for batch in rejects.batches("reason") for name in batch[0].to_pylist()]
    ties, broken = reasons.count("TIE"), reasons.count("NOT_JSON")
    return Draft(
        repo=repo,
        rows=rows,
        splits=splits,
        ledgers={
            "records": pairs + ties + broken,
            "prompts": pairs + ties,
            "pairs_formed": pairs + ties,
        },
        lineage=_lineage(pairs),
        constitution_yaml=_CONSTITUTION,
        recipe_yaml="schema_version: 1\nname: bench\n",
    )


def _lineage(rows: int) -> dict[str, Any]:
    return {
        "constitution": {
            "name": "bench",
            "version": "1.0.0",
            "licence": "CC0-1.0",
            "fingerprint": digest("constitution"),
        },
        "recipe": {"name": "bench", "fingerprint": digest("recipe")},
        "prompt_set": {"path": "made up", "fingerprint": digest("prompts"), "records": rows},
        "models": {
            "generator": {"llm": "openai", "model": "answer-7b"},
            "judge": {"llm": "openai", "model": _JUDGE},
        },
        "seeds": {"recipe": 7},
        "packages": {"pyarrow": pa.__version__},
        "figures": {},
    }


_CONSTITUTION: Final = """\
schema_version: 1
name: bench
version: 1.0.0
licence: CC0-1.0
principles:
  - id: p0
    name: Be kind
    comparison: Choose the kinder response.
"""


def plain(folder: Path, source: Path, splits: Mapping[str, str]) -> None:
    """The same rows as uncompressed Arrow streams, one a split, as `datasets` maps them."""
    folder.mkdir(parents=True, exist_ok=True)
    for config, rows in stored(source).items():
        files: dict[str, Any] = {}
        for batch in rows.batches():
            names = batch.column("prompt_id").to_pylist()
            test = pa.array([split == "test" for split in split_of(splits, names)])
            for split, mask in (("train", pc.invert(test)), ("test", test)):
                part = batch.filter(mask)
                if part.num_rows:
                    path = str(folder / f"{config}-{split}.arrow")
                    if split not in files:
                        files[split] = pa.ipc.new_stream(path, CONFIGS[config])
                    files[split].write_batch(part)
        for file in files.values():
            file.close()


# The second version


def _touched(how: Change, rows: int) -> Bools:
    """Which rows a change touches."""
    mask = np.zeros(rows, bool)
    count = int(rows * SHARE)
    if how.where == "block":
        mask[rows // 3 : rows // 3 + count] = True
    elif how.where == "front":
        mask[min(3, rows - 1)] = True
    elif how.where == "scattered":
        mask[np.random.default_rng(11).permutation(rows)[:count]] = True
    return mask


def change(how: Change, source: Path, folder: Path) -> None:
    """Write the rows of the second version."""
    first = stored(source)
    rows = len(first["preference"])
    mask = _touched(how, rows)
    with _Streams(folder) as streams:
        votes = first["judgments"].batches()
        for block, pairs in enumerate(first["preference"].batches()):
            here = mask[block * _BLOCK : block * _BLOCK + pairs.num_rows]
            for config, batch in _changed(how, here, pairs, next(votes), block):
                streams.write(config, batch)
        for config, batch in _further(how, rows):
            streams.write(config, batch)
        for batch in first["rejects"].batches():
            streams.write("rejects", batch)


def _further(how: Change, rows: int) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Rows at the end; from blocks far after all others, so that no id comes twice."""
    texts, left, block = _Texts(), int(rows * SHARE) if how.kind == "append" else 0, 90_000
    while left:
        pairs, votes = _pairs(texts, block, min(left, _BLOCK))
        yield "preference", pairs
        yield "judgments", votes
        left, block = left - pairs.num_rows, block + 1


def _changed(
    how: Change, mask: Bools, pairs: pa.RecordBatch, votes: pa.RecordBatch, block: int
) -> Iterator[tuple[str, pa.RecordBatch]]:
    both = np.repeat(mask, 2)
    if how.kind == "drop":
        pairs, votes = pairs.filter(pa.array(~mask)), votes.filter(pa.array(~both))
    elif how.kind == "flip":
        one, other = pairs.column("chosen"), pairs.column("rejected")
        flip = pa.array(mask)
        pairs = _with(pairs, chosen=_either(flip, other, one), rejected=_either(flip, one, other))
        letters = votes.column("verdict")
        turned = pc.if_else(pc.equal(letters, "A"), "B", "A")
        said = pc.if_else(pa.array(both), turned, letters)
        p_a = votes.column("p_a").to_numpy()
        votes = _with(votes, verdict=said, raw=said, p_a=np.where(both, 1 - p_a, p_a))
    elif how.kind == "label":
        draw = np.random.default_rng([13, block])
        fresh, apart = _label(draw, len(mask))
        log_odds = np.where(mask, fresh, pairs.column("log_odds").to_numpy())
        fine = pc.if_else(
            pa.array(mask), pa.array(np.abs(apart) < fresh), pairs["order_consistent"]
        )
        pairs = _with(pairs, p_chosen=_p(log_odds), log_odds=log_odds, order_consistent=fine)
        said = _verdicts(fresh, apart, draw.random(len(mask)) < 0.5)
        votes = _with(
            votes,
            **{
                name: pc.if_else(pa.array(both), value, votes[name]) for name, value in said.items()
            },
        )
    elif how.kind == "text" and mask.any():
        fresh_pairs, _ = _pairs(_Texts(), 80_000 + block, len(mask))
        swap = pa.array(mask)
        pairs = _with(
            pairs,
            chosen=_either(swap, fresh_pairs["chosen"], pairs["chosen"]),
            rejected=_either(swap, fresh_pairs["rejected"], pairs["rejected"]),
        )
    yield "preference", pairs
    yield "judgments", votes


def _either(mask: pa.Array, one: pa.Array, other: pa.Array) -> pa.Array:
    """Values of one where the mask says so; `if_else` does not know lists of structs."""
    at = np.arange(len(mask)) + np.where(mask.to_numpy(zero_copy_only=False), 0, len(mask))
    return pa.concat_arrays([one, other]).take(pa.array(at))


def _with(batch: pa.RecordBatch, **columns: Any) -> pa.RecordBatch:
    every = {name: batch.column(name) for name in batch.schema.names} | columns
    arrays = [pa.array(every[field.name], field.type) for field in batch.schema]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
