"""Rows of values on one axis, such as a forest plot: a table whose middle column is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gtl_core.evaluation.report.charts.marks import Mark, sign
from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.scales import Axis

_STEP = 15
"""Pixels between the marks of one row."""
_SHORT = 14
"""Letters of a name that need only a narrow column."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: what is measured.
        value: its value in words, set to the right.
        marks: drawn one below the other.
        strong: whether the row stands out.
        note: a quiet word below the name.
    """

    name: str
    value: str
    marks: Sequence[Mark]
    strong: bool = False
    note: str = ""


def row_chart(
    caption: str,
    headings: tuple[str, str],
    rows: Sequence[Row],
    axis: Axis,
    *,
    reference: float | None = None,
) -> Markup:
    """Rows on a common axis, which is written below them.

    The table is read like any other by those who cannot see the picture: what is drawn stands in words beside it.

    Args:
        caption: says what the table shows.
        headings: of the names and of the values.
        rows: from the top.
        axis: that all share.
        reference: a value marked by a dashed line through all rows, such as zero.
    """
    head = joined(
        element("th", text, scope="col", role="columnheader", class_=kind)
        for text, kind in ((headings[0], "name"), (axis.title, "plot"), (headings[1], "value"))
    )
    body = joined(
        element(
            "tr",
            element(
                "th",
                row.name,
                element("small", row.note) if row.note else Markup(""),
                scope="row",
                role="rowheader",
                class_="name",
            ),
            element("td", _track(row, axis, reference), role="cell", class_=f"plot marks{len(row.marks)}"),
            element("td", row.value, role="cell", class_="value"),
            role="row",
            class_="strong" if row.strong else None,
        )
        for row in rows
    )
    # Roles are said again, because a table that is laid out as blocks on a telephone would lose them.
    inner = (
        element("caption", caption)
        + element("thead", element("tr", head, role="row"), role="rowgroup")
        + element("tbody", body, role="rowgroup")
        + element("tfoot", element("tr", _scale(axis), aria_hidden="true"))
    )
    short = max((len(row.name) for row in rows), default=0) <= _SHORT
    return element("table", inner, class_="rows short" if short else "rows", role="table", aria_label=caption)


def _track(row: Row, axis: Axis, reference: float | None) -> Markup:
    """The drawn cell of a row, as high as the row, its marks around the middle."""
    lines = [element("line", x1=axis.x(tick), x2=axis.x(tick), y1=0, y2="100%", class_="grid") for tick in axis.ticks]
    if reference is not None:
        x = axis.x(reference)
        lines.append(element("line", x1=x, x2=x, y1=0, y2="100%", class_="reference"))
    top = -_STEP * (len(row.marks) - 1) / 2
    drawn = joined(_drawn(mark, axis, top + _STEP * index) for index, mark in enumerate(row.marks))
    middle = element("svg", drawn, y="50%", overflow="visible")
    return element("svg", joined([*lines, middle]), role="img", aria_label=f"{row.name}: {row.value}", class_="track")


def _drawn(mark: Mark, axis: Axis, y: float) -> Markup:
    """An interval and its value; an arrow where the value lies beyond the edge."""
    shape = "left" if mark.value < axis.low else "right" if mark.value > axis.high else ""
    interval = Markup("")
    if mark.low is not None and mark.high is not None and mark.high >= axis.low and mark.low <= axis.high:
        width = "interval strong" if mark.strong else "interval"
        interval = element("line", x1=axis.x(mark.low), x2=axis.x(mark.high), y1=y, y2=y, class_=f"{width} {mark.kind}")
    return interval + sign(mark.kind, axis.x(mark.value), y, shape=shape, strong=mark.strong)


def _scale(axis: Axis) -> Markup:
    """The row of the axis' values."""
    texts = joined(
        element("text", label, x=axis.x(tick), y=14, text_anchor="middle")
        for tick, label in zip(axis.ticks, axis.labels, strict=True)
    )
    drawn = element("svg", texts, class_="scale", height=20)
    return element("td", class_="name") + element("td", drawn, class_="plot") + element("td", class_="value")
