"""Several runs on one page: verdicts side by side, ways of training on one scale, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtl_core.evaluation.forest import arm_title
from gtl_core.evaluation.report.charts.marks import Mark, legend
from gtl_core.evaluation.report.charts.rows import Row, row_chart
from gtl_core.evaluation.report.elements import element, table
from gtl_core.evaluation.report.making import plain
from gtl_core.evaluation.report.page import Page, render
from gtl_core.evaluation.report.scales import straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.sections.provenance import flattened
from gtl_core.evaluation.report.sections.verdict import headline
from gtl_core.evaluation.report.words import DASH, listed, name_of, percent, points, points_interval
from gtl_core.files import write_json, write_text

HTML, JSON = "comparison.html", "comparison.json"


@dataclass(frozen=True)
class Run:
    """One run to compare.

    Attributes:
        name: as it was asked for.
        report: what `report.json` says.
    """

    name: str
    report: Mapping[str, Any]

    def numbers(self, section: str) -> Any:
        """Numbers of a section, or None where it is missing."""
        return self.report["sections"].get(section, {}).get("numbers")

    @property
    def verdict(self) -> Mapping[str, Any]:
        """The verdict."""
        found: Mapping[str, Any] = self.numbers("verdict")
        return found

    @property
    def arms(self) -> dict[str, Mapping[str, Any]]:
        """The arms by their names."""
        return {row["arm"]: row for row in self.numbers("arms")["arms"]}

    @property
    def settings(self) -> dict[str, str]:
        """Every setting of the experiment."""
        return dict(flattened(self.report["experiment"]))


def write_comparison(runs: Sequence[Run], folder: Path) -> dict[str, Any]:
    """Writes `comparison.html` and `comparison.json`.

    Args:
        runs: in the order in which they are shown.
        folder: where both are put.

    Returns:
        `verdicts`: for each run its verdict in a few words; `caution`: why scores cannot be compared, or empty.
    """
    caution = _caution(runs)
    builders: dict[str, Callable[[Sequence[Run], str], Section]] = {
        "verdicts": _verdicts,
        "arms": _arms,
        "classes": _classes,
        "differences": _differences,
        "provenance": _provenance,
    }
    sections = {name: build(runs, caution) for name, build in builders.items()}
    names = listed([run.name for run in runs])
    write_text(folder / HTML, render(Page("GTL comparison", names, f"{len(runs)} runs on one page", sections, JSON)))
    numbers = {
        "runs": [run.name for run in runs],
        "sections": {name: section.to_json() for name, section in sections.items()},
    }
    write_json(folder / JSON, plain(numbers))
    told = {run.name: f"{headline(run.verdict)}, {_interval(run.verdict)}" for run in runs}
    return {"verdicts": told, "caution": caution}


def _interval(verdict: Mapping[str, Any]) -> str:
    """The interval in words, with the difference where the headline does not say it."""
    interval = f"95 % interval {points_interval(verdict['low'], verdict['high'])}"
    return f"{points(verdict['difference'])} points, {interval}" if verdict["label"] == "inconclusive" else interval


def _caution(runs: Sequence[Run]) -> str:
    """Why scores of these runs are not on one test part; empty where they are."""
    tests = {
        (
            run.settings["target.dataset"],
            run.settings["target.test_fraction"],
            run.settings["seed"],
            tuple(
                row["version"]
                for row in (run.numbers("provenance") or {}).get("datasets", [])
                if row["role"] == "target"
            ),
            run.verdict["test_images"],
        )
        for run in runs
    }
    metrics = {run.verdict["metric"] for run in runs}
    if len(tests) > 1:
        return (
            "These runs were not all scored on the same test images, so only their verdicts can be compared, not their "
            "scores."
        )
    if len(metrics) > 1:
        return f"These runs were judged by different scores ({listed(sorted(map(name_of, metrics)))})."
    return ""


def _verdicts(runs: Sequence[Run], caution: str) -> Section:
    """The difference that the GAN makes in each run."""
    values = [0.0, *(100 * run.verdict[end] for run in runs for end in ("low", "high"))]
    axis = straight(values, title="difference that the GAN makes, points")
    rows = [
        Row(
            run.name,
            f"{points(run.verdict['difference'])} ({points_interval(run.verdict['low'], run.verdict['high'])})",
            [
                Mark(
                    100 * run.verdict["difference"],
                    f"hue{index}",
                    100 * run.verdict["low"],
                    100 * run.verdict["high"],
                    strong=True,
                )
            ],
            note=str(run.verdict["label"]),
        )
        for index, run in enumerate(runs)
    ]
    chart = row_chart("Verdict of every run", ("run", "points (95 % interval)"), rows, axis, reference=0.0)
    cells = []
    for run in runs:
        baseline, judged = (run.arms[run.verdict[key]] for key in ("baseline_arm", "arm"))
        cells.append(
            [
                run.name,
                f"{arm_title(baseline['arm'])}, {percent(baseline['mean'])}",
                f"{arm_title(judged['arm'])}, {percent(judged['mean'])}",
                f"{run.verdict['draws']} × {run.verdict['test_images']:,}",
                f"{100 * run.verdict['detectable']:.1f} points",
            ]
        )
    columns = ["run", "best without a GAN", "with GAN images", "draws × test images", "could have shown"]
    meaning = (
        "Each run answers for its own data and budgets. Right of the dashed line the GAN helped, left of it it harmed; "
        "a line that crosses it leaves the question open. That one run is settled and another is not does not show "
        "that they differ: for that their intervals would have to lie apart."
    )
    numbers = {run.name: run.verdict for run in runs}
    compared = table("What was compared", columns, cells, numeric=(3, 4))
    return Section("Verdicts side by side", caution, element("figure", chart), meaning, compared, numbers)


def _arms(runs: Sequence[Run], caution: str) -> Section:
    """Every way of training, with a mark for each run that has it."""
    names = list(dict.fromkeys(name for run in runs for name in run.arms))
    best = {name: max(run.arms[name]["mean"] for run in runs if name in run.arms) for name in names}
    values = [100 * row[end] for run in runs for row in run.arms.values() for end in ("low", "high")]
    axis = straight(values, title="score on the test images, percent", floor=0.0, ceiling=100.0)
    rows = [
        Row(
            arm_title(name),
            " · ".join(percent(run.arms[name]["mean"]) if name in run.arms else DASH for run in runs),
            [
                Mark(100 * row["mean"], f"hue{index}", 100 * row["low"], 100 * row["high"])
                for index, run in enumerate(runs)
                if (row := run.arms.get(name))
            ],
        )
        for name in sorted(names, key=lambda name: -best[name])
    ]
    chart = row_chart("Score of every way of training", ("way of training", "in the order of the runs"), rows, axis)
    signs = legend([(f"hue{index}", run.name) for index, run in enumerate(runs)])
    meaning = (
        "The same way of training stands in one row for all runs. A sign is the mean over the draws, the line through "
        "it where the true score lies with 95 % confidence."
    )
    numbers = {run.name: run.arms for run in runs}
    return Section("Every way of training", caution, element("figure", chart, signs), meaning, numbers=numbers)


def _classes(runs: Sequence[Run], caution: str) -> Section:
    """Recall of every class by the arm with the best validation among the two that each run compares."""
    title = "Class by class, with GAN images"
    recalls = [run.arms[run.verdict["arm"]]["per_class_recall"] for run in runs]
    if any(list(found) != list(recalls[0]) for found in recalls):
        return Section(title, missing="the runs do not have the same classes")
    names = [name for name in recalls[0] if all(found[name] is not None for found in recalls)]
    axis = straight(
        [100 * found[name] for found in recalls for name in names], title="recall, percent", floor=0.0, ceiling=100.0
    )
    rows = [
        Row(
            name,
            " · ".join(percent(found[name]) for found in recalls),
            [Mark(100 * found[name], f"hue{index}") for index, found in enumerate(recalls)],
        )
        for name in names
    ]
    chart = row_chart("Recall of every class", ("class", "in the order of the runs"), rows, axis)
    signs = legend([(f"hue{i}", f"{run.name}: {arm_title(run.verdict['arm'])}") for i, run in enumerate(runs)])
    meaning = "Recall is the share of a class's test images that were recognised, by the judged arm of each run."
    numbers = {run.name: found for run, found in zip(runs, recalls, strict=True)}
    return Section(title, caution, element("figure", chart, signs), meaning, numbers=numbers)


def _differences(runs: Sequence[Run], caution: str) -> Section:
    """The settings in which the runs are not alike."""
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    rows = [
        [name, *(run.settings.get(name, DASH) for run in runs)]
        for name in names
        if len({run.settings.get(name) for run in runs}) > 1
    ]
    title = "What differs in the experiments"
    if not rows:
        return Section(title, finding="The experiments do not differ in any setting; code or data may.")
    html = table("Settings that differ", ["setting", *(run.name for run in runs)], rows)
    meaning = "Whatever differs here may be the reason for another result, and so may chance."
    finding = f"{len(rows)} of {len(names)} settings differ."
    return Section(title, finding, html, meaning, numbers={row[0]: row[1:] for row in rows})


def _provenance(runs: Sequence[Run], caution: str) -> Section:
    """Versions of data and code of every run."""
    title = "Where they come from"
    found = [run.numbers("provenance") or {} for run in runs]
    facts = list(dict.fromkeys(name for known in found for name in known.get("facts", {})))
    rows = [[name, *(str(known.get("facts", {}).get(name, DASH)) for known in found)] for name in facts]
    for role in ("source", "target"):
        versions = [
            next((row["version"] for row in known.get("datasets", []) if row["role"] == role), DASH) for known in found
        ]
        rows.append([f"{role} version", *versions])
    cells = [[name, *(element("code", value) for value in values)] for name, *values in rows]
    html = table("Versions of data and code", ["what", *(run.name for run in runs)], cells)
    numbers = {run.name: known for run, known in zip(runs, found, strict=True)}
    return Section(title, html=html, meaning="Equal versions mean equal files.", numbers=numbers)
