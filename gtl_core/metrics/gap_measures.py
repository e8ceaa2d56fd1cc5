"""The measures of the domain gap, each with its interval and beside what it is where the answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.errors import InputError
from gtl_core.metrics.divergence import class_spread, domain_hits, proxy_a_distance
from gtl_core.metrics.features import LabelledImages
from gtl_core.metrics.kernel import (
    Kernel,
    mean_similarity,
    median_bandwidth,
    mmd2_resampled,
    mmd2_unbiased,
    permutation_p,
    polynomial_kernel,
    rbf_kernel,
)
from gtl_core.metrics.transferability import h_score, label_entropy, leep, logme
from gtl_core.training.class_distances import class_distances

RESAMPLES = 100
DEALINGS = 20
"""Times that labels are dealt at random, to see what a measure says where there is nothing to find."""
SMALLEST_HALF = 5
"""Images that a half of the target needs to be compared with the other half."""

ITSELF = "the target against itself"
CHANCE = "the same images, their labels dealt at random"

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """One measure: a row of the table.

    Attributes:
        name: for programs.
        title: for people.
        value: what was measured.
        low: lower end of its 95 % interval, of the images as they were drawn.
        high: upper end.
        better: whether `lower` or `higher` means more related.
        reference: the same measure where the answer is known; None where there is none.
        reference_is: what that is.
        p: probability of such a value if there were no difference; None where that is not asked.
        meaning: what it says, in a sentence.
    """

    name: str
    title: str
    value: float
    low: float
    high: float
    better: str
    reference: float | None
    reference_is: str
    p: float | None
    meaning: str


def distances(source: Features, target: Features, seed: int, missing: dict[str, str]) -> list[Measure]:
    """The measures that need no label: MMD as a share of what it can be, kernel distance, and proxy A-distance.

    Args:
        source: float32 (N, F).
        target: float32 (M, F), in random order, because its halves are compared.
        seed: of folds, permutations and resamples.
        missing: is told the reason of what could not be measured.
    """
    half = len(target) // 2
    halves = (target[:half], target[half:])
    # As wide as the target's own spread: what lies farther from the target than its images do from each other is far.
    gaussian = rbf_kernel(median_bandwidth(target, target[:0]))
    most = mean_similarity(source, gaussian) + mean_similarity(target, gaussian)
    measures = [
        _kernel_measure(
            "mmd",
            "Maximum mean discrepancy, as a share",
            (source, target, gaussian),
            halves,
            most,
            seed,
            "How far apart the images of both sets lie: 0 where they cannot be told apart, 1 where they have nothing "
            "in common.",
        ),
        _kernel_measure(
            "kernel_distance",
            "Kernel distance",
            (source, target, polynomial_kernel),
            halves,
            1.0,
            seed,
            "The kernel distance (KID) on the features of the source classifier, so it compares with no other network.",
        ),
    ]
    try:
        hits = domain_hits(source, target, seed=seed)
        first = len(source)

        def resampled(rng: np.random.Generator) -> float:
            rows = np.concatenate([rng.integers(first, size=first), rng.integers(first, len(hits), len(hits) - first)])
            return proxy_a_distance(hits[rows], first)

        measures.append(
            _measure(
                "a_distance",
                "Proxy A-distance",
                proxy_a_distance(hits, first),
                _resamples(resampled, seed),
                bounds=(0.0, 2.0),
                better="lower",
                reference=proxy_a_distance(domain_hits(*halves, seed=seed), half) if _enough(halves) else None,
                reference_is=ITSELF,
                meaning="How well a linear classifier tells from which set an image is: 0 not at all, 2 always.",
            )
        )
    except InputError as error:
        missing["a_distance"] = str(error)
    return measures


def _kernel_measure(
    name: str,
    title: str,
    samples: tuple[Features, Features, Kernel],
    halves: tuple[Features, Features],
    unit: float,
    seed: int,
    meaning: str,
) -> Measure:
    """MMD² by a kernel in some unit, with its permutation p, beside that of two halves of the target."""
    source, target, kernel = samples
    return _measure(
        name,
        title,
        mmd2_unbiased(source, target, kernel) / unit,
        mmd2_resampled(source, target, kernel, resamples=RESAMPLES, seed=seed) / unit,
        better="lower",
        reference=mmd2_unbiased(*halves, kernel) / unit if _enough(halves) else None,
        reference_is=ITSELF,
        p=permutation_p(source, target, kernel, seed=seed),
        meaning=meaning,
    )


def label_measures(
    probabilities: npt.NDArray[np.float32], features: Features, labels: Labels, seed: int, missing: dict[str, str]
) -> list[Measure]:
    """LEEP, LogME and H-score, each beside what it says of labels that were dealt at random.

    Args:
        probabilities: float32 (N, Z), what the source classifier says of the labelled images.
        features: float32 (N, F), of the same images.
        labels: int64 (N,).
        seed: of dealings and resamples.
        missing: is told the reason of what could not be measured.
    """
    classes = len(np.unique(labels))
    entropy = label_entropy(labels)
    kinds: Sequence[tuple[str, str, Callable[..., float], Any, tuple[float, float], str]] = (
        (
            "leep",
            "LEEP",
            leep,
            probabilities,
            (-np.inf, 0.0),
            f"Log-likelihood of the target's labels given what the source classifier says: {-entropy:.2f} where it "
            "says nothing, 0 where it says all.",
        ),
        (
            "logme",
            "LogME",
            logme,
            features,
            (-np.inf, np.inf),
            "Log-evidence that the features of the source classifier explain the target's labels; for ranking sources "
            "of one target.",
        ),
        (
            "h_score",
            "H-score (shrunk)",
            h_score,
            features,
            (0.0, classes - 1.0),
            f"How far the classes of the target lie apart in the features, from 0 to {classes - 1}.",
        ),
    )
    found: list[Measure] = []
    for name, title, function, scores, bounds, meaning in kinds:
        try:
            value = function(scores, labels)
            drawn = _resamples(_of_half(function, scores, labels), seed)
            dealt = np.random.default_rng([seed, 3])
            chance = float(np.mean([function(scores, dealt.permutation(labels)) for _ in range(DEALINGS)]))
        except InputError as error:
            missing[name] = str(error)
            continue
        found.append(
            _measure(
                name,
                title,
                value,
                drawn,
                bounds=bounds,
                better="higher",
                reference=chance,
                reference_is=CHANCE,
                meaning=meaning,
            )
        )
    return found


def _of_half(
    function: Callable[..., float], scores: npt.NDArray[np.float32], labels: Labels
) -> Callable[[np.random.Generator], float]:
    """The measure of a random half of every class.

    Halves without replacement spread as samples of this size do (the delete-half jackknife, Shao and Wu, 1989,
    doi:10.1214/aos/1176347263), and hold no image twice: with copies among few images a regression explains every
    label, and LogME has no bound. On USPS with 6 and 20 images a class the halves' standard deviations were 0.7 to 1.1
    of those of fresh draws for all three measures; for LogME a bootstrap's were 14 and 46 times as large.
    """

    def value(rng: np.random.Generator) -> float:
        members = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
        rows = np.concatenate([of_class[: max(1, (len(of_class) + rng.integers(2)) // 2)] for of_class in members])
        return function(scores[rows], labels[rows])

    return value


def nearest_classes(
    features: Features, source: LabelledImages, own: Features, labelled: LabelledImages, seed: int
) -> tuple[dict[str, Any], Measure | str]:
    """The nearest source class of each target class, and how often it is the one of the same name.

    Args:
        features: float32 (N, F), of the source's images.
        source: their labels and class names.
        own: float32 (M, F), of the target's labelled images.
        labelled: their labels and class names.
        seed: of the resamples.

    Returns:
        For each target class the nearest source class, its distance, how much farther the second is (`margin`), and
        the share of resamples in which it stays the nearest (`stability`); and the measure, or the reason why there
        is none. At distance 1 a source class is as far as a typical image of the target's class itself.

    Raises:
        InputError: as for `class_spread`.
    """

    def table(source_rows: Labels, target_rows: Labels) -> npt.NDArray[np.float64]:
        distances = class_distances(
            features[source_rows],
            source.labels[source_rows],
            len(source.classes),
            own[target_rows],
            labelled.labels[target_rows],
            len(labelled.classes),
        )
        return np.where(np.isnan(distances), np.inf, distances)

    unit = class_spread(own, labelled.labels, len(labelled.classes))
    distances = table(np.arange(len(features)), np.arange(len(own))) / unit
    rng = np.random.default_rng([seed, 4])
    winners = np.stack(
        [
            table(_within_classes(source.labels, rng), _within_classes(labelled.labels, rng)).argmin(axis=1)
            for _ in range(RESAMPLES)
        ]
    )
    winner = distances.argmin(axis=1)
    first, second = np.sort(distances, axis=1)[:, :2].T
    rows = {
        name: {
            "source_class": source.classes[winner[index]],
            "distance": float(first[index]),
            "margin": float(second[index] - first[index]) if np.isfinite(second[index]) else None,
            "stability": float((winners[:, index] == winner[index]).mean()),
        }
        for index, name in enumerate(labelled.classes)
        if np.isfinite(first[index])
    }
    namesakes = {
        index: source.classes.index(name) for index, name in enumerate(labelled.classes) if name in source.classes
    }
    if not namesakes:
        return rows, "source and target share no class name"
    columns, right = list(namesakes), np.array(list(namesakes.values()))
    return rows, _measure(
        "nearest_class_agrees",
        "Nearest class has the same name",
        float((winner[columns] == right).mean()),
        (winners[:, columns] == right).mean(axis=1),
        bounds=(0.0, 1.0),
        better="higher",
        reference=1 / len(source.classes),
        reference_is="a source class picked at random",
        meaning=f"Share of the {len(namesakes)} target classes with a namesake in the source whose nearest source "
        "class it is.",
    )


def _measure(
    name: str,
    title: str,
    value: float,
    resamples: npt.NDArray[np.float64],
    *,
    better: str,
    reference: float | None,
    reference_is: str,
    meaning: str,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    p: float | None = None,
) -> Measure:
    """A row with its 95 % interval: the value and 1.96 standard deviations of its resamples.

    Not the resamples' own quantiles: measures that fit something rise in every resample, which holds fewer images.
    """
    half = 1.96 * float(np.nanstd(resamples, ddof=1))
    low, high = max(value - half, bounds[0]), min(value + half, bounds[1])
    return Measure(name, title, value, low, high, better, reference, reference_is, p, meaning)


def _resamples(value: Callable[[np.random.Generator], float], seed: int) -> npt.NDArray[np.float64]:
    """A value of so many resamples: float64 (RESAMPLES,)."""
    rng = np.random.default_rng([seed, 2])
    return np.array([value(rng) for _ in range(RESAMPLES)])


def _within_classes(labels: Labels, rng: np.random.Generator) -> Labels:
    """Rows drawn with replacement, as many of every class as it has: int64 (N,)."""
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate([rng.choice(members, len(members)) for members in rows])


def _enough(halves: Sequence[Features]) -> bool:
    """Whether two halves of the target can be compared."""
    return min(map(len, halves)) >= SMALLEST_HALF
