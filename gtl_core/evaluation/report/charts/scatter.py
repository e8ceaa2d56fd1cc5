"""A cloud of points in the plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gtl_core.evaluation.report.charts.frame import picture
from gtl_core.evaluation.report.charts.marks import legend
from gtl_core.evaluation.report.elements import element, joined

_WIDTH, _HEIGHT = 400.0, 300.0
_MOST = 400
"""Points of a cloud that are drawn; more would only cover each other."""


def scatter_chart(title: str, description: str, clouds: Sequence[tuple[str, str, npt.NDArray[np.floating]]]) -> Markup:
    """Clouds over each other, the last on top, without axes, whose values would mean nothing.

    Args:
        title: names the chart, for those who cannot see it.
        description: tells what it shows.
        clouds: name, kind of mark, and points float (n, 2) of each. Of many points, evenly spaced ones are drawn.
    """
    everything = np.concatenate([points for _, _, points in clouds])
    # A few far points must not press the rest together.
    low, high = np.quantile(everything, [0.002, 0.998], axis=0)
    scale = min(_WIDTH / max(1e-9, high[0] - low[0]), _HEIGHT / max(1e-9, high[1] - low[1])) * 0.96
    middle = (low + high) / 2
    drawn = []
    for _, kind, points in clouds:
        rows = np.linspace(0, len(points) - 1, min(_MOST, len(points))).round().astype(np.int64)
        places = (points[rows] - middle) * scale + np.array([_WIDTH / 2, _HEIGHT / 2])
        inside = ((places > 0) & (places < np.array([_WIDTH, _HEIGHT]))).all(axis=1)
        drawn.append(
            element("g", joined(_dot(kind, float(x), float(y)) for x, y in places[inside]), class_=f"cloud {kind}")
        )
    box = f"0 0 {_WIDTH:g} {_HEIGHT:g}"
    return picture(title, description, joined(drawn), "scatter", viewBox=box) + legend(
        [(kind, name) for name, kind, _ in clouds]
    )


def _dot(kind: str, x: float, y: float) -> Markup:
    """A small sign of the kind's shape."""
    if kind == "gan":
        return element("path", d=f"M{x:.1f} {y - 2.8:.1f}l2.8 2.8l-2.8 2.8l-2.8 -2.8z")
    if kind == "quiet":
        return element("rect", x=f"{x - 1.5:.1f}", y=f"{y - 1.5:.1f}", width=3, height=3)
    return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.2)
