"""One cell of a study: one arm on one draw, trained, tuned on the validation part, and saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from gtl_core.config import ClassifierConfig
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.evaluation.arms import ArmRecipe
from gtl_core.evaluation.judging import Judge
from gtl_core.files import atomic_path, read_json, write_json
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress, Progress
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.batches import Pool
from gtl_core.training.classifier import (
    Unlabelled,
    carry_over,
    load_classifier,
    new_classifier,
    predict,
    save_classifier,
    train_classifier,
)

WEIGHTS = "classifier.safetensors"
_RECORD = "cell.json"
_VALIDATION = "validation.npy"
_PSEUDO_WEIGHT = 4.0
"""What pseudo-labelled target images count beside the labelled ones' 1: they are many more, and new."""


@dataclass(frozen=True)
class CellResult:
    """What validation said of a finished cell.

    Attributes:
        folder: where the classifier lies.
        recipe: the trial that was picked.
        validation: its value by the study's `Judge` on the validation part.
    """

    folder: Path
    recipe: ArmRecipe
    validation: tuple[float, ...]


@dataclass(frozen=True)
class Materials:
    """Where a cell's images come from: paths, so that a cell can be sent to another process.

    Attributes:
        target: folder of the target image set.
        size: height and width that the classifier sees.
        source_classifier: weight file of the source classifier.
        source_images: file of uint8 (N, C, size, size), the source's training images.
        source: folder of the source image set.
    """

    target: Path
    size: int
    source_classifier: Path
    source_images: Path
    source: Path


def train_cell(
    *,
    folder: Path,
    trials: Sequence[ArmRecipe],
    draw: Draw,
    materials: Materials,
    synthetic: Path | None,
    adapted: Path | None,
    config: ClassifierConfig,
    judge: Judge,
    on_progress: OnProgress,
) -> CellResult:
    """Trains each trial and saves the one that the validation part prefers; a finished cell is only read.

    The test part of the draw is not looked at.

    Args:
        folder: where the classifier, its validation predictions and a record are put.
        trials: recipes to try.
        draw: rows of the target set.
        materials: where the images and the source classifier are.
        synthetic: folder of the synthetic set made for this draw, where the recipes learn from one.
        adapted: weight file of the classifier that learned beside a strategy's generator, where they start from it.
        config: width, steps, batch and learning rate.
        judge: says which trial is the best.
        on_progress: told the steps of all trials together.
    """
    if (folder / _RECORD).is_file():
        record = read_json(folder / _RECORD)
        return CellResult(folder, ArmRecipe(**record["recipe"]), tuple(record["validation"]))
    bench = _Bench(draw, materials, synthetic, adapted, config, judge)
    best: tuple[tuple[float, ...], int, Classifier] | None = None
    for trial, recipe in enumerate(trials):
        model = bench.train(recipe, _part(on_progress, trial, len(trials)))
        value = bench.judge(model)
        if best is None or value > best[0]:
            best = (value, trial, model)
    assert best is not None  # noqa: S101 - there is one trial at least
    value, trial, model = best
    model = carry_over(model, bench.head, bench.classes, draw.seed)
    save_classifier(folder / WEIGHTS, model, bench.classes)
    with atomic_path(folder / _VALIDATION) as temporary:
        np.save(temporary, bench.on_validation(model), allow_pickle=False)
    chosen = {"chosen_by": judge.rule, "validation": list(value)}
    write_json(folder / _RECORD, {"recipe": asdict(trials[trial]), "trials": len(trials), **chosen})
    return CellResult(folder, trials[trial], value)


