"""The forest plot of the arms, and every strategy against the best arm without a GAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from gtl_core.evaluation.arms import PLAIN_ARMS
from gtl_core.evaluation.forest import arm_title
from gtl_core.evaluation.report.charts.marks import Mark, legend
from gtl_core.evaluation.report.charts.rows import Row, row_chart
from gtl_core.evaluation.report.elements import details, element, joined, table
from gtl_core.evaluation.report.inputs import Inputs
from gtl_core.evaluation.report.scales import straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import (
    DASH,
    listed,
    name_of,
    number,
    p_value,
    percent,
    percent_interval,
    points,
    points_interval,
)

_REACH = 0.15
"""Shares below the best arm without a GAN that the picture shows; what lies further is an arrow at the edge."""
_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "ece": "calibration error",
    "brier": "Brier score",
    "worst_class": "worst class",
    "worst_group": "worst group",
    "group_gap": "gap of groups",
}
_UNITLESS = {"auc", "brier"}


def kind_of(arm: str) -> str:
    """The mark of an arm: with a GAN or without."""
    return "plain" if arm in PLAIN_ARMS else "gan"


def build(inputs: Inputs) -> Section:
    """Every arm with its interval, the best on top."""
    rows, verdict = inputs.arms, inputs.verdict
    baseline, judged = inputs.compared
    ordered = sorted(rows, key=lambda row: -row["mean"])
    chosen = (baseline["arm"], judged["arm"])
    floor = 100 * (baseline["low"] - _REACH)
    shown = [100 * row[end] for row in rows for end in ("low", "high")]
    axis = straight(
        [max(value, floor) for value in shown],
        title=f"{name_of(verdict['metric'])} on the test images, percent",
        floor=0.0,
        ceiling=100.0,
    )
    marks = [
        Row(
            arm_title(row["arm"]),
            f"{percent(row['mean'])} ({percent_interval(row['low'], row['high'])})",
            [
                Mark(
                    100 * row["mean"],
                    kind_of(row["arm"]),
                    100 * row["low"],
                    100 * row["high"],
                    strong=row["arm"] in chosen,
                )
            ],
            strong=row["arm"] in chosen,
        )
        for row in ordered
    ]
    chart = row_chart(
        "Score of every way of training, the best first",
        ("way of training", "score (95 % interval)"),
        marks,
        axis,
        reference=100 * baseline["mean"],
    )
    signs = legend([("plain", "without a GAN"), ("gan", "with GAN images")])
    more = _comparisons(verdict) + _left_out(verdict) + _scores(ordered)
    finding = (
        f"Highest score: {arm_title(ordered[0]['arm'])}, {percent(ordered[0]['mean'])}. The two in bold are compared, "
        "because validation chose them."
    )
    meaning = (
        "A sign is the mean over the draws, the line through it where the true score lies with 95 % confidence; the "
        "dashed line is the best without a GAN. All have the same network and the same number of steps."
    )
    numbers = {"arms": rows, "comparisons": verdict["comparisons"], "left_out": verdict["left_out"]}
    return Section("Every way of training", finding, element("figure", chart, signs), meaning, more, numbers)


def _comparisons(verdict: Mapping[str, Any]) -> Markup:
    """Every judged arm against the baseline, where there are several."""
    compared = verdict["comparisons"]
    if len(compared) < 2:
        return Markup("")
    ordered = sorted(compared, key=lambda row: -row["difference"])
    axis = straight(
        [0.0, *(100 * row[end] for row in ordered for end in ("low", "high"))], title="difference in points"
    )
    rows = [
        Row(
            arm_title(row["arm"]),
            f"{points(row['difference'])} ({points_interval(row['low'], row['high'])})",
            [Mark(100 * row["difference"], "gan", 100 * row["low"], 100 * row["high"], row["arm"] == verdict["arm"])],
            strong=row["arm"] == verdict["arm"],
            note=f"p {p_value(row['p_holm'])} after Holm",
        )
        for row in ordered
    ]
    best = arm_title(verdict["baseline_arm"])
    chart = row_chart(
        f"Difference from the best without a GAN ({best})",
        ("with GAN images", "points (95 % interval)"),
        rows,
        axis,
        reference=0.0,
    )
    note = (
        "Right of the dashed line the GAN gained something. The more strategies are tried, the likelier one of them "
        "looks good by chance; the p-values after Holm allow for that."
    )
    return element("h3", "Each strategy against the best without a GAN") + element(
        "figure", chart, element("figcaption", note)
    )


def _left_out(verdict: Mapping[str, Any]) -> Markup:
    """Arms that could not take part, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for arm, reason in verdict["left_out"].items():
        reasons.setdefault(str(reason), []).append(name_of(arm))
    if not reasons:
        return Markup("")
    items = joined(element("li", f"{listed(arms)}: {reason}") for reason, arms in reasons.items())
    return element("h3", "Left out") + element("ul", items)


def _scores(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Every score of every arm, to be opened by those who want it."""
    names = [name for name in _NAMES if any((row.get("scores") or {}).get(name) for row in rows)]
    if not names:
        return Markup("")

    def cell(row: Mapping[str, Any], name: str) -> str:
        score = (row.get("scores") or {}).get(name)
        if not score:
            return DASH
        if name == "ece":
            # A resample's is larger still, so that its interval would not hold the truth.
            return number(score["mean"])
        if name in _UNITLESS:
            return f"{number(score['mean'])} ({number(score['low'])} to {number(score['high'])})"
        return f"{percent(score['mean'])} ({percent_interval(score['low'], score['high'])})"

    cells = [[arm_title(row["arm"]), *(cell(row, name) for name in names)] for row in rows]
    caption = (
        "Every score on the test images: mean and 95 % interval. The calibration error has none: with few test images "
        "it comes out too large, 11 % with 100 of them and 4 % with 800 where the truth is 0"
    )
    columns = ["way of training", *(_NAMES[name] for name in names)]
    return details("Every score", table(caption, columns, cells, numeric=range(1, len(columns))))
