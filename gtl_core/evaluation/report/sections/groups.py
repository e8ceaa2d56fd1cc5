"""Groups such as lots, devices or patients: their scores with and without the GAN, and their shares."""

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
from gtl_core.evaluation.report.words import listed, percent, points

_FEW = 20
"""Test images under which a group's score says little."""
_MOST = 40


def build(inputs: Inputs) -> Section:
    """A row for each group of the test images."""
    baseline, judged = inputs.compared
    before, after = baseline.get("groups") or {}, judged.get("groups") or {}
    if not before:
        raise Missing("the target's images are not in groups (patient, lot, device); the manifest's column is empty")
    scored = [name for name in before if _score(before[name]) is not None and _score(after[name]) is not None]
    names = sorted(scored, key=lambda name: (before[name]["score"], name))[:_MOST]
    axis = straight(
        [100 * value for rows in (before, after) for name in names for value in _values(rows[name])],
        title="score, percent",
        floor=0.0,
        ceiling=100.0,
    )
    rows = [
        Row(
            name,
            f"{percent(before[name]['score'])} → {percent(after[name]['score'])}",
            [_mark(before[name], "plain"), _mark(after[name], "gan")],
            note=f"{before[name]['images']} test images",
        )
        for name in names
    ]
    chart = row_chart("Score of every group, the weakest first", ("group", "without → with GAN"), rows, axis)
    signs = legend([("plain", arm_title(baseline["arm"])), ("gan", arm_title(judged["arm"]))])
    few = [name for name in before if before[name]["images"] < _FEW]
    finding = _gap(baseline, judged)
    if few:
        finding += f" Fewer than {_FEW} test images, so that their score says little: {listed(few)}."
    meaning = (
        "A mean can rise while one group loses. The line through a sign is where the group's true score lies with 95 % "
        "confidence. A GAN often makes more of what is common already: look at the smallest groups first."
    )
    if len(scored) > _MOST:
        meaning += f" Shown are the {_MOST} weakest; report.json has all."
    numbers = {baseline["arm"]: before, judged["arm"]: after}
    html = element("figure", chart, signs)
    return Section("Groups", finding.strip(), html, meaning, share_table(inputs, "group"), numbers)


def _gap(baseline: Mapping[str, Any], judged: Mapping[str, Any]) -> str:
    """The gap between the best and the worst group, and how the GAN changes it."""
    gaps = [(row.get("scores") or {}).get("group_gap") for row in (baseline, judged)]
    if not gaps[0] or not gaps[1]:
        return ""
    change = gaps[1]["mean"] - gaps[0]["mean"]
    return (
        f"Between the best and the weakest group lie {100 * gaps[0]['mean']:.1f} points without a GAN and "
        f"{100 * gaps[1]['mean']:.1f} with it ({points(change)})."
    )


def _score(group: Mapping[str, Any]) -> float | None:
    score = group["score"]
    return None if score is None else float(score)


def _values(group: Mapping[str, Any]) -> list[float]:
    """What the axis has to hold of a group."""
    return [float(group[key]) for key in ("score", "low", "high") if group.get(key) is not None]


def _mark(group: Mapping[str, Any], kind: str) -> Mark:
    low, high = (None if group.get(end) is None else 100 * float(group[end]) for end in ("low", "high"))
    return Mark(100 * float(group["score"]), kind, low, high)
