"""Bounds that a new model must keep whatever its gain, as pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gtl_core.config import LimitsConfig
from gtl_core.evaluation.counted_scores import calibration_error
from gtl_core.registry.rules import ROUNDING, Rule


def copying(generator: str, memorisation: Mapping[str, Any]) -> Rule:
    """That the generator must not be said to copy its training images.

    Args:
        generator: what the sentence calls it.
        memorisation: `memorisation` of its strategy in `quality.json`; one that was not measured is empty, and is
            refused.
    """
    if not memorisation:
        why = "was not screened for copies, and promotion.memorisation is screen; quality.json says why"
        return Rule("memorisation", False, None, None, f"{generator} {why}")
    copies = memorisation["screen"] == "copies"
    said = "copies its training images" if copies else "is not said to copy its training images"
    return Rule("memorisation", not copies, None, None, f"{generator} {said}: {memorisation['sentence']}")


def limit_rules(
    limits: LimitsConfig,
    *,
    labels: np.ndarray,
    probabilities: np.ndarray | None,
    classes: Sequence[str],
    memorisation: Mapping[str, Any],
    milliseconds: float | None,
    machine: str,
    size: int,
) -> list[Rule]:
    """The limits that are set, each with what was measured.

    Args:
        limits: what is asked for.
        labels: int (N,), true classes of today's test images.
        probabilities: float (N, K), what the new classifier gives them; None where it did not predict.
        classes: names of the K classes.
        memorisation: as for `copying`.
        milliseconds: of one prediction of one image; None where it was not measured.
        machine: what it was measured on.
        size: of the packaged classifier, in bytes.
    """
    rules = []
    if limits.membership_auc is not None:
        auc = memorisation.get("membership_auc")
        rules.append(at_most("membership_auc", auc, limits.membership_auc, "of the generator"))
    if limits.worst_class is not None:
        worst, recall = worst_class(labels, probabilities) if probabilities is not None else (None, None)
        about = f"(class {classes[worst]})" if worst is not None else ""
        rules.append(at_least("worst_class", recall, limits.worst_class, about))
    if limits.ece is not None:
        error = None
        if probabilities is not None:
            error = float(calibration_error(labels, probabilities[None, None])(np.ones((1, len(labels))))[0, 0])
        rules.append(at_most("ece", error, limits.ece))
    if limits.latency_ms is not None:
        rules.append(at_most("latency_ms", milliseconds, limits.latency_ms, f"on {machine}" if machine else ""))
    if limits.megabytes is not None:
        rules.append(at_most("megabytes", size / 1e6, limits.megabytes))
    return rules


def at_most(name: str, value: float | None, limit: float, about: str = "") -> Rule:
    """That a value may not be above a limit; one that was not measured is refused.

    Args:
        name: of the rule.
        value: what was measured.
        limit: what is allowed.
        about: words that follow the value.
    """
    return _bounded(name, value, limit, about, None if value is None else value - limit, "at most", "too much")


def at_least(name: str, value: float | None, limit: float, about: str = "") -> Rule:
    """That a value may not be below a limit; the arguments are those of `at_most`."""
    return _bounded(name, value, limit, about, None if value is None else limit - value, "at least", "too little")


def worst_class(labels: np.ndarray, probabilities: np.ndarray) -> tuple[int, float]:
    """The class that is recognised worst, and its recall; classes without an image do not count.

    Args:
        labels: int (N,), true classes, at least one.
        probabilities: float (N, K).
    """
    hits = probabilities.argmax(axis=1) == labels
    present, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    recalls = np.bincount(places, hits) / counts
    return int(present[recalls.argmin()]), float(recalls.min())


def _bounded(
    name: str, value: float | None, limit: float, about: str, beyond: float | None, word: str, wrong: str
) -> Rule:
    """A rule whose value lies `beyond` the limit, or not."""
    if value is None or beyond is None:
        return Rule(name, False, None, limit, f"{name} was not measured, where {word} {limit:.4g} is asked for")
    found = f"{name} {value:.4g} {about}".rstrip()
    passed = beyond <= ROUNDING
    broken = "" if passed else f": {beyond:.4g} {wrong}"
    return Rule(name, passed, value, limit, f"{found} where {word} {limit:.4g} is asked for{broken}")
