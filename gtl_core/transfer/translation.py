"""The way that every strategy of translation runs, and what it asks of the data beforehand."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

import numpy as np
import numpy.typing as npt

from gtl_core.config import Augmentation, ContrastConfig, CycleConfig, TranslateConfig, TranslationConfig
from gtl_core.errors import InputError
from gtl_core.networks.classifier import Classifier
from gtl_core.networks.registry import GanSpec
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import carry_over, load_classifier
from gtl_core.training.gan import arrays_sha256, untrained
from gtl_core.training.health import spread_within_classes
from gtl_core.training.runtime import device, placed
from gtl_core.training.sampler import BalancedSampler
from gtl_core.training.translation import Consistency, TranslationImages, TranslationTrainer
from gtl_core.transfer.banks import with_bank
from gtl_core.transfer.beside_classifier import train_beside_classifier
from gtl_core.transfer.contrast import Contrast
from gtl_core.transfer.cycle import Cycle
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.translate import LabelAlone

CHECKPOINT_EVERY = 250
"""Steps between two checkpoints."""


def check_classes(strategy: str, source: Sequence[str], labels: npt.NDArray[np.int64], target: Sequence[str]) -> None:
    """Refuses a target whose classes the source does not have: a translation keeps the class.

    Args:
        strategy: its label.
        source: names of the source's classes.
        labels: int64 (M,), indices of these, of the images that there are to translate.
        target: names of the target's classes.

    Raises:
        InputError: the target has other classes, or one of which there is no image to translate.
    """
    unknown = [name for name in target if name not in source]
    without = {name for label, name in enumerate(source) if label not in labels}
    empty = [name for name in target if name in without]
    if empty:
        raise InputError(
            f"transfer.strategies.{strategy}: there is no source image of class {', '.join(empty)} to translate; add "
            "some to its training part, or use a strategy such as finetune"
        )
    if unknown:
        raise InputError(
            f"transfer.strategies.{strategy}: the source has no class {', '.join(unknown)}, and a translated image "
            "keeps its class; rename the classes so that they agree, or use a strategy such as finetune"
        )


def transfer_by_translation(
    strategy: TranslationConfig,
    inputs: TransferInputs,
    augmentation: Sequence[Augmentation],
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Makes a generator that translates source images into the target's look; see `strategies.transfer`.

    The averaged classifier that learned with it is put beside it.

    Raises:
        InputError: the target has classes that the source has no image of, or no image at all.
    """
    if inputs.source_classifier is None:
        raise InputError(f"{strategy.label} starts from a source classifier, and none is given; train one first")
    check_classes(strategy.label, inputs.source_classes, inputs.source_labels, inputs.classes)
    if not len(inputs.images) + len(inputs.unlabelled):
        raise InputError(f"{strategy.label}: there is no target image to learn the look from; add some")
    source_images, source_labels = _shared_classes(inputs)
    spec = GanSpec(
        architecture="translator",
        size=source_images.shape[2],
        channels=source_images.shape[1],
        width=strategy.width,
        latent=strategy.latent,
        classes=len(inputs.classes),
        bank=strategy.bank_per_class,
    )
    start = with_bank(untrained(spec, inputs.classes, inputs.seed), source_images, source_labels, inputs.seed)
    read, names = load_classifier(inputs.source_classifier)
    classifier = carry_over(read, names, inputs.classes, inputs.seed)
    consistency = _consistency(strategy, spec, classifier, inputs.seed)
    where = device()
    real = np.concatenate([inputs.images, inputs.unlabelled])
    images = TranslationImages(
        source=BalancedSampler(source_images, source_labels, where),
        real=BalancedSampler(real, np.zeros(len(real), np.int64), where),
        labelled=BalancedSampler(inputs.images, inputs.labels, where) if len(inputs.images) else None,
        has_pool=len(inputs.unlabelled) > 0,
    )

    def make_trainer(checkpoint: GanCheckpoint) -> TranslationTrainer:
        return TranslationTrainer(
            checkpoint,
            images,
            strategy,
            classifier,
            consistency,
            augmentation,
            photometric=inputs.classifier.photometric,
            steps=strategy.steps,
            seed=inputs.seed,
        )

    return train_beside_classifier(
        strategy,
        inputs,
        start,
        classifier,
        make_trainer,
        settings={
            "augmentation": list(augmentation),
            "images": arrays_sha256(source_images, source_labels, inputs.images, inputs.labels, inputs.unlabelled),
        },
        checkpoint_every=CHECKPOINT_EVERY,
        # A translation is to be as varied as what it is made of.
        real_spread=spread_within_classes(source_images, source_labels),
        folder=folder,
        on_progress=on_progress,
    )


def _consistency(strategy: TranslationConfig, spec: GanSpec, classifier: Classifier, seed: int) -> Consistency:
    """What the strategy keeps of an image beside its label."""
    match strategy:
        case TranslateConfig():
            return LabelAlone()
        case CycleConfig():
            # A copy, because this one does not learn.
            fixed = placed(copy.deepcopy(classifier), device()).eval().requires_grad_(False)
            return Cycle(strategy, spec, fixed, seed)
        case ContrastConfig():
            return Contrast(strategy, spec, seed)
        case _:
            assert_never(strategy)


def _shared_classes(inputs: TransferInputs) -> tuple[np.ndarray, np.ndarray]:
    """Source images of the target's classes, with their labels among those."""
    rows = {
        index: inputs.classes.index(name) for index, name in enumerate(inputs.source_classes) if name in inputs.classes
    }
    kept = np.isin(inputs.source_labels, list(rows))
    labels = np.array([rows[int(label)] for label in inputs.source_labels[kept]], dtype=np.int64)
    return inputs.source_images[kept], labels
