"""The strategies of transfer by name, and the one way to run any of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, assert_never

import numpy as np
import numpy.typing as npt
from torch import nn

from gtl_core.config import (
    Experiment,
    FinetuneConfig,
    FreezeDConfig,
    FreezeGThenPartialConfig,
    GanConfig,
    StrategyConfig,
)
from gtl_core.networks.registry import GanSpec, build_discriminator, build_generator
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.gan import train_gan
from gtl_core.training.phases import Phase
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.finetune import Finetune
from gtl_core.transfer.freeze_d import FreezeD
from gtl_core.transfer.freeze_g_then_partial import FreezeGThenPartial


class Strategy(Protocol):
    """What a way of transfer has to say: which modules of the carried-over GAN learn, and when."""

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """The phases of a training of `steps` steps, in order, the first at step 0."""
        ...


def strategy_for(config: StrategyConfig) -> Strategy:
    """The strategy that a part of the experiment file asks for."""
    match config:
        case FinetuneConfig():
            return Finetune(config)
        case FreezeDConfig():
            return FreezeD(config)
        case FreezeGThenPartialConfig():
            return FreezeGThenPartial(config)
        case _:
            assert_never(config)


def check_strategies(experiment: Experiment, classes: int) -> None:
    """Looks whether the settings of every strategy fit the experiment's networks, before anything is trained.

    Args:
        experiment: the experiment.
        classes: how many classes the target has.

    Raises:
        InputError: they do not.
    """
    gan, image = experiment.gan, experiment.image
    spec = GanSpec(gan.architecture, image.size, image.channels, gan.width, gan.latent, classes)
    generator, discriminator = build_generator(spec, experiment.seed), build_discriminator(spec, experiment.seed)
    for config in experiment.transfer.strategies:
        strategy_for(config).phases(generator, discriminator, experiment.transfer.steps)


def transfer(
    strategy: StrategyConfig,
    source: Path,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: tuple[str, ...],
    config: GanConfig,
    steps: int,
    seed: int,
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Makes a GAN of the target out of the source's by one strategy.

    Args:
        strategy: which strategy, with its settings.
        source: `gan.safetensors` of the source.
        images: uint8 (N, C, S, S), the labelled target images of one draw, of the source GAN's size and channels.
        labels: int64 (N,), indices of `classes`.
        classes: names of the target's classes; embeddings are carried over where the source knows the name.
        config: losses, optimisers and augmentation.
        steps: steps to make.
        seed: seed of all random numbers.
        folder: gets `gan.safetensors`, `curves.csv` and `samples.png`; an interrupted call goes on from it.
        on_progress: shows progress.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        InputError: the source checkpoint is missing or damaged, the images do not fit it, or the strategy's settings
            do not fit the networks.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is written.
    """
    start = carried_over(GanCheckpoint.load(source), classes, seed)
    return train_gan(
        start,
        images,
        labels,
        config,
        steps=steps,
        seed=seed,
        folder=folder,
        on_progress=on_progress,
        task=strategy.name,
        phases=strategy_for(strategy).phases,
    )
