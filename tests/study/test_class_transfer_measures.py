"""What the benchmark of new classes makes of what was covered, on outcomes whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.class_transfer import DEFAULT, PLAIN, STRATEGIES, Outcome, measures

DRAWS, IMAGES = 3, 600


def outcome(*stretches: tuple[float, float], seed: int = 0) -> Outcome:
    """A GAN that covers a share of the images at a density, at each stretch."""
    rng = np.random.default_rng(seed)
    covered = np.array([rng.random((DRAWS, IMAGES)) < share for share, _ in stretches])
    densities = np.array([[density - 0.1, density, density + 0.1] for _, density in stretches])
    return Outcome(covered, densities, np.zeros((5, 12, 1, 4, 4), np.uint8))


def test_coverage_and_density_are_those_of_the_outcomes() -> None:
    shares = dict(zip(STRATEGIES, (0.2, 0.6, 0.3, 0.5, 0.2, 0.6), strict=True))
    rows = {row.what: row for row in measures("a target", {label: outcome((s, 0.9)) for label, s in shares.items()})}
    for label, share in shares.items():
        covered, density = (rows[f"a target, {label}: {what}"] for what in ("coverage", "density"))
        assert covered.value == pytest.approx(100.0 * share, abs=5.0)
        assert covered.low < covered.value < covered.high
        assert (density.value, density.low, density.high) == pytest.approx((0.9, 0.8, 1.0))


def test_what_others_are_compared_with_is_brought_to_their_density_first() -> None:
    outcomes = {label: outcome((0.6, 0.9)) for label in STRATEGIES}
    outcomes[PLAIN] = outcome((0.1, 1.4), (0.3, 0.95), (0.5, 0.5))
    outcomes[DEFAULT] = outcome((0.6, 0.9), (0.1, 1.4), seed=1)
    rows = {row.what: row for row in measures("a target", outcomes)}
    twice, same = (
        rows[f"a target, class_mixing, nearest start: coverage over that of {other}, at equal density"]
        for other in (PLAIN, DEFAULT)
    )
    assert twice.value == pytest.approx(2.0, abs=0.2)
    assert 1.7 < twice.low < twice.value < twice.high
    assert twice.goal
    assert same.goal
    assert same.low < 1.0 < same.high
    assert not any(what.startswith(f"a target, {PLAIN}: coverage over") for what in rows)
