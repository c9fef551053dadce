"""A batch of rows as the checks see it, also where it is cut out of a larger one."""

from __future__ import annotations

import pyarrow as pa
import pytest

from charter.hub import Splits
from charter.hub.part import Part
from charter.hub.schema import CONFIGS


@pytest.fixture(params=[slice(0, 8), slice(3, 6), slice(0, 0)], ids=str)
def some(request, make_draft):
    """Rows, and the part of them that a slice of their batch is."""
    rows = make_draft().rows["preference"]
    rows[3]["chosen"] += [{"role": "user", "content": "Why?"}]
    rows[4]["chosen"] = []
    rows[5]["chosen"] = [{"role": "oracle", "content": ""}]
    batch = pa.RecordBatch.from_pylist(rows, schema=CONFIGS["preference"])
    rows = rows[request.param]
    return rows, Part("preference", batch.slice(request.param.start, len(rows)), {})


def test_conversations_are_those_of_its_rows(some):
    rows, part = some
    said = ["\n".join(m["content"] for m in row["chosen"]) for row in rows]
    assert part.contents("chosen") == said
    lengths = [sum(len(m["content"]) for m in row["chosen"]) for row in rows]
    assert part.lengths("chosen").tolist() == lengths
    roles = [{m["role"] for m in row["chosen"]} for row in rows]
    odd = [not each or "oracle" in each for each in roles]
    assert part.other_roles("chosen", frozenset({"user", "assistant"})).tolist() == odd


def test_prompts_without_a_split_come_in_their_order(make_draft):
    rows = [row for i in (5, 3, 6, 3, 0) for row in make_draft().rows["judgments"][2 * i :][:2]]
    part = Part("judgments", pa.RecordBatch.from_pylist(rows, schema=CONFIGS["judgments"]), {})
    names = list(dict.fromkeys(row["prompt_id"] for row in rows))
    assert part.without_split() == names and len(names) == 4
    part.splits = Splits(names[1:3], [False, True])
    assert part.without_split() == [names[0], names[3]]
    assert part.row_splits == ["train"] * 4 + ["test"] * 2 + ["train"] * 4
    assert {split: mask.sum() for split, mask in part.masks.items()} == {"train": 8, "test": 2}
    assert [*Part("judgments", part.batch.slice(4, 2), part.splits).masks] == ["test"]
