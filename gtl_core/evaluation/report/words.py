"""Numbers as people read them, with a true minus sign."""

from __future__ import annotations

import math
from collections.abc import Sequence

DASH = "–"
"""What stands where there is no number."""


def percent(share: float | None, digits: int = 1) -> str:
    """A share as `95.3 %`."""
    return DASH if _none(share) else _minus(f"{100 * float(share or 0):.{digits}f} %")


def percent_interval(low: float | None, high: float | None) -> str:
    """The ends of an interval of shares as `94.1 to 96.2`."""
    if _none(low) or _none(high):
        return DASH
    return _minus(f"{100 * float(low or 0):.1f} to {100 * float(high or 0):.1f}")


def points(share: float) -> str:
    """A difference of shares in points, always with its sign: `+2.1`."""
    return _minus(f"{100 * share:+.1f}")


def points_interval(low: float, high: float) -> str:
    """The ends of an interval of differences: `−0.3 to +1.2`."""
    return f"{points(low)} to {points(high)}"


def number(value: float | None) -> str:
    """Any number with about three digits that count: `1,234`, `0.0312`, `2.5e-06`."""
    if _none(value):
        return DASH
    value = float(value or 0)
    if value == int(value) and abs(value) < 1e6:
        return _minus(f"{int(value):,}")
    if abs(value) >= 1000:
        return _minus(f"{value:,.0f}" if abs(value) < 1e6 else f"{value:.3g}")
    if 0 < abs(value) < 1e-3:
        return _minus(f"{value:.1e}")
    return _minus(f"{value:.3g}")


def p_value(p: float | None) -> str:
    """A p-value, with a floor below which digits say nothing."""
    if _none(p):
        return DASH
    return "below 0.001" if float(p or 0) < 0.001 else f"{p:.3f}"


def name_of(word: str) -> str:
    """A name of the code in words: `balanced_accuracy` as `balanced accuracy`."""
    return word.replace("_", " ")


def listed(words: Sequence[str], most: int = 8) -> str:
    """Words in one line: `a, b and c`; of many the first ones and how many more there are."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)


def _none(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def _minus(text: str) -> str:
    return text.replace("-", "−") if not text.startswith("−") else text
