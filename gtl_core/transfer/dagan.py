"""Learned augmentation: what makes two images one class is learned on the source, and used on classes never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.config import Augmentation, DaganConfig, GanConfig
from gtl_core.errors import InputError
from gtl_core.networks.registry import GanSpec
from gtl_core.progress import OnProgress, silent
from gtl_core.training.checkpoint import GanCheckpoint, State
from gtl_core.training.gan import train_gan, untrained
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import suitable_threads
from gtl_core.transfer.banks import with_bank
from gtl_core.transfer.inputs import TransferInputs

_SHOWN = 50
"""Source images of each class in the bank of the generator that has learned on the source alone."""
_BANK = ("bank", "counts")


def check_pairs(strategy: str, what: str, labels: npt.NDArray[np.int64], classes: Sequence[str]) -> None:
    """Refuses images that do not all have another one of their class beside them.

    Args:
        strategy: its label.
        what: `source` or `target`.
        labels: int64 (N,), indices of `classes`.
        classes: names of the classes.

    Raises:
        InputError: a class has a single image, or none.
    """
    counts = np.bincount(labels, minlength=len(classes))
    few = [name for name, count in zip(classes, counts, strict=True) if count < 2]
    if few:
        raise InputError(
            f"transfer.strategies.{strategy} learns from two images of a class, and the {what} has fewer of "
            f"{', '.join(few)}; add images, or leave the strategy out"
        )


def pretrain_dagan(
    strategy: DaganConfig,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: tuple[str, ...],
    seed: int,
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Learns on the source to make of an image another one of its class (Antoniou et al. 2017, arXiv 1711.04340).

    The paper learns on hundreds of classes. So that a few do, each stands in all its orientations, as a class each.
    Nothing of the target is looked at, so this is done once for all draws.

    Args:
        strategy: its settings.
        images: uint8 (N, C, S, S), the source's training images, at the experiment's size.
        labels: int64 (N,), indices of `classes`.
        classes: names of the source's classes.
        seed: seed of weights and all random numbers.
        folder: gets the files of `run_training`; an interrupted call goes on from it.
        on_progress: shows progress.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        InputError: a class has fewer than two images.
        Diverged: the training went wrong, and again with smaller learning rates.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is written.
    """
    check_pairs(strategy.label, "source", labels, classes)
    images, labels, classes = oriented(images, labels, classes)
    spec = _spec(strategy, images, classes, _SHOWN)
    # First weights too, as in `pretrain_source`.
    with suitable_threads(spec.size):
        return train_gan(
            with_bank(untrained(spec, classes, seed), images, labels, seed),
            images,
            labels,
            _settings(strategy, ()),
            steps=strategy.steps,
            seed=seed,
            folder=folder,
            on_progress=on_progress,
            task=f"{strategy.label} on the source",
            plan=Plan(),
        )


def oriented(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], classes: tuple[str, ...]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], tuple[str, ...]]:
    """Images in eight orientations, each of which makes new classes of theirs (as Santoro et al. 2016 turn characters).

    Args:
        images: uint8 (N, C, S, S).
        labels: int64 (N,).
        classes: K names.

    Returns:
        Images uint8 (8N, C, S, S), labels int64 (8N,) below 8K, and 8K names; the first of each are the given ones.
    """
    flipped = [images, images[..., ::-1]]
    turned = [np.rot90(part, quarter, axes=(2, 3)) for part in flipped for quarter in range(4)]
    names = [
        name if not place else f"{name}, {'flipped, ' if place >= 4 else ''}turned by {90 * (place % 4)}°"
        for place in range(8)
        for name in classes
    ]
    rows = np.concatenate([labels + place * len(classes) for place in range(8)])
    return np.concatenate(turned), rows, tuple(names)


def transfer_by_dagan(
    strategy: DaganConfig,
    inputs: TransferInputs,
    augmentation: Sequence[Augmentation],
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Makes a generator that draws by making other images of the labelled target images; see `strategies.transfer`.

    Its bank holds exactly these. Where the settings ask for it, it learns on from pairs of them.

    Raises:
        InputError: nothing has learned on the source, or there are fewer than two images of a class to learn on from.
    """
    if inputs.source_gan is None:
        raise InputError(
            f"{strategy.label} learns on the source first, and nothing that has is given; run pretrain_dagan"
        )
    if strategy.target_steps:
        check_pairs(strategy.label, "target", inputs.labels, inputs.classes)
    learned, most = GanCheckpoint.load(inputs.source_gan), int(np.bincount(inputs.labels).max())
    fresh = untrained(_spec(strategy, inputs.images, inputs.classes, most), inputs.classes, inputs.seed)
    start = replace(
        fresh,
        generator=_carried(fresh.generator, learned.ema),
        discriminator=_carried(fresh.discriminator, learned.discriminator),
    )
    return train_gan(
        with_bank(start, inputs.images, inputs.labels, inputs.seed),
        inputs.images,
        inputs.labels,
        _settings(strategy, augmentation),
        steps=strategy.target_steps,
        seed=inputs.seed,
        folder=folder,
        # Of no steps there is no progress to tell.
        on_progress=on_progress if strategy.target_steps else silent,
        task=strategy.label,
        plan=Plan(),
    )


def _carried(fresh: State, learned: State) -> State:
    """All that was learned; the bank stays empty, so that no source image comes along."""
    return fresh | {name: tensor for name, tensor in learned.items() if name not in _BANK}


def _spec(strategy: DaganConfig, images: npt.NDArray[np.uint8], classes: Sequence[str], bank: int) -> GanSpec:
    return GanSpec(
        architecture="dagan",
        size=images.shape[2],
        channels=images.shape[1],
        width=strategy.width,
        latent=strategy.latent,
        classes=len(classes),
        bank=bank,
    )


def _settings(strategy: DaganConfig, augmentation: Sequence[Augmentation]) -> GanConfig:
    """Losses and optimisers: the strategy's own, and for the rest what a GAN has by default."""
    return GanConfig(
        batch=strategy.batch,
        learning_rate_generator=strategy.learning_rate_generator,
        learning_rate_discriminator=strategy.learning_rate_discriminator,
        diversity=strategy.diversity,
        augmentation=tuple(augmentation),
    )
