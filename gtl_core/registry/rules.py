"""What a rule of the gate found, whichever rule it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gain", "limits", "fresh_process"]

KINDS: Mapping[Kind, tuple[str, ...]] = {
    "gain": ("gain",),
    "limits": ("memorisation", "membership_auc", "worst_class", "ece", "latency_ms", "megabytes"),
    "fresh_process": ("classifier_loads", "generator_loads"),
}
"""The names of the rules of each kind. Limits stand in a result where they are asked for, the others always."""

ROUNDING = 1e-9
"""Scores are sums of floating-point weights: 0.3 − 0.2 is a hair less than 0.1."""


@dataclass(frozen=True)
class Rule:
    """One rule, and whether a model keeps it.

    Attributes:
        name: one of those in `KINDS`.
        passed: whether it is kept.
        value: what was found; None for a rule without a number, and where it could not be measured.
        limit: what it was compared with; None for a rule without a number.
        sentence: both in words, and by how much the rule is broken where it is.
    """

    name: str
    passed: bool
    value: float | None
    limit: float | None
    sentence: str
