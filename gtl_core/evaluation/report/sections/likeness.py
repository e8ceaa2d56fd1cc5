"""Distances between synthetic and real images, each between its floor and its ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gtl_core.evaluation.report.charts.marks import HUES, Mark, legend
from gtl_core.evaluation.report.charts.rows import Row, row_chart
from gtl_core.evaluation.report.elements import details, element, joined, table
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.scales import Axis
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import DASH, number

_AXIS = Axis(-25.0, 125.0, (0.0, 50.0, 100.0), ("source", "halfway", "real"), "from source to real")


def build(inputs: Inputs) -> Section:
    """Every measure on one axis: source images at one end, other real images at the other."""
    quality = inputs.quality
    strategies = {
        label: quality["strategies"][label]["overall"] for label in inputs.judged_first(quality["strategies"])
    }
    metrics = [metric for metric in quality["metrics"] if any(metric["name"] in row for row in strategies.values())]
    if not metrics:
        raise Missing(inputs.why("floor and ceiling", "no distance could be measured"))
    shown = list(strategies)[:HUES]
    rows = [
        Row(
            metric["title"],
            number((strategies[shown[0]].get(metric["name"]) or {}).get("mean")),
            [
                Mark(where, f"hue{index}", low, high, strong=not index)
                for index, label in enumerate(shown)
                if metric["name"] in strategies[label]
                for where, low, high in [_placed(metric, strategies[label][metric["name"]])]
            ],
            note="less is better" if metric["better"] in ("lower", "less") else "more is better",
        )
        for metric in metrics
        if metric.get("floor") is not None
        and metric.get("ceiling") is not None
        and metric["floor"] != metric["ceiling"]
    ]
    chart = row_chart("Likeness of synthetic to real images", ("measure", shown[0]), rows, _AXIS, reference=100.0)
    names = legend([(f"hue{index}", label) for index, label in enumerate(shown)])
    extractor, reference = quality["extractor"], quality["reference"]
    finding = f"Measured against {reference['what']}."
    meaning = (
        "Right, at the dashed line, synthetic images are as like the real ones as other real images are; left they are "
        "no more like them than source images. These distances describe and never decide: images can look right and "
        "still teach a classifier nothing. They are measured on features of a small network trained for this run "
        f"({str(extractor.get('sha256', ''))[:12]}), so they compare with nothing outside this report."
    )
    numbers = {key: quality[key] for key in ("extractor", "reference", "metrics")} | {"strategies": strategies}
    more = _table(metrics, strategies) + _per_class(inputs, metrics)
    return Section("How like the real ones", finding, element("figure", chart, names), meaning, more, numbers)


def _placed(metric: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[float, float | None, float | None]:
    """Where a value and its interval lie: 0 at the source's, 100 at other real images'."""
    span = metric["floor"] - metric["ceiling"]

    def place(number: float) -> float:
        return float(100 * (number - metric["ceiling"]) / span)

    low, high = value.get("low"), value.get("high")
    if low is None or high is None:
        return place(value["mean"]), None, None
    ends = sorted((place(low), place(high)))
    return place(value["mean"]), ends[0], ends[1]


def _table(metrics: Sequence[Mapping[str, Any]], strategies: Mapping[str, Mapping[str, Any]]) -> Any:
    """The numbers with their floor and ceiling."""

    def cell(overall: Mapping[str, Any], name: str) -> str:
        value = overall.get(name)
        return f"{number(value['mean'])} ({number(value['low'])} to {number(value['high'])})" if value else DASH

    rows = [
        [
            metric["title"],
            number(metric.get("floor")),
            *(cell(overall, metric["name"]) for overall in strategies.values()),
            number(metric.get("ceiling")),
        ]
        for metric in metrics
    ]
    columns = ["measure", "real against real", *strategies, "source against real"]
    caption = "Mean over the draws and its interval"
    return details("The numbers", table(caption, columns, rows, numeric=range(1, len(columns))))


def _per_class(inputs: Inputs, metrics: Sequence[Mapping[str, Any]]) -> Any:
    """The measures of each class, by strategy."""
    tables = []
    for label, strategy in inputs.quality["strategies"].items():
        per_class = strategy.get("per_class") or {}
        names = [metric for metric in metrics if any(metric["name"] in row for row in per_class.values())]
        if names:
            rows = [[name, *(number(row.get(m["name"])) for m in names)] for name, row in per_class.items()]
            columns = ["class", *(metric["title"] for metric in names)]
            tables.append(table(label, columns, rows, numeric=range(1, len(columns))))
    return details("Class by class", joined(tables)) if tables else joined([])
