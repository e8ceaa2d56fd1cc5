"""What a strategy of transfer may look at: the source, the few labelled target images, and the unlabelled pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.config import ClassifierConfig
from gtl_core.training.class_texts import ClassTexts


@dataclass(frozen=True, eq=False)
class TransferInputs:
    """The images and the trained networks of one draw; validation and test images are never among them.

    Attributes:
        images: uint8 (N, C, S, S), the labelled target images, at the experiment's size; there may be none.
        labels: int64 (N,), indices of `classes`.
        classes: names of the target's classes.
        unlabelled: uint8 (U, C, S, S), the unlabelled target images; none where the experiment may not use them.
        source_images: uint8 (M, C, S, S), the source's training images, at the experiment's size.
        source_labels: int64 (M,), indices of `source_classes`.
        source_classes: names of the source's classes.
        source_gan: `gan.safetensors` of the source GAN, for a strategy that starts from it; for one that has a training
            of its own on the source, of that.
        source_classifier: `classifier.safetensors` of the source classifier, for a strategy that uses it.
        seed: seed of all random numbers.
        texts: descriptions of the target's classes, where GANs are told classes by them.
        classifier: how classifiers that a strategy trains on its way learn.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    unlabelled: npt.NDArray[np.uint8]
    source_images: npt.NDArray[np.uint8]
    source_labels: npt.NDArray[np.int64]
    source_classes: tuple[str, ...]
    source_gan: Path | None
    source_classifier: Path | None
    seed: int
    texts: ClassTexts | None = None
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
