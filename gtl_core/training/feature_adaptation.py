"""Adversarial feature adaptation: a classifier's features of source and target images that cannot be told apart."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import ClassifierConfig
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress, silent
from gtl_core.training.augment import augment
from gtl_core.training.batches import Batches, Pool, UnlabelledBatches
from gtl_core.training.fitting import fit
from gtl_core.training.losses import non_saturating_discriminator, non_saturating_generator
from gtl_core.training.optimisers import adam
from gtl_core.training.runtime import autocast, device, keep_memory, placed, to_unit_range

HIDDEN = 256
"""Width of the domain discriminator's two hidden layers."""

_RISE = 10.0
"""How fast the reversed gradient comes in: γ of DANN's schedule."""
_DISCRIMINATOR_RATE = 1e-3
_BETAS = (0.5, 0.9)


class _Reverse(torch.autograd.Function):
    """The identity forwards, and minus λ times the gradient backwards."""

    @staticmethod
    def forward(context: Any, features: torch.Tensor, strength: float) -> torch.Tensor:
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -context.strength * gradients[0], None


def reverse_gradient(features: torch.Tensor, strength: float) -> torch.Tensor:
    """The features themselves, whose gradient is −λ times that of what they are used for.

    Ganin et al. 2016, "Domain-adversarial training of neural networks" (arXiv 1505.07818), equations 14 and 15.

    Args:
        features: float, of any shape.
        strength: λ.
    """
    reversed_: torch.Tensor = _Reverse.apply(features, strength)
    return reversed_


class DomainDiscriminator(nn.Module):
    """Features to a logit that is high for the source: two hidden layers, as in ADDA."""

    def __init__(self, features: int, seed: int) -> None:
        """Makes an untrained discriminator; the global state of random numbers is left as it was.

        Args:
            features: numbers that the classifier's trunk gives for an image.
            seed: of the weights.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Linear(features, HIDDEN),
                nn.LeakyReLU(0.2),
                nn.Linear(HIDDEN, HIDDEN),
                nn.LeakyReLU(0.2),
                nn.Linear(HIDDEN, 1),
            )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (B,) of features (B, F)."""
        logits: torch.Tensor = self.layers(features)[:, 0]
        return logits


@dataclass(frozen=True)
class Reversing:
    """Target images whose features are to look like those of the source images in the same batches.

    Attributes:
        images: uint8 (N, C, S, S), of the target.
        weight: what the reversed gradient grows to, in the course of the training.
    """

    images: np.ndarray
    weight: float


class Reversal:
    """DANN's part of a classifier's training: a domain discriminator behind a gradient reversal.

    Every step holds as many target images as labelled ones. One descent moves the discriminator to tell the domains
    apart and the trunk to prevent it, with a λ that comes in as 2 / (1 + exp(−10 p)) − 1 over the share p of the steps,
    so that the discriminator's first guesses do no harm.
    """

    def __init__(
        self, reversing: Reversing, steps: int, batch: int, features: int, seed: int, place: torch.device
    ) -> None:
        """Draws the images of all steps, from random numbers that nothing else draws from.

        Args:
            reversing: the target images, and the weight.
            steps: steps of the training.
            batch: target images in a step.
            features: numbers that the trunk gives for an image.
            seed: of the draws and of the discriminator's weights.
            place: the training device.
        """
        self._weight, self._steps = reversing.weight, steps
        self.discriminator = DomainDiscriminator(features, seed).to(place)
        rng = np.random.default_rng([seed, 2])
        self._target = UnlabelledBatches(reversing.images, batch=batch, steps=steps, rng=rng, place=place)

    def at(self, step: int) -> torch.Tensor:
        """Target images uint8 (B, C, S, S)."""
        return self._target.at(step)

    def loss(self, source: torch.Tensor, target: torch.Tensor, step: int) -> torch.Tensor:
        """How badly the domains are told apart, from features (B, F) of either; its gradient to them is reversed."""
        strength = self._weight * (2.0 / (1.0 + math.exp(-_RISE * step / self._steps)) - 1.0)
        logits = self.discriminator(reverse_gradient(torch.cat([source, target]), strength).float())
        return non_saturating_discriminator(logits[: len(source)], logits[len(source) :])


