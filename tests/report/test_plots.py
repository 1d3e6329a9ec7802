import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.axes import Axes

from fgfa.report import plots


@pytest.fixture
def drawn(monkeypatch):
    """What has been drawn: name of the method and its arguments."""
    calls = []
    for name in ("plot", "errorbar", "barh"):
        method = getattr(Axes, name)

        def record(self, *args, _name=name, _method=method, **kwargs):
            calls.append((_name, args, kwargs))
            return _method(self, *args, **kwargs)

        monkeypatch.setattr(Axes, name, record)
    return calls


def test_ap_with_intervals(analyses, drawn):
    svg = plots.ap_plot(analyses)
    assert ET.fromstring(svg).tag.endswith("svg")
    (_, (places, values, ends), kwargs), second = drawn
    np.testing.assert_array_equal(values, [100, 100, np.nan, np.nan])
    np.testing.assert_array_equal(ends, np.zeros((2, 4)))
    _, (other_places, values, ends), other_kwargs = second
    assert (other_places != places).all()
    assert kwargs["color"] != other_kwargs["color"]
    low, high = values[0] - ends[0, 0], values[0] + ends[1, 0]
    assert (low, high) == pytest.approx(tuple(analyses[1].mean_ap()[1:, 0]))


def test_gains_of_the_others(analyses, drawn):
    plots.gain_plot(analyses)
    ((_, (_, values, _), kwargs),) = drawn
    assert values[0] == pytest.approx(analyses[1].mean_ap()[0, 0] - 100)
    assert kwargs["color"] == plots.model_color(1)


def test_curves(analyses, drawn):
    assert ET.fromstring(plots.curve_plot(analyses, 1)).tag.endswith("svg")
    for (_, (_, curve), _), analysis in zip(drawn, analyses, strict=True):
        np.testing.assert_array_equal(curve, analysis.curves[1])


def test_parts_of_errors_follow_each_other(analyses, drawn):
    assert ET.fromstring(plots.error_plot(analyses, 0)).tag.endswith("svg")
    _, (_, shares), kwargs = drawn[1]
    # Half is correct, the other half background and missed.
    assert shares.tolist() == [50, 0, 0, 0, 50, 50]
    assert kwargs["left"].tolist() == [0, 50, 50, 50, 50, 100]
    assert [name for _, name in plots.error_key()][-1] == "missed"


def test_same_plot_for_the_same_analysis(analyses):
    assert plots.curve_plot(analyses, 0) == plots.curve_plot(analyses, 0)


def test_colors_do_not_run_out():
    assert plots.model_color(len(plots.MODEL_COLORS)) == plots.model_color(0)
