"""Drift: whether new images still look like the ones that a model was made for.

Every image is described by four properties that need no network, by the probabilities that a classifier gives its
classes, and by the features behind them. Properties and probabilities are compared one by one (Kolmogorov–Smirnov),
the features all at once (maximum mean discrepancy). The classifier's own outputs serve instead of principal components
because they were the most sensitive of all reductions in the comparison of Rabanser, Günnemann and Lipton (2019,
arXiv:1810.11953, "BBSDs"), are not fitted to the reference, which would make the reference look different from any
other images, and have names that people know: more of the new images are taken for a 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.image_set import fitted
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.metrics.drift_properties import TITLES, Values, image_properties
from gtl_core.metrics.drift_tests import DriftTest, judged, kernel_test, kolmogorov_smirnov
from gtl_core.metrics.kernel import Rows

if TYPE_CHECKING:
    from gtl_core.networks.classifier import Classifier

FEWEST = 50
"""Images that a side needs: of fewer, too much is chance."""
MOST = 2000
"""Images of a side that are looked at; of more, random ones."""
ENOUGH = 200
"""Images that a model has not learned from which are enough to compare with."""
PICTURE = 64
"""Pixels that the images are kept at for showing them, at most."""
ALL_LEARNED = (
    f"fewer than {ENOUGH} images were kept from the model's training, so it is compared on images that it knows; "
    "windows of fewer than 100 images then raise more false alarms"
)
NO_CLASSIFIER = "there is no classifier of this target yet, so brightness, contrast, sharpness and entropy stand alone"

_BLOCK = 128
_NAMED = 3
"""Differences that the sentence names."""


@dataclass(frozen=True, eq=False)
class Lens:
    """A classifier to look at images with.

    Attributes:
        classifier: the classifier.
        classes: names of its classes.
        what: which one it is, in words.
        sha256: hash of its weight file.
    """

    classifier: Classifier
    classes: tuple[str, ...]
    what: str
    sha256: str

    @classmethod
    def load(cls, path: Path, what: str) -> Lens:
        """The classifier of a weight file.

        Raises:
            InputError: the file is missing, damaged, or of something else.
        """
        from gtl_core.training.classifier import load_classifier

        return cls(*load_classifier(path), what, file_sha256(path))


@dataclass(frozen=True, eq=False)
class Sample:
    """Images as the tests see them, one row an image in all parts.

    Attributes:
        properties: float64 (N,) for each property.
        classes: names of the lens' classes; empty without a lens.
        probabilities: float32 (N, K), what the lens gives its classes.
        features: float32 (N, F), the lens' features; (N, 0) without a lens.
        pictures: uint8 (N, C, s, s), the images small enough to show.
    """

    properties: Mapping[str, Values]
    classes: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    pictures: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pictures)

    def columns(self) -> Rows:
        """Properties and features side by side: float64 (N, 4 + F)."""
        return np.column_stack([*self.properties.values(), self.features])


def blocks(images: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.uint8]]:
    """Rows of images uint8 (N, C, S, S), which may be mapped from a file, a few at a time."""
    for start in range(0, len(rows), _BLOCK):
        yield np.asarray(images[rows[start : start + _BLOCK]])


def every(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """All rows of images uint8 (N, C, S, S): int64 (N,)."""
    return np.arange(len(images), dtype=np.int64)


def unlearned(rows: npt.NDArray[np.int64], learned: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The rows that a model has not learned from, where they are `ENOUGH`; else all of them.

    A model is surer of what it has learned from than of any other image, and new images would look different for that
    alone. With half of the reference learned (500 handwritten digits, 600 steps), 11 % of the windows of 50 images and
    3 % of those of 100 were said to have drifted where nothing had changed.

    Args:
        rows: ascending.
        learned: rows that the model may have learned from.
    """
    others = np.setdiff1d(rows, learned)
    return others if len(others) >= ENOUGH else rows


