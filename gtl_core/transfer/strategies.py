"""The strategies of transfer, and the one way to run any of them."""

from __future__ import annotations

from pathlib import Path

from gtl_core.config import (
    ContrastConfig,
    CycleConfig,
    DaganConfig,
    Experiment,
    GanConfig,
    SganConfig,
    StrategyConfig,
    TransferConfig,
    TranslateConfig,
)
from gtl_core.data.image_set import ImageSet
from gtl_core.networks.registry import GanSpec
from gtl_core.progress import OnProgress
from gtl_core.training.class_texts import FEATURES
from gtl_core.training.runtime import suitable_threads
from gtl_core.transfer.dagan import check_pairs, transfer_by_dagan
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.nearest_classes import check_start
from gtl_core.transfer.sgan import check_sgan, transfer_by_sgan
from gtl_core.transfer.translation import check_classes, transfer_by_translation
from gtl_core.transfer.weights import check_weight_strategy, transfer_weights


def check_strategies(experiment: Experiment, source: ImageSet, target: ImageSet) -> None:
    """Looks whether every strategy fits the experiment's data and networks, before anything is trained.

    Args:
        experiment: the experiment.
        source: its source set.
        target: its target set.

    Raises:
        InputError: one does not.
    """
    gan, image = experiment.gan, experiment.image
    spec = GanSpec(
        gan.architecture,
        image.size,
        image.channels,
        gan.width,
        gan.latent,
        len(target.classes),
        text=FEATURES if gan.condition == "text" else 0,
    )
    for config in experiment.transfer.strategies:
        match config:
            case TranslateConfig() | CycleConfig() | ContrastConfig():
                check_classes(config.label, source.classes, source.labels[source.training_rows()], target.classes)
            case DaganConfig():
                check_pairs(config.label, "source", source.labels[source.training_rows()], source.classes)
            case SganConfig():
                check_sgan(config, gan, experiment.classifier)
            case _:
                check_weight_strategy(config, spec, experiment.transfer.steps)
                check_start(config.label, experiment.transfer.start_of(config), spec)


def transfer(
    strategy: StrategyConfig,
    inputs: TransferInputs,
    gan: GanConfig,
    config: TransferConfig,
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Makes a GAN of the target by one strategy.

    Args:
        strategy: which strategy, with its settings.
        inputs: what the strategy may look at.
        gan: the source GAN's settings: losses and optimisers.
        config: what holds for every strategy.
        folder: gets the files of `run_training`; an interrupted call goes on from it.
        on_progress: shows progress.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        InputError: the source checkpoint is missing or damaged, the images do not fit it, or the strategy's settings
            do not fit the networks.
        Diverged: the training went wrong, and again with smaller learning rates.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is written.
    """
    with suitable_threads(inputs.source_images.shape[2]):
        match strategy:
            case TranslateConfig() | CycleConfig() | ContrastConfig():
                return transfer_by_translation(strategy, inputs, config.augmentation, folder, on_progress)
            case DaganConfig():
                return transfer_by_dagan(strategy, inputs, config.augmentation, folder, on_progress)
            case SganConfig():
                return transfer_by_sgan(strategy, inputs, gan, folder, on_progress)
            case _:
                settings = gan.model_copy(update=config.helps(strategy))
                steps = strategy.steps or config.steps
                start = config.start_of(strategy)
                return transfer_weights(strategy, inputs, settings, steps, start, folder, on_progress)