def adapt_encoder(
    start: Classifier,
    pools: Sequence[Pool],
    source: np.ndarray,
    target: np.ndarray,
    config: ClassifierConfig,
    *,
    steps: int,
    learning_rate: float,
    augmented: bool,
    seed: int,
    judge: Callable[[Classifier], tuple[float, ...]] | None = None,
    on_progress: OnProgress = silent,
) -> Classifier:
    """Gives a source classifier an encoder of the target (ADDA: Tzeng et al. 2017, arXiv 1702.05464, equation 9).

    The source's encoder stays as it is. The target's begins as a copy of it and learns to give features of target
    images that a discriminator takes for features of source images. The head stays too, unless there are labelled
    images to learn from: without labels nothing says how it should change.

    Args:
        start: the source classifier.
        pools: labelled images that the target's encoder and the head learn from as well; there may be none.
        source: uint8 (M, C, S, S), source images.
        target: uint8 (U, C, S, S), target images without labels.
        config: batch size, weight decay, and the kind of augmentation.
        steps: number of optimiser steps.
        learning_rate: of the encoder, the highest of the cycle.
        augmented: whether every image is augmented.
        seed: of sampling, augmentation and the discriminator's weights.
        judge: as in `train_classifier`.
        on_progress: told the loss and the images a second.

    Returns:
        The target's encoder with the head, on the training device and in evaluation mode.
    """
    keep_memory()
    place = device()
    fixed = placed(copy.deepcopy(start), place).eval().requires_grad_(False)
    model = placed(copy.deepcopy(start), place).train()
    average = copy.deepcopy(model).eval()
    discriminator = DomainDiscriminator(start.head.in_features, seed).to(place)
    discriminator_adam = adam(discriminator, _DISCRIMINATOR_RATE, _BETAS, {})
    rng, generator = np.random.default_rng([seed, 2]), torch.Generator().manual_seed(seed)
    shape = {"batch": config.batch, "steps": steps}
    ours, theirs = (UnlabelledBatches(images, **shape, rng=rng, place=place) for images in (source, target))
    batches = Batches(pools, **shape, classes=start.head.out_features, rng=rng, place=place) if pools else None

    def shown(images: torch.Tensor) -> torch.Tensor:
        inputs = to_unit_range(images)
        if augmented:
            inputs = augment(inputs, generator, photometric=config.photometric)
        return inputs.contiguous(memory_format=torch.channels_last)

    def loss_at(step: int) -> torch.Tensor:
        taught = batches.at(step) if batches else None
        images = theirs.at(step) if taught is None else torch.cat([theirs.at(step), taught[0]])
        of_source, of_target = shown(ours.at(step)), shown(images)
        with autocast(place):
            real, features = fixed.trunk(of_source).float(), model.trunk(of_target)
            logits = model.head(features[config.batch :])
        adapted = features[: config.batch].float()
        discriminator_adam.zero_grad()
        non_saturating_discriminator(discriminator(real), discriminator(adapted.detach())).backward()
        discriminator_adam.step()
        discriminator.requires_grad_(False)
        loss = non_saturating_generator(discriminator(adapted))
        discriminator.requires_grad_(True)
        if taught is None:
            return loss
        _, labels, forbidden = taught
        return loss + functional.cross_entropy(logits.float() + forbidden, labels)

    return fit(
        model,
        average,
        loss_at,
        list(model.parameters()),
        config,
        steps=steps,
        learning_rate=learning_rate,
        judge=judge,
        on_progress=on_progress,
        task="classifier",
    )