class _Bench:
    """The images of one draw, and training on them by recipe."""

    def __init__(
        self,
        draw: Draw,
        materials: Materials,
        synthetic: Path | None,
        adapted: Path | None,
        config: ClassifierConfig,
        judge: Judge,
    ) -> None:
        self._draw, self._materials, self._config, self._judge = draw, materials, config, judge
        self._adapted = adapted
        self._synthetic = SyntheticSet.load(synthetic) if synthetic else None
        self._target = ImageSet.load(materials.target)
        self._validation = self._rows(draw.validation)
        self.classes = self._target.classes
        self._source_model, self._source_classes = load_classifier(materials.source_classifier)
        # Source classes that the target lacks get rows of their own behind the target's, and images compete only
        # among the classes of their own set: label sets that agree share one head, foreign ones share the trunk.
        self.head = (*self.classes, *(name for name in self._source_classes if name not in self.classes))

    def train(self, recipe: ArmRecipe, on_progress: OnProgress) -> Classifier:
        """A classifier with the rows `head`, trained by a recipe."""
        seed, size = self._draw.seed, self._materials.size
        if recipe.initial == "source":
            start = carry_over(self._source_model, self._source_classes, self.head, seed)
        elif recipe.initial == "strategy":
            if self._adapted is None:
                raise ValueError("the recipe starts from a strategy's classifier, and none is given")
            start = carry_over(*load_classifier(self._adapted), self.head, seed)
        else:
            options = {"channels": self._target.channels, "width": self._config.width, "classes": len(self.head)}
            start = new_classifier(size=size, seed=seed, **options)
        if not recipe.trained:
            return start
        return train_classifier(
            start,
            self._pools(recipe),
            self._config,
            steps=self._config.steps,
            learning_rate=self._config.learning_rate * recipe.learning_rate,
            augmented=recipe.augment,
            seed=seed,
            unlabelled=self._unlabelled(recipe),
            # Mutual information grows with certainty, and certainty with every step: it can compare ways of training,
            # but of one training it would only ever take the end.
            judge=self.judge if self._judge.labelled else None,
            on_progress=on_progress,
        )

    def judge(self, model: Classifier) -> tuple[float, ...]:
        """Value of a classifier on the validation part."""
        return self._judge.value(self._target, self._draw.validation, self.on_validation(model))

    def on_validation(self, model: Classifier) -> np.ndarray:
        """Probabilities of the target's classes: float32 (V, K)."""
        probabilities = predict(model, self._validation)[:, : len(self.classes)]
        total: np.ndarray = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
        return total

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        return fitted(self._target.images[indices], self._materials.size)

    def _columns(self, names: Sequence[str]) -> tuple[int, ...] | None:
        """Rows of the head for some classes, or None where these are all."""
        return None if set(names) == set(self.head) else tuple(self.head.index(name) for name in names)

    def _pools(self, recipe: ArmRecipe) -> list[Pool]:
        own = self._columns(self.classes)
        pools = []
        if recipe.real:
            labelled = self._draw.labelled
            pools.append(Pool(self._rows(labelled), self._target.labels[labelled], 1.0, own))
        if recipe.synthetic_weight is not None:
            if self._synthetic is None:
                raise ValueError("the recipe learns from synthetic images, and none are given")
            images = fitted(self._synthetic.images, self._materials.size)
            rows = np.array([self.head.index(name) for name in self._synthetic.classes], dtype=np.int64)
            pools.append(Pool(images, rows[self._synthetic.labels], recipe.synthetic_weight, own))
        if recipe.source_weight is not None:
            source = ImageSet.load(self._materials.source)
            images = np.load(self._materials.source_images, mmap_mode="r", allow_pickle=False)
            rows = np.array([self.head.index(name) for name in source.classes], dtype=np.int64)
            labels = source.labels[source.training_rows()]
            pools.append(Pool(images, rows[labels], recipe.source_weight, self._columns(source.classes)))
        return pools

    def _unlabelled(self, recipe: ArmRecipe) -> Unlabelled | None:
        if recipe.pseudo_threshold is None:
            return None
        images, columns = self._rows(self._draw.unlabelled), self._columns(self.classes)
        pool = Unlabelled(images, recipe.pseudo_threshold, _PSEUDO_WEIGHT, columns, information=recipe.information)
        # Without labelled images nothing would come before the first labels that the start cannot give already.
        return pool if recipe.real else replace(pool, rounds=(0.0, *pool.rounds))


def _part(on_progress: OnProgress, trial: int, trials: int) -> OnProgress:
    """Progress of one trial as that of the cell."""

    def report(progress: Progress) -> None:
        total = progress.total * trials
        on_progress(Progress(progress.task, trial * progress.total + progress.step, total, progress.values))

    return report
