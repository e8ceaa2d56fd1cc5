"""One cell of a study: one arm on one draw, trained with every seed, tuned on the validation part, and saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from gtl_core.config import ClassifierConfig
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.evaluation.arms import ArmRecipe
from gtl_core.evaluation.copies import augmented_copies
from gtl_core.evaluation.judging import Judge
from gtl_core.files import atomic_path, read_json, write_json
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress, Progress
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.batches import Pool
from gtl_core.training.cached_features import cached_features, train_head
from gtl_core.training.classifier import (
    UNTRAINED,
    Unlabelled,
    carry_over,
    load_classifier,
    new_classifier,
    predict,
    save_classifier,
    train_classifier,
)
from gtl_core.training.feature_adaptation import Reversing, adapt_encoder

_RECORD = "cell.json"
_VALIDATION = "validation.npy"
_PSEUDO_WEIGHT = 4.0
"""What pseudo-labelled target images count beside the labelled ones' 1: they are many more, and new."""


@dataclass(frozen=True)
class CellResult:
    """What validation said of a finished cell.

    Attributes:
        classifiers: weight files, one a seed.
        recipe: the trial that was picked.
        seeds: value by the study's `Judge` on the validation part, of each seed.
    """

    classifiers: tuple[Path, ...]
    recipe: ArmRecipe
    seeds: tuple[tuple[float, ...], ...]

    @property
    def validation(self) -> tuple[float, ...]:
        """Mean over seeds, item by item."""
        return _mean(self.seeds)


@dataclass(frozen=True)
class CellSeed:
    """One of the classifiers that a cell trains with every recipe.

    Attributes:
        seed: of weights, sampling and augmentation.
        synthetic: folder of the synthetic set made for this draw, where the recipes learn from one.
        adapted: weight file of the classifier that learned beside a strategy's generator, where they start from it.
    """

    seed: int
    synthetic: Path | None = None
    adapted: Path | None = None


@dataclass(frozen=True)
class Materials:
    """Where a cell's images come from: paths, so that a cell can be sent to another process.

    Attributes:
        target: folder of the target image set.
        size: height and width that the classifier sees.
        source_classifier: weight file of the source classifier.
        source_images: file of uint8 (N, C, size, size), the source's training images.
        source: folder of the source image set.
        copies_per_class: images of each class in a bag of augmented copies.
    """

    target: Path
    size: int
    source_classifier: Path
    source_images: Path
    source: Path
    copies_per_class: int


def source_images(source: Path, size: int, temporary: Path) -> Path:
    """File of the source's training images at the experiment's size, which every cell maps into memory."""
    found = ImageSet.load(source)
    rows = found.training_rows()
    if found.size == size and len(rows) == len(found):
        return source / "images.npy"
    np.save(temporary / "source.npy", fitted(found.images[rows], size), allow_pickle=False)
    return temporary / "source.npy"


def train_cell(
    *,
    folder: Path,
    trials: Sequence[ArmRecipe],
    draw: Draw,
    seeds: Sequence[CellSeed],
    materials: Materials,
    config: ClassifierConfig,
    judge: Judge,
    on_progress: OnProgress,
) -> CellResult:
    """Trains each trial with every seed and saves the one that the validation part prefers in the mean over seeds.

    A finished cell is only read. The test part of the draw is not looked at.

    Args:
        folder: gets a weight file `classifier-SEED.safetensors` for each seed's index, the validation predictions
            `validation.npy`, float32 (S, V, K), and a record.
        trials: recipes to try.
        draw: rows of the target set.
        seeds: what the classifiers of one recipe differ in.
        materials: where the images and the source classifier are.
        config: width, steps, batch and learning rate.
        judge: says which trial is the best.
        on_progress: told the steps of all trials together.
    """
    files = tuple(folder / f"classifier-{index}.safetensors" for index in range(len(seeds)))
    if (folder / _RECORD).is_file():
        record = read_json(folder / _RECORD)
        return CellResult(files, ArmRecipe(**record["recipe"]), tuple(tuple(value) for value in record["seeds"]))
    benches = [_Bench(draw, seed, materials, config, judge) for seed in seeds]
    best: tuple[tuple[float, ...], ArmRecipe, list[Classifier], list[tuple[float, ...]]] | None = None
    for trial, recipe in enumerate(trials):
        models = [
            bench.train(recipe, _part(on_progress, trial * len(benches) + index, len(trials) * len(benches)))
            for index, bench in enumerate(benches)
        ]
        values = [bench.judge(model) for bench, model in zip(benches, models, strict=True)]
        if best is None or _mean(values) > best[0]:
            best = (_mean(values), recipe, models, values)
    assert best is not None  # noqa: S101 - there is one trial at least
    value, picked, models, values = best
    said = []
    for bench, model, file in zip(benches, models, files, strict=True):
        finished = bench.finished(model)
        save_classifier(file, finished, bench.classes)
        said.append(bench.on_validation(finished))
    with atomic_path(folder / _VALIDATION) as temporary:
        np.save(temporary, np.stack(said), allow_pickle=False)
    chosen = {"chosen_by": judge.rule, "validation": list(value), "seeds": [list(of_seed) for of_seed in values]}
    write_json(folder / _RECORD, {"recipe": asdict(picked), "trials": len(trials), **chosen})
    return CellResult(files, picked, tuple(values))


