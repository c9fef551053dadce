"""What the labels of a version say, counted from batches of its rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from charter.hub import judge_figures
from charter.hub.judge_figures import JudgeFigures
from charter.hub.part import Part
from charter.hub.schema import CONFIGS
from charter.stats import wilson

VOTES = [  # comparison, principle, order, verdict, p(A)
    ("same", "kind", "AB", "A", 0.9),
    ("same", "kind", "BA", "A", 0.8),
    ("same", "fair", "BA", "A", 0.9),
    ("apart", "kind", "AB", "A", 0.7),
    ("apart", "kind", "BA", "B", 0.4),
    ("tied", "kind", "AB", "TIE", 0.5),
    ("tied", "kind", "BA", "TIE", 0.5),
    ("unread", "kind", "AB", "UNPARSED", None),
    ("unread", "kind", "BA", "B", 0.1),
    ("voted", "kind", "AB", "B", 0.0),
    ("voted", "kind", "BA", "B", 0.0),
    ("voted", "kind", "BA", "A", 1.0),
    ("voted", "kind", "BA", "B", 0.0),
]


@pytest.mark.parametrize("place", range(10))
def test_a_label_on_an_edge_is_in_the_bin_above_it(place: int) -> None:
    edge = (50 + 5 * place) / 100
    # The same edge as a judge may come to it: from the loser's probability.
    batch = pa.record_batch({"p_chosen": [edge, 1 - (1 - edge)], "source_label": [None, None]})
    figures = JudgeFigures()
    figures.see(Part("preference", batch, {}))
    assert figures.result()["p_chosen_bins"] == [2 if k == place else 0 for k in range(10)]


def test_certainty_is_in_the_last_bin() -> None:
    batch = pa.record_batch({"p_chosen": [1.0, 0.999], "source_label": [None, None]})
    figures = JudgeFigures()
    figures.see(Part("preference", batch, {}))
    assert figures.result()["p_chosen_bins"] == [0] * 9 + [2]


@pytest.mark.parametrize("size", [1, 3, len(VOTES)])
@pytest.mark.parametrize("merged", [0, 1 << 16])
def test_votes_tell_of_places_and_of_orders(
    size: int, merged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_figures, "_MERGED", merged)
    names = ("comparison_id", "principle_id", "order", "verdict", "p_a")
    figures = JudgeFigures()
    for at in range(0, len(VOTES), size):
        rows = [dict(zip(names, vote, strict=True)) for vote in VOTES[at : at + size]]
        schema = pa.schema([CONFIGS["judgments"].field(name) for name in names])
        figures.see(Part("judgments", pa.RecordBatch.from_pylist(rows, schema=schema), {}))
    assert figures.result()["judge"] == {
        "order_consistency": wilson(2, 4).as_json(),  # not where both are ties
        "first_position_rate": wilson(6, 10).as_json(),
        "tie_rate": wilson(2, 13).as_json(),
        "unparsed_rate": wilson(1, 13).as_json(),
        "one_order": 2,
    }
