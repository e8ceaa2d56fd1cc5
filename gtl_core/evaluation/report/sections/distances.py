"""Distributions of the distances from synthetic images to what the GAN has seen and to what it has not."""

from __future__ import annotations

import numpy as np

from gtl_core.evaluation.report.charts.histogram import mirrored_histogram
from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.scales import straight
from gtl_core.evaluation.report.section import Section
from gtl_core.evaluation.report.words import number

_MOST = 4
"""Strategies that are drawn, the judged one first."""


def build(inputs: Inputs) -> Section:
    """A pair of histograms for each strategy."""
    trained = inputs.arrays("distances_train", "memorisation")
    held_out = inputs.arrays("distances_held_out", "memorisation")
    parts, numbers = [], {}
    for label in list(trained)[:_MOST]:
        if label not in held_out:
            continue
        seen, unseen = trained[label], held_out[label]
        near, far = float(np.median(seen)), float(np.median(unseen))
        both = np.concatenate([values[np.isfinite(values)] for values in (seen, unseen)])
        axis = straight([0.0, float(np.quantile(both, 0.995))], title="distance", floor=0.0)
        told = f"Median distance {number(near)} to training images and {number(far)} to held-out ones."
        chart = mirrored_histogram(
            f"Distances of {label}",
            told,
            ("nearest training image", seen),
            ("nearest held-out image", unseen),
            axis,
        )
        parts.append(element("figure", element("figcaption", element("strong", label), f" · {told}"), chart))
        quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
        numbers[label] = {
            "quantiles": quantiles,
            "train": np.quantile(seen, quantiles).tolist(),
            "held_out": np.quantile(unseen, quantiles).tolist(),
        }
    if not parts:
        raise Missing("no strategy has both distances")
    meaning = (
        "For every synthetic image the distance to the nearest image that the GAN learned from (upwards) and to the "
        "nearest one that it never saw (downwards). Mirror images of each other are a good sign; a mountain further "
        "left on the upper side means that the GAN repeats what it has seen. The thick line is the median."
    )
    return Section(
        "How near to what it has seen", "", element("div", joined(parts), class_="pair"), meaning, numbers=numbers
    )
