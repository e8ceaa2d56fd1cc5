"""Semi-supervised transfer: the unlabelled pool teaches what the target looks like, and what its classes look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gtl_core.config import GanConfig, SemiSupervisedConfig
from gtl_core.errors import InputError
from gtl_core.networks.registry import features_of, logits_of
from gtl_core.progress import OnProgress
from gtl_core.training.batches import Pool
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import carry_over, load_classifier, predict, train_classifier
from gtl_core.training.losses import LOSSES, AdversarialLoss
from gtl_core.training.penalties import Drawn, Judged, Penalty
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import autocast
from gtl_core.training.sampler import BalancedSampler
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.weight_strategy import Lesson, WeightStrategy

_RATE_SHARE = 0.5
"""Share of a new classifier's learning rate, because this one is fine-tuned."""


@dataclass(frozen=True)
class SemiSupervised(WeightStrategy):
    """Fine-tuning with the unlabelled pool, in two ways.

    The discriminator's head without its class embedding is an unconditional branch (as in Shahbazi et al.'s ladder for
    few images, arXiv 2203.16662), which sees the whole pool beside generated images. And the source classifier,
    fine-tuned on the labelled images, gives the pool images that it is sure of a label (Lee 2013; Lucic et al. 2019,
    arXiv 1903.02271, teach GANs so), with which they stand beside the labelled ones.
    """

    config: SemiSupervisedConfig
    needs_discriminator = True

    def lesson(self, inputs: TransferInputs, gan: GanConfig, on_progress: OnProgress) -> Lesson:
        """The labelled images, and those of the pool that the classifier is sure of.

        Raises:
            InputError: there is no pool, or no source classifier.
        """
        label = self.config.label
        if not len(inputs.unlabelled):
            raise InputError(f"{label} learns from unlabelled target images, and there are none; leave it out")
        if inputs.source_classifier is None:
            raise InputError(f"{label} starts from the source classifier, and none is given")
        guessed = self._guess(inputs, inputs.source_classifier, on_progress)
        sure = guessed.max(axis=1) >= self.config.threshold
        return Lesson(
            _WithPool(self.config.weight, LOSSES[gan.loss], inputs.unlabelled, gan.batch),
            np.concatenate([inputs.images, inputs.unlabelled[sure]]),
            np.concatenate([inputs.labels, guessed[sure].argmax(axis=1)]),
        )

    def _guess(self, inputs: TransferInputs, classifier: Path, on_progress: OnProgress) -> npt.NDArray[np.float32]:
        """Class probabilities (U, K) of the pool by the source classifier, fine-tuned on the labelled images."""
        source, names = load_classifier(classifier)
        tuned = train_classifier(
            carry_over(source, names, inputs.classes, inputs.seed),
            [Pool(inputs.images, inputs.labels, 1.0)],
            inputs.classifier,
            steps=inputs.classifier.steps,
            learning_rate=inputs.classifier.learning_rate * _RATE_SHARE,
            augmented=True,
            seed=inputs.seed,
            on_progress=on_progress,
            task=f"{self.config.label}: classifier for the pool",
        )
        return predict(tuned, inputs.unlabelled)


@dataclass(frozen=True, eq=False)
class _WithPool(Plan):
    """Fine-tuning with the unconditional branch."""

    weight: float
    loss: AdversarialLoss
    pool: npt.NDArray[np.uint8]
    batch: int

    def penalties(self, origin: GanCheckpoint, generator: nn.Module, discriminator: nn.Module) -> Sequence[Penalty]:
        return (Unconditional(discriminator, self.pool, self.batch, self.loss, self.weight),)


class Unconditional(Penalty):
    """The adversarial losses once more, on pool and generated images, without their classes."""

    def __init__(
        self,
        discriminator: nn.Module,
        pool: npt.NDArray[np.uint8],
        batch: int,
        loss: AdversarialLoss,
        weight: float,
    ) -> None:
        """Takes the pool into memory.

        Args:
            discriminator: on the training device.
            pool: uint8 (U, C, S, S).
            batch: pool images in a step.
            loss: the adversarial losses.
            weight: what this counts beside the losses with classes.
        """
        where = next(discriminator.parameters()).device
        self._sampler = BalancedSampler(pool, np.zeros(len(pool), dtype=np.int64), where)
        self._discriminator, self._batch, self._loss, self._weight = discriminator, batch, loss, weight
        self._pool_logits = torch.empty(0)

    def of_discriminator(self, judged: Judged) -> torch.Tensor:
        """Pool images up, generated ones down."""
        images, _ = self._sampler.draw(self._batch, judged.random)
        with autocast(images.device):
            real = logits_of(self._discriminator, features_of(self._discriminator, judged.augment(images)), None)
        generated = logits_of(self._discriminator, judged.features[len(judged.real) :], None)
        self._pool_logits = real.detach()
        return self._weight * self._loss.discriminator(real, generated)

    def of_generator(self, drawn: Drawn) -> torch.Tensor:
        """Generated images up."""
        logits = logits_of(self._discriminator, drawn.features, None)
        if self._loss.generator:
            return self._weight * self._loss.generator(logits)
        return self._weight * self._loss.discriminator(logits, self._pool_logits[: len(logits)])
