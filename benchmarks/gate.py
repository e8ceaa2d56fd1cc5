"""What the promotion gate lets through, on simulated pairs of a champion and a challenger whose true gain is known.

The test part has images of five classes, the commonest four times as common as the rarest. Whether a model recognises
an image depends on its class, and partly on luck that both models share, so that they fail on the same images more
often than not. Where there are groups (patients, lots, devices), one model has a lead on the images of one group and
the other on those of the next, which is nothing over many groups.

Prints, for every kind of test part, how often the 95 % interval of the gain holds the true one, and how often its lower
end lies above it, which should be at most 2.5 %: that often a model that is no better than asked for is let through.
Then, for every true gain and number of test images, the share of challengers that are let through with the gain alone
and with intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from gtl_core.config import Metric
from gtl_core.registry.gain import Gain, paired_gain

CLASSES = 5
_RECALLS = np.linspace(0.75, 0.92, CLASSES)
"""Of two models that are equally good."""
_SHARED_LUCK = 0.7
"""Share of the images on which both models have one luck."""
_GROUP_LEAD = 0.1
"""How much one model is ahead on the images of a group, and behind on those of another."""
GAINS = (-0.02, 0.0, 0.01, 0.02, 0.04)
LEVELS = (0.8, 0.95)


@dataclass(frozen=True)
class Design:
    """One kind of test part, and how much better the challenger is.

    Attributes:
        images: in the test part.
        groups: that they belong to; 0 where each stands alone.
        metric: what the gain is in.
        gain: true difference of their chances on an image of any class, and so of their scores.
    """

    images: int
    groups: int
    metric: Metric
    gain: float

    def labels(self) -> np.ndarray:
        """Classes of the test images, int (N,)."""
        shares = np.linspace(1.0, 4.0, CLASSES)
        ends = np.round(self.images * np.cumsum(shares) / shares.sum()).astype(np.int64)
        labels: np.ndarray = np.searchsorted(ends, np.arange(self.images), side="right")
        return labels

    def gains(self, studies: int, level: float) -> Iterator[Gain]:
        """The gain that each of many pairs of models shows on a test part of its own."""
        rng = np.random.default_rng([self.images, self.groups, self.metric == "accuracy", round(1000 * self.gain) + 99])
        labels = self.labels()
        recall = _RECALLS[labels]
        for _ in range(studies):
            groups, lead = np.full(self.images, ""), np.zeros(self.images)
            if self.groups:
                number = rng.integers(self.groups, size=self.images)
                groups = number.astype(str)
                lead = _GROUP_LEAD * rng.choice([-1.0, 1.0], self.groups)[number]
            luck = rng.random(self.images)
            other = np.where(rng.random(self.images) < _SHARED_LUCK, luck, rng.random(self.images))
            challenger = luck < recall + (self.gain + lead) / 2
            champion = other < recall - (self.gain + lead) / 2
            yield paired_gain(challenger, champion, labels, groups, self.metric, level)


def coverage(sizes: list[int], studies: int) -> None:
    """Prints how often intervals hold the truth, and the range of both shares."""
    print("| test images | groups | metric | true gain, points | covered % | lower end above the truth % |")
    print("|---|---|---|---|---|---|")
    shares = []
    metrics: tuple[Metric, Metric] = ("balanced_accuracy", "accuracy")
    for images, groups, metric, gain in product(sizes, (0, 10, 40), metrics, (0.0, 0.04)):
        design = Design(images, groups, metric, gain)
        ends = np.array([(found.low > gain, found.high < gain) for found in design.gains(studies, 0.95)])
        covered, above = 1 - ends.any(axis=1).mean(), ends[:, 0].mean()
        shares.append((covered, above))
        row = f"{images:,} | {groups or '–'} | {metric} | {100 * gain:.0f}"
        print(f"| {row} | {100 * covered:.1f} | {100 * above:.1f} |", flush=True)
    lowest, highest = np.min(shares, axis=0), np.max(shares, axis=0)
    print(f"\n{len(shares)} kinds of {studies} test parts each: ", end="")
    print(f"intervals held the truth in {100 * lowest[0]:.1f} to {100 * highest[0]:.1f} %, ", end="")
    print(f"lower ends lay above it in {100 * lowest[1]:.1f} to {100 * highest[1]:.1f} %\n")


def acceptance(sizes: list[int], studies: int) -> None:
    """Prints the share of challengers that are let through with `min_gain: 0`."""
    rules = ["gain alone", *(f"interval {level}" for level in LEVELS)]
    print(f"| test images | true gain, points | {' | '.join(f'{rule} %' for rule in rules)} |")
    print(f"|---|---|{'---|' * len(rules)}")
    for images, gain in product(sizes, GAINS):
        design = Design(images, 0, "balanced_accuracy", gain)
        passed = [np.mean([found.value >= 0 for found in design.gains(studies, 0.95)])]
        passed += [np.mean([found.low >= 0 for found in design.gains(studies, level)]) for level in LEVELS]
        print(f"| {images:,} | {100 * gain:.0f} | {' | '.join(f'{100 * share:.1f}' for share in passed)} |", flush=True)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--images", type=int, nargs="+", default=[200, 500, 2000])
    options = parser.parse_args()
    coverage(options.images, options.studies)
    acceptance(options.images, options.studies)


if __name__ == "__main__":
    main()
