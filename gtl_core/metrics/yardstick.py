"""`Yardstick`: the real images of an experiment as features, which its synthetic images are measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.config import Experiment
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.errors import InputError
from gtl_core.metrics.distribution import METRICS, MOST, Halves, summary
from gtl_core.metrics.features import LabelledImages, train_extractor
from gtl_core.training.classifier import load_classifier

_CHUNK = 2048
_MOST_TRAIN = 10_000
_POINTS = 400

Images = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class Yardstick:
    """The real images of an experiment as features, and what synthetic ones are compared with.

    Attributes:
        experiment: the experiment.
        target: the target image set.
        draws: the draws.
        extractor: gives the features.
        most: the most images of a half of the reference, so that every comparison has as many.
    """

    def __init__(
        self, experiment: Experiment, source: Path, target: Path, draws: Sequence[Draw], source_classifier: Path
    ) -> None:
        self.experiment, self.draws, self.most = experiment, draws, MOST
        self.target = ImageSet.load(target)
        self._size = experiment.image.size
        origin = ImageSet.load(source)
        rng = np.random.default_rng([experiment.seed, 0])
        rows = origin.training_rows()
        some = np.sort(rng.permutation(rows)[: 2 * MOST])
        learned = LabelledImages(fitted(origin.images[some], self._size), origin.labels[some], origin.classes)
        validation = draws[0].validation
        held_out = LabelledImages(self.pixels(validation), self.target.labels[validation], self.target.classes)
        labelled = experiment.target.has_labels
        self.extractor = train_extractor(
            load_classifier(source_classifier)[0],
            learned,
            held_out if labelled else None,
            experiment.classifier,
            experiment.seed,
        )
        self.source_features = self.extractor.features(learned.images)
        parts = [part for draw in draws for part in (draw.labelled, draw.unlabelled, draw.validation)]
        self._rows = np.unique(np.concatenate(parts))
        chunks = np.array_split(self._rows, -(-len(self._rows) // _CHUNK))
        self._features = np.concatenate([self.extractor.features(self.pixels(chunk)) for chunk in chunks])
        if not np.isfinite(self._features).all():
            raise InputError(
                "the extractor's features of the real images are not finite; train the source classifier anew"
            )

    def pixels(self, rows: Rows) -> Images:
        """Target images uint8 (N, C, S, S) at the experiment's size."""
        return fitted(self.target.images[rows], self._size)

    def features(self, rows: Rows) -> Features:
        """Features (N, F) of target images that stand in a draw, but in no test part."""
        return self._features[np.searchsorted(self._rows, rows)]

    def labels(self, rows: Rows) -> Rows | None:
        """Labels int64 (N,) of target images, for tables alone; None where the experiment has none."""
        return self.target.labels[rows] if self.experiment.target.has_labels else None

    def reference(self, index: int) -> Rows:
        """The real images that the images of a draw are compared with: its validation and unlabelled parts."""
        draw = self.draws[index]
        rows = np.concatenate([draw.validation, draw.unlabelled])
        return np.sort(np.random.default_rng([draw.seed, 1]).permutation(rows)[: 2 * MOST])

    def train(self, index: int) -> Rows:
        """The target images that the generators of a draw learned from; of a large pool a random part."""
        draw = self.draws[index]
        pool = np.random.default_rng([draw.seed, 2]).permutation(draw.unlabelled)[:_MOST_TRAIN]
        return np.concatenate([draw.labelled, np.sort(pool)]) if self._pool_is_used else draw.labelled

    def held_out(self, index: int) -> Rows:
        """Target images of a draw that its generators never saw, test images aside."""
        draw = self.draws[index]
        return draw.validation if self._pool_is_used else self.reference(index)

    @property
    def _pool_is_used(self) -> bool:
        return self.experiment.target.use_unlabelled

    def halves(self, index: int) -> Halves:
        """The reference of a draw, for comparisons of equal counts."""
        return Halves.of(self.features(self.reference(index)), self.most, self.draws[index].seed)

    def describe(self) -> dict[str, Any]:
        """Which real images are the reference."""
        count = len(self.reference(0))
        each = min(count // 2, self.most)
        what = (
            f"{count} real images of the target's validation and unlabelled parts (first draw), none of its test part; "
            f"every comparison is between {each} real and {each} other images, mean of two halves"
        )
        return {"images": count, "compared": each, "what": what}

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics with their floor, real against real, and their ceiling, source against target."""
        halves = [self.halves(index) for index in range(len(self.draws))]
        floor = summary([half.floor() for half in halves])
        source = self.source_features
        enough = len(source) >= len(halves[0].first)
        ceiling = summary([half.against(source) for half in halves]) if enough else None
        return [
            {
                "name": metric.name,
                "title": metric.title,
                "better": metric.better,
                "floor": floor[metric.name]["mean"],
                "ceiling": ceiling[metric.name]["mean"] if ceiling else None,
            }
            for metric in METRICS
        ]

    def plane(self, synthetic: Mapping[str, Features]) -> dict[str, npt.NDArray[np.float32]]:
        """The first two principal components of source and target together, and some of all images on them.

        Args:
            synthetic: features (M, F) of each strategy's images.

        Returns:
            float32 (n, 2) of `source`, of `target` and of each `synthetic/STRATEGY`.
        """
        rng = np.random.default_rng([self.experiment.seed, 2])
        target = _some(self.features(self.reference(0)), rng)
        source = _some(self.source_features, rng)
        both = np.concatenate([target, source]).astype(np.float64)
        centre = both.mean(axis=0)
        axes = np.linalg.svd(both - centre, full_matrices=False)[2][:2].T
        clouds = {"source": source, "target": target}
        clouds |= {f"synthetic/{label}": _some(features, rng) for label, features in synthetic.items()}
        return {name: ((cloud - centre) @ axes).astype(np.float32) for name, cloud in clouds.items()}


def _some(features: Features, rng: np.random.Generator) -> Features:
    """At most a few hundred rows of (N, F), at random."""
    return features[rng.permutation(len(features))[:_POINTS]]
