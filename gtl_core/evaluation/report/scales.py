"""Axes: from values to positions in percent, and the round values that are written along them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axis:
    """A straight or logarithmic axis.

    Attributes:
        low: value at its beginning.
        high: value at its end.
        ticks: values that are written along it.
        labels: their texts.
        title: what it measures, with the unit.
        logarithmic: whether equal steps are equal factors.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    title: str = ""
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the beginning and 1 at the end, held inside."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-12))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def x(self, value: float) -> str:
        """Where a value lies along a horizontal axis: `12.34%`."""
        return f"{100 * self.share(value):.2f}%"

    def y(self, value: float, height: float) -> float:
        """Where a value lies along a vertical axis of `height` pixels, from the top."""
        return height * (1 - self.share(value))


def straight(
    values: Iterable[float],
    *,
    title: str = "",
    unit: str = "",
    count: int = 5,
    floor: float = -math.inf,
    ceiling: float = math.inf,
) -> Axis:
    """An axis over some values with about `count` round ticks.

    Args:
        values: finite ones are shown; where there is none the axis goes from 0 to 1.
        title: what it measures.
        unit: written behind every tick.
        count: how many ticks about.
        floor: the axis does not begin below this.
        ceiling: the axis does not end above this.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = max(floor, min(finite)), min(ceiling, max(finite))
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 0.5
    low, high = max(floor, low - margin), min(ceiling, high + margin)
    step = _step((high - low) / count)
    ticks = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    labels = tuple(f"{tick + 0.0:,.{digits}f}{unit}".replace("-", "−") for tick in ticks)
    return Axis(low, high, tuple(float(tick) for tick in ticks), labels, title)


def logarithmic(values: Sequence[float], *, title: str = "") -> Axis:
    """A logarithmic axis whose ticks are the given positive values themselves."""
    ticks = tuple(sorted(set(values)))
    low, high = ticks[0] / 1.15, ticks[-1] * 1.15
    return Axis(low, high, ticks, tuple(f"{tick:g}" for tick in ticks), title, logarithmic=True)


def decades(values: Sequence[float], *, title: str = "") -> Axis:
    """A logarithmic axis over positive values, with a tick at each power of ten among them."""
    low, high = min(values) / 1.15, max(values) * 1.15
    ticks = tuple(10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1))
    return Axis(low, high, ticks, tuple(f"{tick:,g}" for tick in ticks), title, logarithmic=True)


def _step(rough: float) -> float:
    """The round step (1, 2 or 5 times a power of ten) that is nearest to a rough one by its factor."""
    power = 10.0 ** math.floor(math.log10(rough))
    return min((factor * power for factor in (1.0, 2.0, 5.0, 10.0)), key=lambda step: abs(math.log(step / rough)))
