"""The reliability diagram: how often a classifier is right when it says how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtl_core.evaluation.forest import arm_title
from gtl_core.evaluation.report.charts.curves import Curve, diagonal_chart
from gtl_core.evaluation.report.charts.marks import Mark
from gtl_core.evaluation.report.elements import details, element, joined, table
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.scales import straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import percent

_FEWEST = 10
"""Predictions from which a point says something."""


def build(inputs: Inputs) -> Section:
    """Confidence against accuracy of the two arms that are compared."""
    compared = inputs.compared
    if any(not row.get("reliability") for row in compared):
        raise Missing("this evaluation was made before reliability was kept; gtl run makes it anew")
    curves = []
    for row, kind in zip(compared, ("plain", "gan"), strict=True):
        bins = [entry for entry in row["reliability"] if entry["images"] >= _FEWEST]
        points = [(100 * entry["confidence"], Mark(100 * entry["accuracy"], kind)) for entry in bins]
        curves.append(Curve(f"{arm_title(row['arm'])}{_error(row)}", kind, points))
    x = straight([0.0, 100.0], title="how sure it says it is, percent", floor=0.0, ceiling=100.0)
    y = straight([0.0, 100.0], title="how often it is right, percent", floor=0.0, ceiling=100.0)
    told = "; ".join(
        f"{curve.name}: "
        + ", ".join(f"{mark.value:.0f} % right at {confidence:.0f} % sure" for confidence, mark in curve.points)
        for curve in curves
    )
    chart = diagonal_chart("Accuracy over confidence", told, curves, x, y)
    tables = joined(
        table(
            arm_title(row["arm"]),
            ["sure", "right", "predictions"],
            [
                [percent(entry["confidence"]), percent(entry["accuracy"]), f"{entry['images']:,}"]
                for entry in row["reliability"]
                if entry["images"]
            ],
            numeric=(1, 2),
        )
        for row in compared
    )
    meaning = (
        "On the dashed line a classifier that says 80 % is right in 80 % of cases. Below the line it is too sure of "
        f"itself, above it too modest. What it said fewer than {_FEWEST} times is not drawn, because such points jump "
        "about; the numbers have all."
    )
    numbers = {row["arm"]: {"reliability": row["reliability"], "scores": row.get("scores")} for row in compared}
    html = element("figure", chart, class_="square")
    return Section("Can its confidence be trusted?", "", html, meaning, details("The numbers", tables), numbers)


def _error(row: Mapping[str, Any]) -> str:
    """The expected calibration error in words, where it was measured."""
    score = (row.get("scores") or {}).get("ece")
    return f", off by {percent(score['mean'])} on average" if score else ""
