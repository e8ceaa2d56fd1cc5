"""How often the 95 % intervals of a study hold the truth, on simulated studies whose truth is known.

A study has D draws, S seeds a draw, and one test part of N images in ten classes. Whether an image is recognised
depends on its difficulty, on its class, on the luck of the draw (which the arms share in part, and which is another
one for each class), on the arm's own taste for the image, and on the seed. Two arms differ by a gain in all of these
together; without one, their true difference is nothing.

Prints, for every kind of study, the share of intervals that hold the true difference, which should be 93 to 97 %, and,
where there is no true difference, the share of `helps`, which should be 5 % at most.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from gtl_core.config import Metric
from gtl_core.evaluation.scores import image_weights
from gtl_core.evaluation.statistics import detectable_difference, two_level_paired_bootstrap
from gtl_core.evaluation.verdict import label_of

CLASSES = 10
RESAMPLES = 200
"""Enough where thousands of studies are averaged; one study takes 2,000."""
_BASE, _DIFFICULTY = 6.0, 5.0
"""Mean and spread of the logits over images: an arm recognises 87 % of them, and most of them always or never."""
_OF_CLASSES = np.linspace(-2.0, 2.0, CLASSES)


@dataclass(frozen=True)
class World:
    """Spreads, in logits, of what moves an arm.

    Attributes:
        name: in words.
        shared: luck of the draw that all arms share.
        draw: an arm's own luck with the draw.
        draw_class: an arm's own luck with the images of one class of the draw.
        taste: an arm's liking for single images.
        seed: luck of the seed.
    """

    name: str
    shared: float
    draw: float
    draw_class: float
    taste: float
    seed: float


WORLDS = (
    World("draws differ little", 0.5, 0.05, 0.1, 0.3, 0.1),
    World("draws differ", 0.5, 0.3, 0.4, 0.5, 0.3),
    World("draws differ much", 1.0, 1.0, 0.7, 0.7, 0.7),
)


@dataclass(frozen=True)
class Design:
    """One kind of study."""

    world: World
    draws: int
    images: int
    seeds: int
    metric: Metric
    gain: float

    def labels(self) -> np.ndarray:
        """Classes of the test images, int (N,): the commonest four times as common as the rarest."""
        shares = np.linspace(1.0, 4.0, CLASSES)
        ends = np.round(self.images * np.cumsum(shares) / shares.sum()).astype(np.int64)
        labels: np.ndarray = np.searchsorted(ends, np.arange(self.images), side="right")
        return labels

    def arm(self, rng: np.random.Generator, difficulty: np.ndarray, labels: np.ndarray, gain: float) -> np.ndarray:
        """Share of the seeds that recognised each image: float (D, N)."""
        world = self.world
        logits = difficulty + gain + rng.normal(0, world.taste, self.images)
        logits = logits + rng.normal(0, world.draw, (self.draws, 1))
        logits = logits + rng.normal(0, world.draw_class, (self.draws, CLASSES))[:, labels]
        of_seeds = logits[:, None] + rng.normal(0, world.seed, (self.draws, self.seeds, 1))
        shares: np.ndarray = (rng.random(of_seeds.shape) < 1 / (1 + np.exp(-of_seeds))).mean(axis=1)
        return shares

    def study(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Two arms on the same draws and images."""
        labels = self.labels()
        difficulty = rng.normal(_BASE, _DIFFICULTY, self.images) + _OF_CLASSES[labels]
        difficulty = difficulty + rng.normal(0, self.world.shared, (self.draws, 1))
        return self.arm(rng, difficulty, labels, self.gain), self.arm(rng, difficulty, labels, 0.0)

    def truth(self) -> float:
        """The true difference: an integral over everything that is drawn at random, by Gauss-Hermite quadrature."""
        world = self.world
        of_arm = world.draw**2 + world.draw_class**2 + world.taste**2 + world.seed**2
        spread = np.sqrt(_DIFFICULTY**2 + world.shared**2 + of_arm)
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        logits = _BASE + _OF_CLASSES[:, None] + spread * nodes
        share = weights / weights.sum()
        better = 1 / (1 + np.exp(-logits - self.gain)) - 1 / (1 + np.exp(-logits))
        labels = self.labels()
        of_class = np.bincount(labels, weights=image_weights(labels, self.metric), minlength=CLASSES)
        return float(of_class @ (better @ share))


@dataclass(frozen=True)
class Coverage:
    """What many studies of one design said, as shares of the studies."""

    covered: float
    helps: float
    width: float


def measure(design: Design, studies: int) -> Coverage:
    """Simulates studies of one design and looks at their intervals and verdicts."""
    labels, truth = design.labels(), design.truth()
    weights = image_weights(labels, design.metric)
    strata = labels if design.metric == "balanced_accuracy" else None
    found = np.empty((studies, 3))
    for index in range(studies):
        first, second = design.study(
            np.random.default_rng([index, design.draws, design.images, design.seeds, design.gain > 0])
        )
        estimate = two_level_paired_bootstrap(first, second, weights, strata, resamples=RESAMPLES, seed=index)
        label = label_of(estimate, detectable_difference(estimate, design.images), 0.0)
        found[index] = estimate.low <= truth <= estimate.high, label == "helps", estimate.high - estimate.low
    return Coverage(*(float(mean) for mean in found.mean(axis=0)))


def designs(draws: Sequence[int], images: Sequence[int], seeds: Sequence[int]) -> Iterator[Design]:
    """Every kind of study: numbers, worlds, and with and without a gain; the metrics take turns along each of these."""
    metrics: tuple[Metric, Metric] = ("balanced_accuracy", "accuracy")
    for (w, world), (g, gain), (d, of_draws), (n, of_images), (s, of_seeds) in product(
        enumerate(WORLDS), enumerate((0.0, 1.0)), enumerate(draws), enumerate(images), enumerate(seeds)
    ):
        yield Design(world, of_draws, of_images, of_seeds, metrics[(w + g + d + n + s) % 2], gain)


def main() -> None:
    """Prints a row a design, and the range of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--draws", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--images", type=int, nargs="+", default=[300, 800, 2007])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 3])
    options = parser.parse_args()
    print("| world | draws | test images | seeds | metric | true gain | covered % | helps % | width, points |")
    print("|---|---|---|---|---|---|---|---|---|")
    covered, helps = [], []
    for design in designs(options.draws, options.images, options.seeds):
        found = measure(design, options.studies)
        covered.append(found.covered)
        if not design.gain:
            helps.append(found.helps)
        numbers = f"{design.draws} | {design.images:,} | {design.seeds} | {design.metric} | {100 * design.truth():.1f}"
        shares = f"{100 * found.covered:.1f} | {100 * found.helps:.1f} | {100 * found.width:.1f}"
        print(f"| {design.world.name} | {numbers} | {shares} |", flush=True)
    print(f"\n{len(covered)} designs of {options.studies} studies each: ", end="")
    print(
        f"intervals held the truth in {100 * min(covered):.1f} to {100 * max(covered):.1f} % of the studies; ", end=""
    )
    print(f"without a true difference `helps` was said in {100 * min(helps):.1f} to {100 * max(helps):.1f} %")


if __name__ == "__main__":
    main()
