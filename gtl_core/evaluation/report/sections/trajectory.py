"""Distance and usefulness of the synthetic images over the steps of training."""

from __future__ import annotations

from typing import Any

from gtl_core.evaluation.report.charts.curves import Curve, curve_chart
from gtl_core.evaluation.report.charts.marks import HUES, Mark
from gtl_core.evaluation.report.elements import details, element, joined, table
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.scales import decades, straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import number, percent

_PANELS = (
    ("frechet", "Fréchet distance (less is better)", 1.0),
    ("coverage", "coverage, percent", 100.0),
    ("usefulness", "usefulness, percent", 100.0),
)

_WIDE = 100.0
"""Where the biggest value is so many times the smallest, most of a straight axis would be empty."""


def build(inputs: Inputs) -> Section:
    """A panel for each measure, a curve for each strategy."""
    quality = inputs.quality["strategies"]
    order = inputs.judged_first(quality)
    tracks: dict[str, list[dict[str, Any]]] = {
        label: quality[label]["trajectory"] for label in order[:HUES] if quality[label].get("trajectory")
    }
    if not tracks:
        raise Missing(inputs.why("trajectory", "no generator was kept along the training"))
    panels = joined(
        element("figure", _panel(tracks, *panel))
        for panel in _PANELS
        if any(point.get(panel[0]) is not None for track in tracks.values() for point in track)
    )
    rows = [
        [
            label,
            f"{point['step']:,}",
            number(point.get("frechet")),
            percent(point.get("coverage")),
            percent(point.get("usefulness")),
        ]
        for label, track in tracks.items()
        for point in track
    ]
    columns = ["strategy", "step", "Fréchet distance", "coverage", "usefulness"]
    numbers = details("The numbers", table("Along the training", columns, rows, numeric=range(1, 5)))
    meaning = (
        "Distance says how the images look to a network, coverage what share of the real images has a synthetic one "
        "near it, usefulness what a short classifier that learns from nothing else makes of real validation images. "
        "They need not agree, and usefulness is what counts. A curve that still falls or rises at its end asks for "
        "more steps; one that has turned, for fewer."
    )
    return Section("Over the training", "", element("div", panels, class_="pair three"), meaning, numbers, tracks)


def _panel(tracks: dict[str, list[dict[str, Any]]], name: str, title: str, factor: float) -> Any:
    """One measure over the steps."""
    curves = [
        Curve(
            label,
            f"hue{index}",
            [
                (float(point["step"]), Mark(factor * point[name], f"hue{index}"))
                for point in track
                if point.get(name) is not None
            ],
            strong=not index,
        )
        for index, (label, track) in enumerate(tracks.items())
    ]
    curves = [curve for curve in curves if curve.points]
    x = straight([step for curve in curves for step, _ in curve.points], title="steps of training", count=4, floor=0.0)
    values = [mark.value for curve in curves for _, mark in curve.points]
    wide = min(values) > 0 and max(values) > _WIDE * min(values)
    title = f"{title.removesuffix(')')}, logarithmic)" if wide else title
    y = decades(values, title=title) if wide else straight(values, title=title, floor=0.0)
    told = "; ".join(
        f"{curve.name}: {number(curve.points[0][1].value)} at step {curve.points[0][0]:,.0f}, "
        f"{number(curve.points[-1][1].value)} at step {curve.points[-1][0]:,.0f}"
        for curve in curves
    )
    return curve_chart(title, told, curves, x, y)
