"""Principal components of source, target and synthetic images on one map."""

from __future__ import annotations

from gtl_core.evaluation.report.charts.scatter import scatter_chart
from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.inputs import Inputs, Missing
from gtl_core.evaluation.report.section import Section

_MOST = 4


def build(inputs: Inputs) -> Section:
    """A map for each strategy, with the same source and target points."""
    found = inputs.arrays("pca", "everything")
    source, target = found.get("source"), found.get("target")
    clouds = {
        label.removeprefix("synthetic/"): points for label, points in found.items() if label.startswith("synthetic/")
    }
    if source is None or target is None or not clouds:
        raise Missing(inputs.why("pca", "the principal components are not complete"))
    order = inputs.judged_first(clouds)
    maps = joined(
        element(
            "figure",
            element("figcaption", element("strong", label)),
            scatter_chart(
                f"Map of source, target and images made by {label}",
                f"{len(source)} source, {len(target)} target and {len(clouds[label])} synthetic images as points.",
                [("source", "quiet", source), ("target", "plain", target), ("synthetic", "gan", clouds[label])],
            ),
        )
        for label in order[:_MOST]
    )
    meaning = (
        "Every point is an image; images that look alike to the feature network lie near each other (its two strongest "
        "principal components). Synthetic points should lie among the target's and cover all of them: bare patches are "
        "kinds of images that the GAN does not make, points among the source's are ones it has not carried over."
    )
    numbers = {label: points.tolist() for label, points in found.items()}
    return Section(
        "Source, target and synthetic on one map", "", element("div", maps, class_="pair"), meaning, numbers=numbers
    )
