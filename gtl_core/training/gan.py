"""Training of a generator and its discriminator, from scratch or from carried-over weights."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from gtl_core.config import GanConfig
from gtl_core.errors import InputError
from gtl_core.files import canonical_sha256
from gtl_core.networks.registry import (
    Architecture,
    GanSpec,
    build_companions,
    build_discriminator,
    build_generator,
    class_embedding_parameters,
)
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint, State
from gtl_core.training.class_texts import ClassTexts
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.health import spread_within_classes
from gtl_core.training.loop import run_training
from gtl_core.training.pair_trainer import PairTrainer
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import device
from gtl_core.training.vae_gan_trainer import VaeGanTrainer
from gtl_core.training.vae_trainer import VaeTrainer

_LOOKED_AT = 200
_TRAINERS: dict[Architecture, type[GanTrainer]] = {"vae": VaeTrainer, "vae_gan": VaeGanTrainer, "dagan": PairTrainer}
"""Trainers of architectures that are no plain GAN."""


def untrained(spec: GanSpec, classes: tuple[str, ...], seed: int, texts: ClassTexts | None = None) -> GanCheckpoint:
    """A checkpoint at step 0 with freshly made weights.

    Args:
        spec: shapes of both networks.
        classes: names of the classes.
        seed: of the weights.
        texts: the classes' descriptions, where the networks are told classes by them.
    """
    generator = told(build_generator(spec, seed), texts)
    return GanCheckpoint(
        spec=spec,
        classes=classes,
        step=0,
        recipe="",
        curves=(),
        generator=generator,
        discriminator=told(build_discriminator(spec, seed + 1), texts),
        ema=generator,
        generator_optimiser={},
        discriminator_optimiser={},
        loop={},
        companions={
            f"{name}.{key}": tensor
            for name, network in build_companions(spec, seed + 2).items()
            for key, tensor in told(network, texts).items()
        },
        texts=texts,
    )


def trainer_of(spec: GanSpec) -> type[GanTrainer]:
    """What trains networks of an architecture."""
    return _TRAINERS.get(spec.architecture, GanTrainer)


def told(network: nn.Module, texts: ClassTexts | None) -> State:
    """The state of a network that has been told its classes' descriptions, where there are any."""
    state: State = network.state_dict()
    if texts:
        state |= dict.fromkeys(class_embedding_parameters(network), texts.rows)
    return state


def train_gan(
    start: GanCheckpoint,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    config: GanConfig,
    *,
    steps: int,
    seed: int,
    folder: Path,
    on_progress: OnProgress,
    task: str,
    plan: Plan,
    settings: str = "",
) -> Path:
    """Trains a GAN on labelled images; see `run_training`.

    Args:
        start: weights to begin with, at step 0.
        images: uint8 (N, C, S, S), the real images.
        labels: int64 (N,), indices of `start.classes`.
        config: losses, optimisers, augmentation, and how often to write a checkpoint.
        steps: steps to make.
        seed: seed of all random numbers.
        folder: gets the files of `run_training`.
        on_progress: shows progress.
        task: the name shown for the training.
        plan: which modules learn at which step, and by what else than the adversarial losses.
        settings: what else the result depends on, such as the settings that made the plan.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        InputError: images or labels do not fit the networks.
        Diverged: the training went wrong, and again with smaller learning rates.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoint is written.
    """
    _check(start, images, labels)

    trainer = trainer_of(start.spec)

    def make_trainer(checkpoint: GanCheckpoint) -> GanTrainer:
        return trainer(checkpoint, images, labels, config, steps=steps, seed=seed, plan=plan, origin=start)

    return run_training(
        start,
        make_trainer,
        steps=steps,
        batch=config.batch,
        checkpoint_every=config.checkpoint_every,
        recipe=_recipe(start, images, labels, config, steps, seed, f"{task} {settings}"),
        seed=seed,
        folder=folder,
        on_progress=on_progress,
        task=task,
        real_spread=spread_within_classes(*_some(images, labels)),
    )


def _some(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A few images of every class, and their labels: enough to tell how far they spread."""
    rows = np.concatenate([np.flatnonzero(labels == label)[:_LOOKED_AT] for label in np.unique(labels)])
    return images[rows], labels[rows]


def _check(start: GanCheckpoint, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
    """Refuses images and labels that do not fit the networks."""
    spec = start.spec
    if not len(images):
        raise InputError("there are no images to train the GAN on; give at least one of each class")
    if images.shape[1:] != (spec.channels, spec.size, spec.size):
        given = "×".join(map(str, images.shape[1:]))
        raise InputError(
            f"the GAN draws {spec.channels}×{spec.size}×{spec.size} images and was given {given}; resize them"
        )
    if len(labels) != len(images) or labels.min() < 0 or labels.max() >= len(start.classes):
        raise InputError(f"labels must be one for each image, from 0 to {len(start.classes) - 1}")


def _recipe(
    start: GanCheckpoint,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    config: GanConfig,
    steps: int,
    seed: int,
    task: str,
) -> str:
    """Hash of everything that the result depends on, the code aside."""
    settings = config.model_dump(mode="json", exclude={"checkpoint_every", "steps"})
    about = {"spec": asdict(start.spec), "classes": start.classes, "gan": settings, "steps": steps, "seed": seed}
    arrays = arrays_sha256(images, labels), start.weights_sha256()
    return canonical_sha256({**about, "task": task, "device": device().type, "arrays": arrays})


def arrays_sha256(*arrays: npt.NDArray[np.generic]) -> str:
    """SHA-256 of the values of some arrays, in their order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
