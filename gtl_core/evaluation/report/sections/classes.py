"""Recall of every class, without a GAN and with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtl_core.evaluation.forest import arm_title
from gtl_core.evaluation.report.charts.marks import Mark, legend
from gtl_core.evaluation.report.charts.rows import Row, row_chart
from gtl_core.evaluation.report.elements import element
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.scales import straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.sections.shares import share_table
from gtl_core.evaluation.report.words import percent

_MOST = 40
"""Classes that the picture shows; of more, those that differ most."""


def build(inputs: Inputs) -> Section:
    """A row for each class: the share of its test images that were recognised."""
    baseline, judged = inputs.compared
    plain, gan = _recalls(baseline), _recalls(judged)
    names = [
        name
        for name in _ordered(inputs, plain)
        if plain[name]["recall"] is not None and gan[name]["recall"] is not None
    ]
    changes = {name: gan[name]["recall"] - plain[name]["recall"] for name in names}
    shown = names
    if len(names) > _MOST:
        widest = set(sorted(names, key=lambda name: -abs(changes[name]))[:_MOST])
        shown = [name for name in names if name in widest]
    pairs = {name: (plain[name], gan[name]) for name in shown}
    values = [100 * x for pair in pairs.values() for row in pair for x in _ends(row)]
    axis = straight(values, title="recall, percent", floor=0.0, ceiling=100.0)
    rows = [
        Row(
            name,
            f"{percent(before['recall'])} → {percent(after['recall'])}",
            [_mark(row, kind) for row, kind in zip((before, after), ("plain", "gan"), strict=True)],
            note=f"{before['images']} test images" if before.get("images") else "",
        )
        for name, (before, after) in pairs.items()
    ]
    chart = row_chart("Recall of every class", ("class", "without → with GAN"), rows, axis)
    signs = legend([("plain", arm_title(baseline["arm"])), ("gan", arm_title(judged["arm"]))])
    absent = [name for name in plain if name not in names]
    finding = ""
    if changes:
        gain, loss = max(names, key=changes.__getitem__), min(names, key=changes.__getitem__)
        weakest = min(names, key=lambda name: float(plain[name]["recall"]))
        finding = (
            f"The hardest class without a GAN is {weakest} ({percent(plain[weakest]['recall'])}). With the GAN class "
            f"{gain} changes by {_points(changes[gain])} points and class {loss} by {_points(changes[loss])}."
        )
    if absent:
        finding += f" No test image: {', '.join(absent)}."
    meaning = (
        "Recall is the share of a class's test images that were recognised. The line through a sign is where the true "
        "share lies with 95 % confidence; it is long where a class has few test images, so small shifts mean little."
    )
    if len(names) > _MOST:
        meaning += f" Shown are the {_MOST} of {len(names)} classes that differ most; report.json has all."
    numbers = {baseline["arm"]: plain, judged["arm"]: gan}
    html = element("figure", chart, signs)
    return Section("Class by class", finding.strip(), html, meaning, share_table(inputs, "class"), numbers)


def _recalls(arm: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of each class."""
    if "per_class" in arm:
        return dict(arm["per_class"])
    return {name: {"recall": recall} for name, recall in arm["per_class_recall"].items()}


def _ordered(inputs: Inputs, recalls: Mapping[str, Any]) -> list[str]:
    """The classes in their own order, or by name where the target is not there to tell it."""
    try:
        return [name for name in inputs.classes if name in recalls]
    except Missing:
        return list(recalls)


def _interval(row: Mapping[str, Any]) -> tuple[float, ...]:
    """The interval of a recall, where it has one."""
    ends = (row.get("low"), row.get("high"))
    return () if None in ends else (float(ends[0] or 0), float(ends[1] or 0))


def _ends(row: Mapping[str, Any]) -> tuple[float, ...]:
    """What the axis has to hold of a recall."""
    return _interval(row) or (float(row["recall"]),)


def _mark(row: Mapping[str, Any], kind: str) -> Mark:
    low, high = (100 * end for end in _interval(row)) if _interval(row) else (None, None)
    return Mark(100 * float(row["recall"]), kind, low, high)


def _points(change: float) -> str:
    return f"{100 * change:+.1f}".replace("-", "−")
