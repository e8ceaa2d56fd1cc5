"""A check for drift on one page: what has changed in new images, by how much, and pictures of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.evaluation.report.charts.histogram import mirrored_histogram
from gtl_core.evaluation.report.charts.marks import Mark
from gtl_core.evaluation.report.charts.rows import Row, row_chart
from gtl_core.evaluation.report.elements import details, element, joined, table
from gtl_core.evaluation.report.making import plain
from gtl_core.evaluation.report.page import Page, render
from gtl_core.evaluation.report.pictures import how_many, strip
from gtl_core.evaluation.report.scales import Axis, straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import DASH, listed, number, p_value, percent
from gtl_core.files import write_json, write_text
from gtl_core.metrics.drift import Sample
from gtl_core.metrics.drift_explanation import Telling, most_unlike
from gtl_core.metrics.drift_properties import TITLES, UNITS

HTML, JSON = "drift.html", "drift.json"

_BYTES = 300_000
_MOST_IMAGES = 12
_MOST_ROWS = 40
_MOST_FILES = 200
_DISTANCES = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), ("0", "0.25", "0.5", "0.75", "1"), "distance")


def write_drift(check: Mapping[str, Any], reference: Sample, now: Sample, telling: Telling, folder: Path) -> None:
    """Writes `drift.html` and `drift.json`.

    Args:
        check: everything that was found, JSON-able: `experiment`, `against`, `at`, `sentence`, `tests` and the like.
        reference: the images that were compared with.
        now: the new images.
        telling: what the classifier two-sample test found.
        folder: where both are put.
    """
    sections = {
        "result": _result(check),
        "tests": _tests(check),
        "properties": _properties(check, reference, now),
        "unlike": _unlike(reference, now),
        "telling": _telling(now, telling),
        "provenance": _provenance(check),
    }
    title = f"{check['new']} against {check['against']}"
    whose = f"experiment {check['experiment']}, " if check["experiment"] else ""
    page = Page("GTL drift", title, f"{whose}{len(now):,} new images, {check['at']}", sections, JSON)
    write_text(folder / HTML, render(page))
    # The numbers last: where they are, the page is there too.
    write_json(folder / JSON, plain(dict(check)))


def _result(check: Mapping[str, Any]) -> Section:
    """The light and the sentence, and what follows."""
    word, _, told = check["sentence"].partition(": ")
    light = element("span", word, class_=f"light {'red' if check['drifted'] else 'green'}")
    html = element("p", light, " ", f"{told[0].upper()}{told[1:]}", class_="lead")
    meaning = (
        "Drift means that the new images are not like those that the model was made for; it does not say that the "
        "model is wrong on them, which only labels can tell. A difference counts where it is significant and big: one "
        f"of the two alone does not. {_consequence(check)}"
    )
    return Section("What was found", "", html, meaning)


def _consequence(check: Mapping[str, Any]) -> str:
    """What follows from the check, in a sentence."""
    if check["action"] == "retrain":
        return "It is the second window in a row, so a run of the experiment was asked for."
    if check["action"] == "review":
        return "It is the second window in a row, so somebody is asked to look at it."
    if check["consecutive"] == 1:
        return "It is the first window; where the next one has drifted too, the experiment's action follows."
    if check["consecutive"] > 1:
        return f"It is window {check['consecutive']} in a row, and was told of at the second."
    return "Nothing follows from it."


def _tests(check: Mapping[str, Any]) -> Section:
    """Every test as a row, the biggest differences first, beside the distance from which they count."""
    tests = sorted(check["tests"], key=lambda test: -test["effect"])
    rows = [
        Row(
            test["title"],
            number(round(test["effect"], 3)),
            [Mark(test["effect"], "gan" if test["drifted"] else "quiet", strong=test["drifted"])],
            strong=test["drifted"],
            note=f"p {p_value(test['p'])}",
        )
        for test in tests[:_MOST_ROWS]
    ]
    threshold = tests[0]["threshold"]
    chart = row_chart("How big each difference is", ("what", "distance"), rows, _DISTANCES, reference=threshold)
    cells = [
        [
            test["title"],
            number(test["reference"]),
            number(test["now"]),
            number(round(test["effect"], 3)),
            p_value(test["p"]),
            "drifted" if test["drifted"] else DASH,
        ]
        for test in tests
    ]
    columns = ["what", "before", "now", "distance", "p", ""]
    numbers = details("The numbers", table("Medians, distances and p-values", columns, cells, numeric=(1, 2, 3, 4)))
    meaning = (
        f"Right of the dashed line a difference is big ({threshold:g} or more); it counts where its p-value is also "
        f"below {check['alpha']:g}, after Bonferroni's correction for {len(tests)} tests. The distance is that of "
        "Kolmogorov and Smirnov, 0 for equal distributions and 1 for ones without overlap; that of all features at "
        "once is brought to the same scale."
    )
    finding = f"{sum(test['drifted'] for test in tests)} of {len(tests)} differences count."
    return Section("Every difference", finding, element("figure", chart), meaning, numbers)


def _properties(check: Mapping[str, Any], reference: Sample, now: Sample) -> Section:
    """The distribution of each property, the new images upwards and the reference downwards."""
    effects = {test["name"]: test for test in check["tests"]}
    parts = []
    for name, title in TITLES.items():
        before, after = reference.properties[name], now.properties[name]
        test = effects[name]
        told = f"median {number(_short(test['reference']))} before and {number(_short(test['now']))} now"
        told += f", distance {test['effect']:.2f}"
        chart = mirrored_histogram(
            f"Distribution of {title}",
            f"{title}: {told}.",
            (f"{check['new']}, now", after),
            (f"{check['against']}, before", before),
            _range(before, after, UNITS[name]),
        )
        parts.append(element("figure", element("figcaption", element("strong", title), f" · {told}"), chart))
    meaning = (
        "Mirror images of each other are a good sign. A mountain that has moved on the upper side is what has changed: "
        "brightness and contrast with the light or the camera's settings, sharpness with the focus, entropy with noise "
        "and compression. The thick line is the median."
    )
    return Section("Light, focus and noise", "", element("div", joined(parts), class_="pair"), meaning)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _range(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], title: str) -> Axis:
    """An axis over nearly all values; a few far ones must not press the rest together."""
    ends = np.concatenate([np.quantile(values, (0.005, 0.995)) for values in (before, after)])
    return straight([float(ends.min()), float(ends.max())], title=title, floor=0.0)


def _unlike(reference: Sample, now: Sample) -> Section:
    """The new images that lie farthest from the reference, beside the nearest ones of it and some at random."""
    count = how_many(_BYTES, 3, now.pictures, _MOST_IMAGES)
    spread = reference.columns().std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    away, like = most_unlike(reference.columns() / scale, now.columns() / scale, count)
    html = _beside(
        ("now, most unlike what was before", now.pictures[away]),
        ("before, the nearest to each of these", reference.pictures[like]),
        ("before, at random", reference.pictures[:count]),
    )
    meaning = (
        "In the first row, the new images whose looks and features are farthest from any image of before. A single odd "
        "image is no drift: look whether these have something in common that those of the last row have not."
    )
    return Section("New images that are most unlike", "", html, meaning)


def _telling(now: Sample, telling: Telling) -> Section:
    """How well a classifier tells new from old, and the images by which it does."""
    count = how_many(_BYTES, 2, now.pictures, _MOST_IMAGES)
    order = np.argsort(-telling.scores, kind="stable")
    html = _beside(
        ("taken for new ones most surely", now.pictures[order[:count]]),
        ("taken for old ones most surely", now.pictures[order[::-1][:count]]),
    )
    finding = (
        f"A linear classifier tells {percent(telling.accuracy)} of the images right, where guessing is right in half "
        f"of them (p {p_value(telling.p)}, {telling.images:,} images a side)."
    )
    meaning = (
        "All images here are new ones. What those in the first row have and those in the second have not is what has "
        "changed, where anything has. This test explains; it does not decide."
    )
    return Section("Can new and old be told apart?", finding, html, meaning)


def _beside(*strips: tuple[str, npt.NDArray[np.uint8]]) -> Any:
    """Strips of images, one below the other, each with what it shows."""
    tiles = joined(
        element("figure", strip(images, f"{len(images)} images: {what}"), element("figcaption", what), class_="tile")
        for what, images in strips
    )
    return element("figure", element("div", tiles, class_="tiles"))


def _provenance(check: Mapping[str, Any]) -> Section:
    """What was compared with what, by which classifier, and which files were left out."""
    lens = check["classifier"]
    facts = [
        ["new images", f"{check['images']:,} of {check['new']}"],
        ["compared with", f"{check['reference']['images']:,} images of {check['against']}, none of its test part"],
        ["version of that set", element("code", check["reference"]["version"])],
        ["seen by", lens["what"] if lens else "no classifier"],
        ["weights", element("code", lens["sha256"]) if lens else DASH],
        ["key of the window", element("code", check["key"])],
    ]
    html = table("What was compared", ["what", "which"], facts)
    notes = [*check["missing"].values(), *_left_out(check["left_out"])]
    more = joined(element("p", f"{text[0].upper()}{text[1:]}.", class_="note") for text in notes)
    names = check["files"][:_MOST_FILES]
    files = table(f"The first {len(names):,} of {len(check['files']):,}", ["file"], [[name] for name in names])
    return Section("Where it comes from", "", html, "", more + details("The new files", files))


def _left_out(left_out: Mapping[str, Any]) -> list[str]:
    """Files that could not be used, in a sentence."""
    if not left_out["files"]:
        return []
    first = [f"{one['file']} ({one['why']})" for one in left_out["first"]]
    return [f"{left_out['files']} other files were left aside, such as {listed(first)}"]