def chosen(rows: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """At most `MOST` of the rows, in random order."""
    return np.random.default_rng(seed).permutation(rows)[:MOST]


def observe(parts: Iterable[npt.NDArray[np.uint8]], lens: Lens | None) -> Sample:
    """Looks at images.

    Args:
        parts: uint8 (n, C, S, S), one or more, all of one shape but for n; only one at a time is in memory.
        lens: what looks at them; None for their properties alone.

    Raises:
        InputError: the images have other channels than the lens knows.
    """
    from gtl_core.metrics.features import Extractor
    from gtl_core.training.classifier import predict

    extractor = Extractor(lens.classifier, lens.what) if lens else None
    found: dict[str, list[Values]] = {name: [] for name in TITLES}
    probabilities, features, pictures = [], [], []
    for part in parts:
        for name, values in image_properties(part).items():
            found[name].append(values)
        pictures.append(fitted(part, min(PICTURE, part.shape[2])))
        if lens and extractor:
            sized = fitted(part, lens.classifier.options["size"])
            features.append(extractor.features(sized))
            probabilities.append(predict(lens.classifier, sized))
    empty = np.empty((sum(map(len, pictures)), 0), np.float32)
    return Sample(
        {name: np.concatenate(values) for name, values in found.items()},
        lens.classes if lens else (),
        np.concatenate(probabilities) if probabilities else empty,
        np.concatenate(features) if features else empty,
        np.concatenate(pictures),
    )


def detect(reference: Sample, now: Sample, *, alpha: float, threshold: float, seed: int) -> list[DriftTest]:
    """Compares new images with the reference: a test for each property, for each class, and for all features.

    Args:
        reference: images of the time when all was well, in random order.
        now: the new ones, in random order.
        alpha: the chance of a false alarm, over all tests together.
        threshold: how big a significant difference must be to count.
        seed: of the permutations.

    Returns:
        The tests, properties first, then classes, then the features.

    Raises:
        InputError: there are fewer than `FEWEST` images on a side.
    """
    for sample, what in ((reference, "images to compare with"), (now, "new images")):
        if len(sample) < FEWEST:
            raise InputError(f"{len(sample)} {what} are too few to tell drift from chance; {FEWEST} are needed")
    comparisons = len(TITLES) + len(reference.classes) + (1 if reference.classes else 0)
    pairs = [(name, title, reference.properties[name], now.properties[name]) for name, title in TITLES.items()] + [
        (f"class/{label}", f"probability of {label}", reference.probabilities[:, column], now.probabilities[:, column])
        for column, label in enumerate(reference.classes)
    ]
    tests = [
        judged(
            name,
            title,
            kolmogorov_smirnov(before, after),
            comparisons=comparisons,
            alpha=alpha,
            threshold=threshold,
            medians=(before, after),
        )
        for name, title, before, after in pairs
    ]
    if reference.classes:
        found = kernel_test(reference.features, now.features, comparisons=comparisons, alpha=alpha, seed=seed)
        tests.append(
            judged(
                "features",
                "all features at once",
                found,
                comparisons=comparisons,
                alpha=alpha,
                threshold=threshold,
            )
        )
    return tests


def sentence(tests: Sequence[DriftTest]) -> str:
    """What the tests say, in a sentence for people: the biggest differences first."""
    by_effect = sorted(tests, key=lambda test: -test.effect)
    drifted = [test for test in by_effect if test.drifted]
    if drifted:
        told = "; ".join(_told(test) for test in drifted[:_NAMED])
        more = f"; and {len(drifted) - _NAMED} more of {len(tests)} tests" if len(drifted) > _NAMED else ""
        return f"Drifted: {told}{more}."
    largest, threshold = by_effect[0], by_effect[0].threshold
    chance = ", which so few images show by chance" if largest.effect >= threshold else ""
    return (
        f"No drift: none of {len(tests)} differences is both significant and {threshold:g} or more; the largest is "
        f"{largest.effect:.2f} ({largest.title}){chance}."
    )


def _told(test: DriftTest) -> str:
    """One difference in words."""
    if test.reference is None or test.now is None:
        return f"{test.title} differ by {test.effect:.2f}"
    if f"{test.reference:.3g}" == f"{test.now:.3g}":
        return f"{test.title} is spread otherwise (distance {test.effect:.2f})"
    way = "fell" if test.now < test.reference else "rose"
    return f"{test.title} {way} from {test.reference:.3g} to {test.now:.3g} (distance {test.effect:.2f})"


def record(tests: Sequence[DriftTest]) -> list[dict[str, Any]]:
    """The tests as JSON objects."""
    return [vars(test) for test in tests]
