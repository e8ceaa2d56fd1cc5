"""All distances between two sets of features at once, beside the floor and the ceiling that they are read against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError
from gtl_core.metrics.frechet import frechet_distance
from gtl_core.metrics.kernel import mmd2_unbiased, polynomial_kernel
from gtl_core.metrics.manifold import NEIGHBOURS, manifold
from gtl_core.metrics.sliced_wasserstein import sliced_wasserstein

Features = npt.NDArray[np.floating]

MOST = 2500
"""Images of a half of the reference; more change the numbers less than the draws do."""
_LEVEL = 0.95


@dataclass(frozen=True)
class Metric:
    """A number that compares two sets of images.

    Attributes:
        name: as in files.
        title: for people.
        better: whether lower or higher is better.
        bounds: the least and the greatest value that there can be.
    """

    name: str
    title: str
    better: Literal["lower", "higher"]
    bounds: tuple[float, float]


METRICS = (
    Metric("frechet", "Fréchet distance", "lower", (0.0, np.inf)),
    Metric("kernel", "Kernel distance", "lower", (-np.inf, np.inf)),
    Metric("precision", "Precision", "higher", (0.0, 1.0)),
    Metric("recall", "Recall", "higher", (0.0, 1.0)),
    Metric("density", "Density", "higher", (0.0, np.inf)),
    Metric("coverage", "Coverage", "higher", (0.0, 1.0)),
    Metric("sliced_wasserstein", "Sliced Wasserstein distance", "lower", (0.0, np.inf)),
)
"""The numbers that `compare` gives, in the order to show them in."""


def compare(real: Features, synthetic: Features, seed: int) -> dict[str, float]:
    """Every metric of two sets; see the modules of each.

    Args:
        real: (N, F).
        synthetic: (M, F).
        seed: of the directions of the sliced distance.

    Raises:
        InputError: a set has too few images, or the widths differ.
    """
    return {
        "frechet": frechet_distance(real, synthetic),
        "kernel": mmd2_unbiased(real, synthetic, polynomial_kernel),
        **asdict(manifold(real, synthetic)),
        "sliced_wasserstein": sliced_wasserstein(real, synthetic, seed),
    }


@dataclass(frozen=True, eq=False)
class Halves:
    """Real images in two random halves, so that everything is compared with as many images as the halves have.

    The distances depend on how many images there are. Between the two halves they show the floor: what is left where
    nothing differs.

    Attributes:
        first: (N, F).
        second: (N, F).
        seed: of the halves, and of what is compared with them.
    """

    first: Features
    second: Features
    seed: int

    @classmethod
    def of(cls, real: Features, most: int, seed: int) -> Halves:
        """Halves of at most `most` images each of real images (N, F).

        Raises:
            InputError: that leaves fewer images than the metrics need.
        """
        size = min(len(real) // 2, most)
        if size <= NEIGHBOURS:
            raise InputError(
                f"two halves of more than {NEIGHBOURS} images are needed to compare with, and there are {len(real)} "
                f"real images, of which at most {2 * most} can be used"
            )
        rows = np.random.default_rng([seed, 0]).permutation(len(real))
        return cls(real[rows[:size]], real[rows[size : 2 * size]], seed)

    def floor(self) -> dict[str, float]:
        """Every metric between the halves, mean of both ways."""
        return _mean([compare(self.first, self.second, self.seed), compare(self.second, self.first, self.seed)])

    def against(self, other: Features) -> dict[str, float]:
        """Every metric between the halves and as many of `other` (M, F), mean over the halves."""
        return _mean([compare(half, part, self.seed) for half, part in self.pairs(other)])

    def pairs(self, other: Features) -> list[tuple[Features, Features]]:
        """Each half with as many random rows of `other` (M, F), two different parts if there are enough."""
        size, rng = len(self.first), np.random.default_rng([self.seed, 1])
        if len(other) < size:
            raise InputError(f"{size} images are needed for an even comparison, and there are {len(other)}")
        rows = rng.permutation(len(other))
        return [(self.first, other[rows[:size]]), (self.second, other[rows[::-1][:size]])]


def per_class(
    real: Features,
    real_labels: npt.NDArray[np.int64],
    synthetic: Features,
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
    seed: int,
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Every metric of each class by itself, between as many real as synthetic images.

    Args:
        real: (N, F).
        real_labels: int64 (N,).
        synthetic: (M, F).
        labels: int64 (M,).
        classes: names.
        seed: of what is left out of the larger side, and of the sliced distance.

    Returns:
        Values by class, and reasons of the classes that cannot be compared.
    """
    values: dict[str, dict[str, float]] = {}
    missing: dict[str, str] = {}
    rng = np.random.default_rng([seed, 2])
    for index, name in enumerate(classes):
        sides = [part[known == index] for part, known in ((real, real_labels), (synthetic, labels))]
        size = min(MOST, *map(len, sides))
        if size <= NEIGHBOURS:
            missing[name] = (
                f"{len(sides[0])} real and {len(sides[1])} synthetic images, and more than {NEIGHBOURS} are needed"
            )
        else:
            own, made = (side[rng.permutation(len(side))[:size]] for side in sides)
            values[name] = compare(own, made, seed)
    return values, missing


def summary(draws: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Mean over draws of every metric, with its 95 % interval by Student's t and the draws' values.

    With one draw there is no interval: its ends are None.
    """
    found = {}
    for metric in METRICS:
        values = np.array([draw[metric.name] for draw in draws])
        low, high = _interval(values, metric.bounds)
        found[metric.name] = {"mean": float(values.mean()), "low": low, "high": high, "draws": values.tolist()}
    return found


def _interval(values: npt.NDArray[np.float64], bounds: tuple[float, float]) -> tuple[float | None, float | None]:
    from scipy.stats import t

    if len(values) < 2:
        return None, None
    reach = t.ppf((1 + _LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(max(values.mean() - reach, bounds[0])), float(min(values.mean() + reach, bounds[1]))


def _mean(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in values])) for name in values[0]}
