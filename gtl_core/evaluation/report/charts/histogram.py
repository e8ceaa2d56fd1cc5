"""Two distributions back to back: one grows upwards, the other downwards, over the same axis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gtl_core.evaluation.report.charts.frame import picture
from gtl_core.evaluation.report.charts.marks import legend
from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.scales import Axis

_HALF = 96
_BINS = 40


def mirrored_histogram(
    title: str,
    description: str,
    above: tuple[str, npt.NDArray[np.floating]],
    below: tuple[str, npt.NDArray[np.floating]],
    x: Axis,
) -> Markup:
    """Shares of two samples in common bins, back to back; the median of each is a thick line.

    Args:
        title: names the chart, for those who cannot see it.
        description: tells what it shows.
        above: name and values, float (N,), of the one that grows upwards.
        below: of the other.
        x: the axis of the values; what lies beyond its ends counts in the bins there.
    """
    samples = (above[1][np.isfinite(above[1])], below[1][np.isfinite(below[1])])
    edges = np.linspace(x.low, x.high, _BINS + 1)
    shares = [np.histogram(np.clip(sample, x.low, x.high), edges)[0] / len(sample) for sample in samples]
    tallest = max(float(share.max()) for share in shares)
    bars = []
    for share, kind, up in zip(shares, ("gan", "plain"), (True, False), strict=True):
        for index, part in enumerate(share):
            height = _HALF * float(part) / tallest
            if height:
                bars.append(
                    element(
                        "rect",
                        x=x.x(float(edges[index])),
                        width=f"{100 / _BINS - 0.15:.2f}%",
                        y=_HALF - height - 1 if up else _HALF + 1,
                        height=height,
                        class_=f"fill {kind}",
                    )
                )
    medians = [
        element(
            "line",
            x1=x.x(float(np.median(sample))),
            x2=x.x(float(np.median(sample))),
            y1=0 if kind == "gan" else _HALF,
            y2=_HALF if kind == "gan" else 2 * _HALF,
            class_=f"median {kind}",
        )
        for sample, kind in zip(samples, ("gan", "plain"), strict=True)
    ]
    base = element("line", x1="0", x2="100%", y1=_HALF, y2=_HALF, class_="base")
    texts = [
        element("text", label, x=x.x(tick), y=2 * _HALF + 18, text_anchor="middle")
        for tick, label in zip(x.ticks, x.labels, strict=True)
    ]
    axis = element("text", x.title, x="100%", y=2 * _HALF + 38, text_anchor="end", class_="title")
    drawn = joined([*bars, base, *medians, *texts, axis])
    return picture(title, description, drawn, "chart histogram", height=2 * _HALF) + legend(
        [("gan", f"upwards: {above[0]}"), ("plain", f"downwards: {below[0]}")]
    )
