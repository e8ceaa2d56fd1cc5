"""Confusion matrices as tables whose cells are shaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gtl_core.evaluation.report.elements import element, joined

MOST_CLASSES = 16
"""Classes of which a matrix is still readable; of more, the pairs that are confused most are listed."""
_SHADES = 10
_SHORT = 3
"""Letters of a name that still stand upright above a column."""


def confusion_table(caption: str, classes: Sequence[str], counts: npt.NDArray[np.int64]) -> Markup:
    """A row for each true class: what share of its images was taken for which class, in percent.

    Args:
        caption: says whose matrix it is.
        classes: names.
        counts: int64 (K, K), true class by predicted class.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    corner = element("td", element("span", "true ↓", element("br"), "taken for →", class_="quiet"))
    head = element("tr", corner, joined(element("th", element("span", name), scope="col") for name in classes))
    body = joined(
        element(
            "tr",
            element("th", name, scope="row"),
            joined(_cell(float(share), row == column) for column, share in enumerate(shares[row])),
        )
        for row, name in enumerate(classes)
    )
    inner = element("caption", caption) + element("thead", head) + element("tbody", body)
    long = " long" if max(map(len, classes)) > _SHORT else ""
    return element(
        "div",
        element("table", inner, class_=f"confusion{long}"),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def most_confused(classes: Sequence[str], counts: npt.NDArray[np.int64], most: int = 8) -> list[tuple[str, str, float]]:
    """True class, class that it is taken for, and the share of its images, the largest shares first."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    np.fill_diagonal(shares, 0.0)
    order = np.argsort(shares, axis=None, kind="stable")[::-1][:most]
    pairs = [(int(place) // len(classes), int(place) % len(classes)) for place in order]
    return [(classes[row], classes[column], float(shares[row, column])) for row, column in pairs if shares[row, column]]


def _cell(share: float, right: bool) -> Markup:
    """One shaded cell; what rounds to nothing stays empty."""
    shade = min(_SHADES, round(share * _SHADES + 0.4)) if share >= 0.005 else 0
    text = f"{100 * share:.0f}" if share >= 0.005 else ""
    return element("td", text, class_=f"{'right' if right else 'wrong'} shade{shade}")
