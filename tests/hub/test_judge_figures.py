"""What the labels of a version say, counted from batches of its rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from charter.hub.judge_figures import JudgeFigures
from charter.hub.part import Part


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
