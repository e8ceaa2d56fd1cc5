"""A walk through the latent space between two classes, by generators along the way from the source to the target."""

from __future__ import annotations

from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.inputs import Inputs
from gtl_core.evaluation.report.pictures import how_many, strip
from gtl_core.evaluation.report.section import Section

_BYTES = 900_000
_MOST = 10
_MOST_STRATEGIES = 3


def build(inputs: Inputs) -> Section:
    """A strip for each generator, the source's first, for the judged strategy and some others."""
    walks = inputs.arrays("walk", "walk")
    parts = []
    for label in list(walks)[:_MOST_STRATEGIES]:
        rows = walks[label]
        count = how_many(_BYTES, len(rows) * _MOST_STRATEGIES, rows, min(_MOST, rows.shape[1]))
        lines = joined(
            element(
                "div",
                strip(images[:count], f"Walk between two classes by {label}, {_stage(index, len(rows))}", 38),
                element("span", _stage(index, len(rows))),
                class_="step",
            )
            for index, images in enumerate(rows)
        )
        parts.append(element("figure", element("figcaption", element("strong", label)), lines, class_="walk"))
    meaning = (
        "Each line is one generator, from the first of its training to the finished one; along it the latent goes from "
        "one class to another. Smooth changes speak for a generator that has learned shapes, jumps or one image "
        "repeated for one that has learned single pictures. Downwards one sees the look of the target arrive."
    )
    numbers = {label: {"generators": len(rows), "steps": int(rows.shape[1])} for label, rows in walks.items()}
    return Section("From the source to the target", "", joined(parts), meaning, numbers=numbers)


def _stage(index: int, count: int) -> str:
    """Where in its training a generator stood, as far as its place in the row says it."""
    if index == count - 1:
        return "finished"
    return "at the beginning" if index == 0 else f"{100 * index / (count - 1):.0f} % of the way"
