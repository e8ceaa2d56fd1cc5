"""The learning curve: what more labels would give, with and without the GAN."""

from __future__ import annotations

from typing import Any

from gtl_core.evaluation.forest import arm_title
from gtl_core.evaluation.report.charts.curves import Curve, curve_chart
from gtl_core.evaluation.report.charts.marks import Mark
from gtl_core.evaluation.report.elements import details, element, table
from gtl_core.evaluation.report.inputs import Inputs
from gtl_core.evaluation.report.scales import logarithmic, straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import name_of, percent, percent_interval

_TITLE = "With more or fewer labels"


def build(inputs: Inputs) -> Section:
    """The arm without a GAN and the one with it that validation chose at each label count that was measured."""
    found = inputs.read("budgets", "budgets.json")
    rows: list[dict[str, Any]] = found["budgets"]
    metric = name_of(found["metric"])
    counts = sorted({row["labelled_per_class"] for row in rows})
    # Side by side, so that neither interval hides the other.
    kinds = (("plain", "without a GAN", 0.98), ("gan", "with GAN images", 1.02))
    curves = [
        Curve(
            name,
            kind,
            [
                (row["labelled_per_class"] * aside, Mark(100 * row["mean"], kind, 100 * row["low"], 100 * row["high"]))
                for row in sorted(rows, key=lambda row: row["labelled_per_class"])
                if row["kind"] == kind
            ],
        )
        for kind, name, aside in kinds
    ]
    x = logarithmic([float(count) for count in counts], title="labelled images a class")
    y = straight(
        [value for curve in curves for _, mark in curve.points for value in (mark.low, mark.high) if value is not None],
        title=f"{metric}, percent",
        ceiling=100.0,
        floor=0.0,
    )
    told = "; ".join(
        f"{curve.name}: " + ", ".join(f"{mark.value:.1f} %" for _, mark in curve.points) for curve in curves
    )
    told += f" with {', '.join(map(str, counts))} labelled images a class."
    chart = curve_chart("Score over the number of labelled images", told, curves, x, y)
    cells = [
        [
            str(row["labelled_per_class"]),
            arm_title(row["arm"]),
            percent(row["mean"]),
            percent_interval(row["low"], row["high"]),
        ]
        for row in sorted(rows, key=lambda row: (row["labelled_per_class"], -row["mean"]))
    ]
    columns = ["labelled a class", "way of training", "score", "95 % interval"]
    numbers = details("The numbers", table(f"{metric} by label count", columns, cells, numeric=(2, 3)))
    meaning = (
        "Each step to the right is more labelling work. Where the curves lie apart, the GAN is worth as many labels as "
        "the lower curve needs to reach the upper one; where their lines overlap, nothing is shown. At each count the "
        "two arms are those that validation chose there."
    )
    return Section(_TITLE, str(found.get("worth", "")), element("figure", chart), meaning, numbers, found)
