"""The source GAN that every strategy starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.config import GanConfig
from gtl_core.networks.registry import GanSpec
from gtl_core.progress import OnProgress
from gtl_core.training.class_texts import FEATURES, ClassTexts
from gtl_core.training.gan import train_gan, untrained
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import suitable_threads


def pretrain_source(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: tuple[str, ...],
    config: GanConfig,
    seed: int,
    folder: Path,
    on_progress: OnProgress,
    texts: ClassTexts | None = None,
) -> Path:
    """Trains a GAN from scratch on all images of the source.

    Args:
        images: uint8 (N, C, S, S), square and of the experiment's size.
        labels: int64 (N,), indices of `classes`.
        classes: names of the source's classes.
        config: architecture, losses and steps.
        seed: seed of weights and all random numbers.
        folder: gets the files of `run_training`; an interrupted call goes on from it.
        on_progress: shows progress.
        texts: the classes' descriptions, where the GAN is told classes by them.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        InputError: images or labels do not fit the networks.
        Diverged: the training went wrong, and again with smaller learning rates.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is written.
    """
    spec = GanSpec(
        architecture=config.architecture,
        size=images.shape[2],
        channels=images.shape[1],
        width=config.width,
        latent=config.latent,
        classes=len(classes),
        text=FEATURES if texts else 0,
    )
    # First weights too: the orthogonal ones come from a factorisation that rounds by the number of threads.
    with suitable_threads(spec.size):
        return train_gan(
            untrained(spec, classes, seed, texts),
            images,
            labels,
            config,
            steps=config.steps,
            seed=seed,
            folder=folder,
            on_progress=on_progress,
            task="source_gan",
            plan=Plan(),
        )