def _mean(values: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Mean of values, item by item."""
    return tuple(float(mean) for mean in np.mean(values, axis=0))


class _Bench:
    """The images of one draw as one seed sees them, and training on them by recipe."""

    def __init__(self, draw: Draw, seed: CellSeed, materials: Materials, config: ClassifierConfig, judge: Judge):
        self._draw, self._seed, self._materials, self._config, self._judge = draw, seed, materials, config, judge
        self._synthetic = SyntheticSet.load(seed.synthetic) if seed.synthetic else None
        self._target = ImageSet.load(materials.target)
        self._validation = self._rows(draw.validation)
        self.classes = self._target.classes
        self._features: tuple[ArmRecipe, list[Pool]] | None = None
        self._source_model, self._source_classes = load_classifier(materials.source_classifier)
        # Source classes that the target lacks get rows of their own behind the target's, and images compete only
        # among the classes of their own set: label sets that agree share one head, foreign ones share the trunk.
        self.head = (*self.classes, *(name for name in self._source_classes if name not in self.classes))

    def train(self, recipe: ArmRecipe, on_progress: OnProgress) -> Classifier:
        """A classifier with the rows `head`, trained by a recipe."""
        model, steps = self._start(recipe), self._config.steps
        if not recipe.trained:
            return model
        if not recipe.synthetic_first:
            return self._trained(model, recipe, steps, on_progress)
        first, second = replace(recipe, real=False), replace(recipe, synthetic_weight=None)
        half = steps // 2
        model = self._trained(model, first, max(1, half), _part(on_progress, 0, 2), to_the_end=True)
        return self._trained(model, second, max(1, steps - half), _part(on_progress, 1, 2))

    def _start(self, recipe: ArmRecipe) -> Classifier:
        """What a recipe starts from."""
        seed = self._seed.seed
        if recipe.initial == "source":
            # Where only a head is learned, it is a new one.
            known = () if recipe.learns == "head" else self._source_classes
            return carry_over(self._source_model, known, self.head, seed)
        if recipe.initial == "strategy":
            if self._seed.adapted is None:
                raise ValueError("the recipe starts from a strategy's classifier, and none is given")
            return carry_over(*load_classifier(self._seed.adapted), self.head, seed)
        if self._config.checkpoint is not None:
            untrained, _ = load_classifier(self._materials.source_classifier.with_name(UNTRAINED))
            return carry_over(untrained, (), self.head, seed)
        return new_classifier(
            size=self._materials.size,
            channels=self._target.channels,
            width=self._config.width,
            classes=len(self.head),
            seed=seed,
            backbone=self._config.backbone,
        )

    def _trained(
        self, start: Classifier, recipe: ArmRecipe, steps: int, on_progress: OnProgress, *, to_the_end: bool = False
    ) -> Classifier:
        pools, rate = self._pools(recipe), self._config.learning_rate * recipe.learning_rate
        # Mutual information grows with certainty, and certainty with every step: it can compare ways of training, but
        # of one training it would only ever take the end.
        judge = self.judge if self._judge.labelled and not to_the_end else None
        if recipe.target_encoder:
            return adapt_encoder(
                start,
                pools,
                self._source_images(),
                self._rows(self._draw.unlabelled),
                self._config,
                steps=steps,
                learning_rate=rate,
                augmented=recipe.augment,
                seed=self._seed.seed,
                judge=judge,
                on_progress=on_progress,
            )
        if recipe.learns == "head":
            return train_head(
                start,
                self._cached(start, pools, recipe, steps),
                self._config,
                steps=steps,
                learning_rate=rate,
                seed=self._seed.seed,
                judge=judge,
                on_progress=on_progress,
            )
        return train_classifier(
            start,
            pools,
            self._config,
            steps=steps,
            learning_rate=rate,
            augmented=recipe.augment,
            seed=self._seed.seed,
            unlabelled=self._unlabelled(recipe),
            reversing=Reversing(self._rows(self._draw.unlabelled), recipe.reversal) if recipe.reversal else None,
            learns=recipe.learns,
            rate_decay=recipe.rate_decay,
            judge=judge,
            on_progress=on_progress,
        )

    def _cached(self, start: Classifier, pools: Sequence[Pool], recipe: ArmRecipe, steps: int) -> list[Pool]:
        """The features of a recipe's images, computed once for all learning rates that it is tried with."""
        about = replace(recipe, learning_rate=1.0)
        if self._features is None or self._features[0] != about:
            found = cached_features(
                start, pools, self._config, steps=steps, augmented=recipe.augment, seed=self._seed.seed
            )
            self._features = about, found
        return self._features[1]

    def finished(self, model: Classifier) -> Classifier:
        """A trained classifier with the target's classes alone."""
        return carry_over(model, self.head, self.classes, self._seed.seed)

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
        if recipe.copies_weight is not None:
            labelled = self._draw.labelled
            count, seed = self._materials.copies_per_class, self._seed.seed
            images, labels = augmented_copies(self._rows(labelled), self._target.labels[labelled], count, seed)
            pools.append(Pool(images, labels, recipe.copies_weight, own))
        if recipe.synthetic_weight is not None:
            if self._synthetic is None:
                raise ValueError("the recipe learns from synthetic images, and none are given")
            kept = self._synthetic.kept if recipe.filtered else slice(None)
            images = fitted(self._synthetic.images[kept], self._materials.size)
            rows = np.array([self.head.index(name) for name in self._synthetic.classes], dtype=np.int64)
            pools.append(Pool(images, rows[self._synthetic.labels[kept]], recipe.synthetic_weight, own))
        if recipe.source_weight is not None and not recipe.target_encoder:
            source, images = ImageSet.load(self._materials.source), self._source_images()
            rows = np.array([self.head.index(name) for name in source.classes], dtype=np.int64)
            labels = source.labels[source.training_rows()]
            columns = self._columns(source.classes)
            pools.append(Pool(images, rows[labels], recipe.source_weight, columns, from_source=True))
        return pools

    def _source_images(self) -> np.ndarray:
        """The source's training images: uint8 (N, C, S, S)."""
        images: np.ndarray = np.load(self._materials.source_images, mmap_mode="r", allow_pickle=False)
        return images

    def _unlabelled(self, recipe: ArmRecipe) -> Unlabelled | None:
        if recipe.pseudo_threshold is None:
            return None
        images, columns = self._rows(self._draw.unlabelled), self._columns(self.classes)
        pool = Unlabelled(images, recipe.pseudo_threshold, _PSEUDO_WEIGHT, columns, information=recipe.information)
        # Without labelled images nothing would come before the first labels that the start cannot give already.
        return pool if recipe.real else replace(pool, rounds=(0.0, *pool.rounds))


def _part(on_progress: OnProgress, part: int, parts: int) -> OnProgress:
    """Progress of one of equal parts as that of the whole."""

    def report(progress: Progress) -> None:
        total = progress.total * parts
        on_progress(Progress(progress.task, part * progress.total + progress.step, total, progress.values))

    return report
