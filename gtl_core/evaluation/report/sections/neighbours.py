"""Whether the generator copies: synthetic images beside their nearest real ones, and the screen's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from gtl_core.evaluation.report.elements import element, joined, table
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.pictures import how_many, strip
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import number, percent

_BYTES = 900_000
_MOST = 12
_SHARES = {"authenticity", "tpr_at_1_fpr"}
_MEASURES = (
    ("screen", "in a word", "clear, worth a look, or copies found"),
    ("distance_ratio", "distance ratio", "distance to training images over that to unseen ones; 1 is no difference"),
    ("authenticity", "authentic", "share that lies no nearer to a training image than real images lie to each other"),
    ("c_t", "C_T", "far below 0 where the images crowd around training images"),
    ("membership_auc", "membership", "how well one can tell what was trained on from the images; 0.5 is guessing"),
    ("tpr_at_1_fpr", "members found", "share of the training images so found, at 1 % false alarms"),
    ("exact_copies", "exact copies", "pixel for pixel"),
    ("near_copies", "near copies", "nearer than nearly all unseen real images"),
)
_WORDS = {"clear": "clear", "look": "worth a look", "copies": "copies found"}


def build(inputs: Inputs) -> Section:
    """What the screen says of every strategy, and triples of images of the judged one."""
    screens = {
        label: strategy["memorisation"]
        for label, strategy in inputs.quality["strategies"].items()
        if strategy.get("memorisation")
    }
    if not screens:
        raise Missing(inputs.why("memorisation", "the screen for copies was not made"))
    screens = {label: screens[label] for label in inputs.judged_first(screens)}
    first = next(iter(screens))
    finding = f"{first}: {screens[first]['sentence']}"
    meaning = (
        "Each triple is a synthetic image, the nearest image that the GAN learned from, and the nearest one that it "
        "never saw, with their distances. A generator that copies is much nearer to the first. This is a screen, not a "
        "guarantee: it can find copies, it cannot prove that there are none."
    )
    return Section(
        "Copies of training images?",
        finding,
        _triples(inputs),
        meaning,
        _numbers(screens),
        screens,
    )


def _triples(inputs: Inputs) -> Markup:
    """Synthetic, nearest training, nearest held-out image, side by side."""
    try:
        pictures = inputs.arrays("neighbours", "nearest neighbours")
        distances = inputs.arrays("neighbour_distances", "nearest neighbours")
    except Missing as missing:
        return element("p", f"No pictures: {missing}.", class_="quiet")
    label, triples = next(iter(pictures.items()))
    count = how_many(_BYTES, 3, triples, min(_MOST, len(triples)))
    tiles = joined(
        element(
            "figure",
            strip(triples[row], f"Synthetic image {row + 1}, its nearest training and its nearest held-out image", 44),
            element("figcaption", f"{number(float(near[0]))} · {number(float(near[1]))}"),
            class_="tile",
        )
        for row, near in enumerate(distances[label][:count])
    )
    caption = f"{label}: synthetic, nearest training image, nearest held-out image; below, the distance to each"
    return element("figure", element("figcaption", caption), element("div", tiles, class_="tiles triples"))


def _numbers(screens: Mapping[str, Mapping[str, Any]]) -> Markup:
    """The screen's measures of every strategy, each with what it means."""
    member = "membership_auc", "membership_low", "membership_high"

    def told(screen: Mapping[str, Any], name: str) -> str:
        if name == "screen":
            return _WORDS.get(screen["screen"], str(screen["screen"]))
        if name == "membership_auc":
            value, low, high = (number(screen.get(key)) for key in member)
            return f"{value} ({low} to {high})"
        return percent(screen.get(name)) if name in _SHARES else number(screen.get(name))

    rows = [
        [element("span", title) + element("small", says), *(told(screen, name) for screen in screens.values())]
        for name, title, says in _MEASURES
    ]
    return table("The screen for copies", ["measure", *screens], rows, numeric=range(1, len(screens) + 1))
