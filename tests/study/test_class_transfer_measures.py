"""What the benchmark of new classes makes of what was covered, on outcomes whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.class_transfer import STRATEGIES, Outcome, measures


def test_coverage_density_and_ratios_are_those_of_the_outcomes() -> None:
    rng = np.random.default_rng(0)
    shares = dict(zip(STRATEGIES, (0.3, 0.2, 0.6, 0.3), strict=True))
    outcomes = {
        label: Outcome(rng.random((3, 600)) < share, np.array([0.8, 0.9, 1.0]), np.zeros((5, 12, 1, 4, 4), np.uint8))
        for label, share in shares.items()
    }
    rows = {row.what: row for row in measures("a target", outcomes)}
    for label, share in shares.items():
        covered, density = (rows[f"a target, {label}: {what}"] for what in ("coverage", "density"))
        assert covered.value == pytest.approx(100.0 * share, abs=5.0)
        assert covered.low < covered.value < covered.high
        assert (density.value, density.low, density.high) == pytest.approx((0.9, 0.8, 1.0))
    twice = rows["a target, finetune, nearest start: coverage over that of finetune"]
    same = rows["a target, class_mixing, nearest start: coverage over that of finetune"]
    assert twice.low > 1.7
    assert same.low < 1.0 < same.high
