"""The frame of a chart with two axes."""

from __future__ import annotations

import hashlib

from markupsafe import Markup

from gtl_core.evaluation.report.elements import element, joined
from gtl_core.evaluation.report.scales import Axis


def framed(title: str, description: str, x: Axis, y: Axis, height: int, *content: Markup) -> Markup:
    """A chart: both axes with their values, and what is drawn between them.

    Args:
        title: names the chart, for those who cannot see it.
        description: tells what it shows, for them too.
        x: the horizontal axis.
        y: the vertical axis.
        height: of the plot in pixels; letters along the axes come on top.
        content: drawn with horizontal positions in percent and vertical ones in pixels.
    """
    grid = [element("line", x1="0", x2="100%", y1=y.y(t, height), y2=y.y(t, height), class_="grid") for t in y.ticks]
    across = [
        element("text", label, x=-8, y=y.y(tick, height) + 4, text_anchor="end")
        for tick, label in zip(y.ticks, y.labels, strict=True)
    ]
    down = [
        element("text", label, x=x.x(tick), y=height + 18, text_anchor="middle")
        for tick, label in zip(x.ticks, x.labels, strict=True)
    ]
    base = element("line", x1="0", x2="100%", y1=height, y2=height, class_="base")
    titles = element("text", y.title, x=-46, y=-12, class_="title") + element(
        "text", x.title, x="100%", y=height + 38, text_anchor="end", class_="title"
    )
    return picture(title, description, joined([*grid, base, *across, *down, titles, *content]), "chart", height=height)


def picture(title: str, description: str, content: Markup, class_: str, **attributes: str | float) -> Markup:
    """An SVG picture that says in words what it is and what it shows."""
    name = "t" + hashlib.sha256(f"{title}{description}{content}".encode()).hexdigest()[:12]
    words = element("title", title, id=name) + element("desc", description, id=f"{name}d")
    return element("svg", words, content, role="img", aria_labelledby=f"{name} {name}d", class_=class_, **attributes)
