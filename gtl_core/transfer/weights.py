"""Strategies that carry the source GAN's weights over: which of them learn on the target, when, and by what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import assert_never

from gtl_core.config import (
    ClassMixingConfig,
    ClassStart,
    CorrespondenceConfig,
    EwcConfig,
    FinetuneConfig,
    FreezeDConfig,
    FreezeGThenPartialConfig,
    GanConfig,
    L2SpConfig,
    MineConfig,
    ScaleShiftConfig,
    SemiSupervisedConfig,
    SingularValuesConfig,
    WeightStrategyConfig,
)
from gtl_core.errors import InputError
from gtl_core.networks.registry import GanSpec, build_discriminator, build_generator, judges
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.gan import arrays_sha256, train_gan
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.class_mixing import ClassMixing
from gtl_core.transfer.correspondence import Correspondence
from gtl_core.transfer.ewc import Ewc
from gtl_core.transfer.finetune import Finetune
from gtl_core.transfer.freeze_d import FreezeD
from gtl_core.transfer.freeze_g_then_partial import FreezeGThenPartial
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.l2_sp import L2Sp
from gtl_core.transfer.mine import Mine
from gtl_core.transfer.nearest_classes import check_start, nearest_source_classes
from gtl_core.transfer.scale_shift import ScaleShift
from gtl_core.transfer.semi_supervised import SemiSupervised
from gtl_core.transfer.singular_values import SingularValueTuning
from gtl_core.transfer.weight_strategy import WeightStrategy


def strategy_for(config: WeightStrategyConfig) -> WeightStrategy:
    """The strategy that a part of the experiment file asks for."""
    match config:
        case FinetuneConfig():
            return Finetune(config)
        case FreezeDConfig():
            return FreezeD(config)
        case FreezeGThenPartialConfig():
            return FreezeGThenPartial(config)
        case ScaleShiftConfig():
            return ScaleShift(config)
        case SingularValuesConfig():
            return SingularValueTuning(config)
        case EwcConfig():
            return Ewc(config)
        case L2SpConfig():
            return L2Sp(config)
        case MineConfig():
            return Mine(config)
        case CorrespondenceConfig():
            return Correspondence(config)
        case ClassMixingConfig():
            return ClassMixing(config)
        case SemiSupervisedConfig():
            return SemiSupervised(config)
        case _:
            assert_never(config)


def check_weight_strategy(config: WeightStrategyConfig, spec: GanSpec, steps: int) -> None:
    """Looks whether a strategy's settings fit the networks, before anything is trained.

    Args:
        config: the strategy.
        spec: the source GAN's networks, with the target's classes.
        steps: `transfer.steps`.

    Raises:
        InputError: they do not.
    """
    strategy = strategy_for(config)
    if strategy.needs_discriminator and not judges(spec):
        raise InputError(
            f"transfer.strategies.{config.label}: {config.name} is about a discriminator, and a vae has none; "
            "take another strategy, such as finetune, scale_shift or l2_sp, or gan.architecture vae_gan"
        )
    spec = replace(spec, mapping=strategy.mapping)
    strategy.phases(build_generator(spec, 0), build_discriminator(spec, 0), config.steps or steps)


def transfer_weights(
    config: WeightStrategyConfig,
    inputs: TransferInputs,
    gan: GanConfig,
    steps: int,
    start: ClassStart,
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Makes a GAN of the target out of the source's by one strategy; see `strategies.transfer`."""
    if inputs.source_gan is None:
        raise InputError(f"{config.label} starts from a source GAN, and none is given; train one first")
    source, strategy = GanCheckpoint.load(inputs.source_gan), strategy_for(config)
    _check_images(source.spec, inputs)
    check_weight_strategy(config, replace(source.spec, classes=len(inputs.classes)), steps)
    check_start(config.label, start, source.spec)
    lesson = strategy.lesson(inputs, gan, on_progress)
    return train_gan(
        carried_over(
            source,
            inputs.classes,
            inputs.seed,
            mapping=strategy.mapping,
            texts=inputs.texts,
            nearest=nearest_source_classes(source, inputs) if start == "nearest" else None,
        ),
        lesson.images,
        lesson.labels,
        gan,
        steps=steps,
        seed=inputs.seed,
        folder=folder,
        on_progress=on_progress,
        task=config.label,
        plan=lesson.plan,
        settings=f"{config.model_dump_json()} {arrays_sha256(inputs.unlabelled)}",
    )


def _check_images(spec: GanSpec, inputs: TransferInputs) -> None:
    """Refuses target images that the source GAN cannot draw."""
    shape = (spec.channels, spec.size, spec.size)
    if inputs.images.shape[1:] != shape:
        drawn, given = ("×".join(map(str, sides)) for sides in (shape, inputs.images.shape[1:]))
        raise InputError(
            f"{inputs.source_gan}: this source GAN draws {drawn} images and the target's are {given}; "
            "train the source GAN at the target's image.size and image.channels"
        )
