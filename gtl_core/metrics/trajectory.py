"""What a generator was on its way: its images at the training's milestones, their worth, and a walk between classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gtl_core.config import ClassifierConfig
from gtl_core.networks.bank import BankGenerator
from gtl_core.networks.registry import build_generator, class_embedding_parameters
from gtl_core.training.batches import Pool
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import new_classifier, predict, train_classifier
from gtl_core.training.loop import MILESTONES
from gtl_core.training.runtime import device, placed, to_uint8

WIDTH, STEPS = 16, 60
"""The short classifier that tells what images are worth."""
COLUMNS = 9
"""Images of a walk from one class to another."""
_BATCH = 256


def milestones(gan: Path) -> list[GanCheckpoint]:
    """The averaged generator at the start, at the milestones that its training kept, and at the end.

    Args:
        gan: `gan.safetensors` of the training.

    Raises:
        InputError: a checkpoint is missing or damaged.
    """
    last = GanCheckpoint.load(gan)
    kept = [GanCheckpoint.load(path) for path in sorted((gan.parent / MILESTONES).glob("*.safetensors"))]
    earlier = [milestone for milestone in kept if milestone.step < last.step]  # none where there were no steps
    return [*(replace(milestone, ema=last.ema | milestone.ema) for milestone in earlier), last]


def sample(checkpoint: GanCheckpoint, per_class: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images uint8 (N, C, S, S) of every class by the averaged generator, and their labels int64 (N,)."""
    labels = torch.arange(len(checkpoint.classes)).repeat_interleave(per_class)
    latents = torch.randn((len(labels), checkpoint.spec.latent), generator=torch.Generator().manual_seed(seed))
    return _drawn(checkpoint.averaged_generator(), latents, labels), labels.numpy()


def usefulness(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    validation: npt.NDArray[np.uint8],
    validation_labels: npt.NDArray[np.int64],
    config: ClassifierConfig,
    seed: int,
) -> float:
    """Accuracy on validation images of a short classifier that has learned from these images alone.

    Args:
        images: uint8 (N, C, S, S), synthetic.
        labels: int64 (N,).
        validation: uint8 (V, C, S, S), real.
        validation_labels: int64 (V,).
        config: batch size, learning rate and weight decay.
        seed: of weights and sampling.
    """
    classes = int(max(labels.max(), validation_labels.max())) + 1
    start = new_classifier(size=images.shape[2], channels=images.shape[1], width=WIDTH, classes=classes, seed=seed)
    model = train_classifier(
        start,
        [Pool(images, labels, 1.0)],
        config,
        steps=STEPS,
        learning_rate=config.learning_rate,
        augmented=False,
        seed=seed,
    )
    return float((predict(model, validation).argmax(axis=1) == validation_labels).mean())


def class_walk(checkpoints: Sequence[GanCheckpoint], ends: tuple[int, int], seed: int) -> npt.NDArray[np.uint8]:
    """A walk from one class to another with one latent, at each checkpoint: uint8 (R, n, C, S, S).

    What carries a bank of images has no embedding of their classes: it changes what lies between an image of the one
    and one of the other.

    Args:
        checkpoints: R of one training, in order.
        ends: the two classes.
        seed: of the latent.
    """
    latent = torch.randn((1, checkpoints[0].spec.latent), generator=torch.Generator().manual_seed(seed))
    return np.stack([_walk(checkpoint, ends, latent.repeat(COLUMNS, 1)) for checkpoint in checkpoints])


def _walk(checkpoint: GanCheckpoint, ends: tuple[int, int], latents: torch.Tensor) -> npt.NDArray[np.uint8]:
    shares = torch.linspace(0.0, 1.0, COLUMNS)[:, None]
    generator = checkpoint.averaged_generator()
    if isinstance(generator, BankGenerator):
        where = device()
        with torch.inference_mode():
            first, last = (
                generator.picked(latents.to(where), torch.full((COLUMNS,), label, device=where)) for label in ends
            )
            between = torch.lerp(first, last, shares.to(where)[:, :, None, None])
            return to_uint8(generator.changed(between, latents[:, 1:].to(where))).cpu().contiguous().numpy()
    # A class more for each step of the walk, whose embeddings lie between those of the ends.
    network = build_generator(replace(checkpoint.spec, classes=COLUMNS), seed=0)
    state = dict(checkpoint.ema)
    for name in class_embedding_parameters(network):
        state[name] = torch.lerp(state[name][ends[0]], state[name][ends[1]], shares)
    network.load_state_dict(state)
    return _drawn(placed(network, device()).eval(), latents, torch.arange(COLUMNS))


def _drawn(generator: nn.Module, latents: torch.Tensor, labels: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Images uint8 (N, C, S, S) of latents (N, Z) and labels (N,)."""
    where, parts = device(), []
    for part, own in zip(latents.split(_BATCH), labels.split(_BATCH), strict=True):
        with torch.inference_mode():
            parts.append(to_uint8(generator(part.to(where), own.to(where))).cpu())
    return torch.cat(parts).contiguous().numpy()
