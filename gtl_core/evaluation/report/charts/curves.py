"""Curves over an axis: values with their intervals, joined by lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from gtl_core.evaluation.report.charts.frame import framed
from gtl_core.evaluation.report.charts.marks import Mark, legend, sign
from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.scales import Axis

_HEIGHT = 240


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        name: in the legend.
        kind: of its marks; see `Mark`.
        points: positions along the horizontal axis, each with its mark.
        strong: whether it is drawn thicker.
    """

    name: str
    kind: str
    points: Sequence[tuple[float, Mark]]
    strong: bool = False


def curve_chart(title: str, description: str, curves: Sequence[Curve], x: Axis, y: Axis) -> Markup:
    """Some curves in one frame, with their legend below."""
    drawn = joined(_drawn(curve, x, y) for curve in curves)
    names = legend([(curve.kind, curve.name) for curve in curves])
    return framed(title, description, x, y, _HEIGHT, drawn) + (names if len(curves) > 1 else Markup(""))


def diagonal_chart(title: str, description: str, curves: Sequence[Curve], x: Axis, y: Axis) -> Markup:
    """Some curves beside the diagonal on which both axes agree."""
    ends = (max(x.low, y.low), min(x.high, y.high))
    line = element(
        "line",
        x1=x.x(ends[0]),
        y1=y.y(ends[0], _HEIGHT),
        x2=x.x(ends[1]),
        y2=y.y(ends[1], _HEIGHT),
        class_="reference",
    )
    drawn = joined(_drawn(curve, x, y) for curve in curves)
    return framed(title, description, x, y, _HEIGHT, line, drawn) + legend(
        [(curve.kind, curve.name) for curve in curves]
    )


def _drawn(curve: Curve, x: Axis, y: Axis) -> Markup:
    """The lines, intervals and signs of one curve."""
    lines = [
        element(
            "line",
            x1=x.x(here),
            y1=y.y(mark.value, _HEIGHT),
            x2=x.x(there),
            y2=y.y(following.value, _HEIGHT),
            class_=f"curve {curve.kind}{' strong' if curve.strong else ''}",
        )
        for (here, mark), (there, following) in pairwise(curve.points)
    ]
    bars = [
        element(
            "line",
            x1=x.x(here),
            x2=x.x(here),
            y1=y.y(mark.low, _HEIGHT),
            y2=y.y(mark.high, _HEIGHT),
            class_=f"interval {curve.kind}",
        )
        for here, mark in curve.points
        if mark.low is not None and mark.high is not None
    ]
    signs = [sign(curve.kind, x.x(here), y.y(mark.value, _HEIGHT), strong=curve.strong) for here, mark in curve.points]
    return joined([*bars, *lines, *signs])
