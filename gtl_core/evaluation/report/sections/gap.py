"""How related source and target are, as measured before any training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from gtl_core.evaluation.report.elements import details, element, table
from gtl_core.evaluation.report.inputs import Inputs
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import number, p_value

_LIGHTS = {"green": "near", "amber": "in between", "red": "far"}


def build(inputs: Inputs) -> Section:
    """The light, every measure, and the source class that is nearest to each target class."""
    gap = inputs.read("gap", "gap.json")
    light = gap["light"]
    sign = element("p", element("span", _LIGHTS[light], class_=f"light {light}"), " ", gap["sentence"], class_="lead")
    rows = [
        [
            element("span", measure["title"])
            + element("small", f"{measure['meaning'].rstrip('.')}; {measure['better']} is better."),
            _value(measure),
            p_value(measure.get("p")),
        ]
        for measure in gap["measures"]
    ]
    columns = ["measure", "value (95 % interval)", "p"]
    measures = table("Measures of relatedness", columns, rows, numeric=(1, 2))
    absent = "; ".join(f"{name}: {reason}" for name, reason in (gap.get("missing") or {}).items())
    note = element("p", f"Not measured: {absent}.", class_="note") if absent else Markup("")
    meaning = (
        "Near sources make a transfer likelier to help, but only the verdict says whether it did. All of this was "
        "measured on training images before anything was transferred, and on no test image."
    )
    html = sign + measures + note
    return Section("How far the source is from the target", "", html, meaning, _nearest(gap), gap)


def _value(measure: Mapping[str, Any]) -> str:
    """A value with its interval, where it has one."""
    value = number(measure["value"])
    if measure.get("low") is None:
        return value
    return f"{value} ({number(measure['low'])} to {number(measure['high'])})"


def _nearest(gap: Mapping[str, Any]) -> Markup:
    """The nearest source class of each target class."""
    nearest = gap.get("nearest_class") or {}
    if not nearest:
        return Markup("")
    rows = [
        [name, found["source_class"], number(found["distance"]), number(found["margin"])]
        for name, found in nearest.items()
    ]
    columns = ["target class", "nearest source class", "distance", "lead over the second"]
    title = "Nearest source class of each target class"
    return details(title, table(title, columns, rows, numeric=(2, 3)))
