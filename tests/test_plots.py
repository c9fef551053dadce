"""Heat maps and reliability plots: what they show, and that texts stay texts."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from charter.agreement import mean_score
from charter.plots import estimates, heat, reliability
from charter.stats import Estimate

EVIL = "</svg><script>alert(1)</script>"


def drawn(plot):
    """The elements of a plot, by tag; well-formed, or this fails."""
    return [each.tag for each in ElementTree.fromstring(plot.replace("&nbsp;", " ")).iter()]


def test_a_heat_map_has_a_square_for_every_two_names():
    plot = heat("Agreement", ["kind", "short"], [[1.0, 0.25], [0.25, None]])
    assert drawn(plot).count("rect") == 4
    assert "kind and short: 0.25" in plot and "short and short: no figure" in plot
    assert ">.25<" in plot and ">1<" in plot and 'fill-opacity="0.750"' in plot


@pytest.mark.parametrize("size", [1, 12, 60])
def test_a_heat_map_fits_its_frame(size):
    names = [f"a principle with a long name, number {i}" for i in range(size)]
    plot = heat("Agreement", names, [[0.5] * size] * size)
    squares = list(ElementTree.fromstring(plot).iter("rect"))
    assert len(squares) == size * size
    assert all(float(e.get("x")) + float(e.get("width")) <= 560 for e in squares)


def test_a_heat_map_of_nothing_and_one_that_is_no_square():
    assert "nothing to show" in heat("Agreement", [], [])
    for values in ([[1.0]], [[1.0, 1.0], [1.0]]):
        with pytest.raises(ValueError, match="square"):
            heat("Agreement", ["a", "b"], values)


def test_a_reliability_plot_has_a_point_for_every_bin_with_labels():
    bins = [(0.55, mean_score([1.0, 0.0])), (0.95, mean_score([1.0] * 8)), (0.7, mean_score([]))]
    plot = reliability("How right", bins)
    assert drawn(plot).count("circle") == 2
    assert "0.95 sure, right 1.000" in plot
    assert "nothing to show" in reliability("How right", bins[2:])


def test_a_share_without_an_interval_is_a_dot():
    rows = [("few", Estimate(0.5, None, None, 3)), ("none", Estimate(None, None, None, 0))]
    plot = estimates("Shares", [("many", mean_score([1.0] * 8)), *rows])
    assert drawn(plot).count("circle") == 2 and plot.count("l-one") == 1
    assert "0.50 (n = 3)" in plot and plot.count("no figure") == 1


def test_no_text_is_taken_for_markup():
    for plot in (heat(EVIL, [EVIL], [[0.5]]), reliability(EVIL, [(0.6, mean_score([1.0]))])):
        assert "script" not in drawn(plot)
