"""Marks of the charts: each kind has a shape beside its colour, so that no reader depends on colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gtl_core.evaluation.report.elements import element, joined

_SHAPES = {
    "circle": "M-5 0A5 5 0 1 1 5 0A5 5 0 1 1 -5 0Z",
    "diamond": "M0 -6.4L6.4 0L0 6.4L-6.4 0Z",
    "square": "M-4.6 -4.6H4.6V4.6H-4.6Z",
    "triangle": "M0 -6L5.8 4.6H-5.8Z",
    "left": "M-3 0L7 -6V6Z",
    "right": "M3 0L-7 -6V6Z",
}
_KINDS = {
    "plain": "circle",
    "gan": "diamond",
    "quiet": "square",
    **{f"hue{index}": shape for index, shape in enumerate(("circle", "diamond", "square", "triangle") * 2)},
}
HUES = 6
"""How many kinds `hue0`, `hue1` and so on there are, for runs and strategies that stand beside each other."""


@dataclass(frozen=True)
class Mark:
    """A value, perhaps with its interval.

    Attributes:
        value: where it stands.
        kind: `plain` (without a GAN), `gan`, `quiet` (something to compare with), or `hue0` and so on.
        low: lower end of its interval, or None for no interval.
        high: upper end.
        strong: whether it is drawn thicker.
    """

    value: float
    kind: str
    low: float | None = None
    high: float | None = None
    strong: bool = False


def sign(kind: str, x: str | float, y: float, *, shape: str = "", strong: bool = False) -> Markup:
    """The sign of a kind with its middle at a position; `x` may be a percentage.

    Args:
        kind: of `Mark`.
        x: from the left.
        y: pixels from the top.
        shape: another shape than that of the kind, such as an arrow for what lies beyond the edge.
        strong: a larger sign.
    """
    path = element("path", d=_SHAPES[shape or _KINDS[kind]], transform="scale(1.25)" if strong else None)
    return element("svg", path, x=x, y=y, overflow="visible", class_=f"sign {kind}")


def legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """The signs of some kinds with their meanings."""
    return element(
        "ul",
        joined(
            element(
                "li",
                element("svg", sign(kind, 8, 8), width=16, height=16, aria_hidden="true", class_="swatch"),
                meaning,
            )
            for kind, meaning in entries
        ),
        class_="legend",
    )
