"""Semi-supervised learning with a GAN in its classic form: the discriminator is the classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtl_core.config import ClassifierConfig, GanConfig, SganConfig
from gtl_core.errors import InputError
from gtl_core.networks.classifier import Classifier
from gtl_core.networks.registry import GanSpec
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.class_texts import FEATURES
from gtl_core.training.classifier import carry_over, load_classifier, new_classifier
from gtl_core.training.gan import arrays_sha256, untrained
from gtl_core.training.health import spread_within_classes
from gtl_core.training.runtime import device
from gtl_core.training.sampler import BalancedSampler
from gtl_core.training.sgan import SganImages, SganTrainer
from gtl_core.transfer.beside_classifier import train_beside_classifier
from gtl_core.transfer.inputs import TransferInputs


def check_sgan(strategy: SganConfig, gan: GanConfig, classifier: ClassifierConfig) -> None:
    """Refuses networks that the strategy cannot do with, before anything is trained.

    Raises:
        InputError: the generator is more than one, or the classifier has no untrained form.
    """
    if gan.architecture not in ("dcgan", "fully_connected"):
        raise InputError(
            f"transfer.strategies.{strategy.label}: its classifier is the only network beside the generator, and "
            f"gan.architecture {gan.architecture} has an encoder; take dcgan or fully_connected"
        )
    if strategy.start == "scratch" and classifier.checkpoint is not None:
        raise InputError(
            f"transfer.strategies.{strategy.label}: start scratch leaves a checkpoint's weights aside, and "
            "classifier.backbone names one; take start source, or the backbone cnn or resnet"
        )


def transfer_by_sgan(
    strategy: SganConfig, inputs: TransferInputs, gan: GanConfig, folder: Path, on_progress: OnProgress
) -> Path:
    """Makes a generator of the target beside a classifier with one class more, for generated images.

    The averaged classifier, which has that class no more, is put beside it; see `strategies.transfer`.

    Raises:
        InputError: there is no labelled or no unlabelled target image, or no source classifier.
    """
    if inputs.source_classifier is None:
        raise InputError(f"{strategy.label} has the source classifier's network, and none is given; train one first")
    if not len(inputs.images) or not len(inputs.unlabelled):
        raise InputError(
            f"{strategy.label} learns from labelled and from unlabelled target images, and needs both; see "
            "target.labelled_per_class and target.use_unlabelled"
        )
    classifier = _classifier(strategy, inputs, inputs.source_classifier)
    spec = GanSpec(
        architecture=gan.architecture,
        size=inputs.images.shape[2],
        channels=inputs.images.shape[1],
        width=gan.width,
        latent=gan.latent,
        classes=len(inputs.classes),
        text=FEATURES if inputs.texts else 0,
    )
    start, where = untrained(spec, inputs.classes, inputs.seed, inputs.texts), device()
    every = np.concatenate([inputs.images, inputs.unlabelled])
    images = SganImages(
        labelled=BalancedSampler(inputs.images, inputs.labels, where),
        unlabelled=BalancedSampler(every, np.zeros(len(every), np.int64), where),
    )

    def make_trainer(checkpoint: GanCheckpoint) -> SganTrainer:
        return SganTrainer(
            checkpoint,
            images,
            strategy,
            gan,
            classifier,
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
            "gan": gan.model_dump(mode="json", exclude={"checkpoint_every", "steps"}),
            "texts": inputs.texts and inputs.texts.texts,
            "images": arrays_sha256(inputs.images, inputs.labels, inputs.unlabelled),
        },
        checkpoint_every=gan.checkpoint_every,
        real_spread=spread_within_classes(inputs.images, inputs.labels),
        folder=folder,
        on_progress=on_progress,
    )


def _classifier(strategy: SganConfig, inputs: TransferInputs, source: Path) -> Classifier:
    """What the classifier starts as: the source's network, with or without what it has learned."""
    read, names = load_classifier(source)
    if strategy.start == "source":
        return carry_over(read, names, inputs.classes, inputs.seed)
    options = {**read.options, "classes": len(inputs.classes)}
    return new_classifier(**options, backbone=read.backbone, seed=inputs.seed)
