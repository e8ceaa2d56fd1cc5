"""Training of a translator: source images take on the look of the target, and a classifier holds on to their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import Augmentation, TranslationConfig
from gtl_core.networks.classifier import Classifier
from gtl_core.networks.registry import build_discriminator
from gtl_core.networks.translator import Generator, Translator
from gtl_core.training.augment import augment
from gtl_core.training.checkpoint import CurveRow, GanCheckpoint
from gtl_core.training.companion_trainer import CLASSIFIER, CompanionTrainer
from gtl_core.training.diff_augment import diff_augment
from gtl_core.training.information import mutual_information
from gtl_core.training.losses import hinge_discriminator, hinge_generator
from gtl_core.training.optimisers import moments_of
from gtl_core.training.runtime import autocast
from gtl_core.training.sampler import BalancedSampler

_BETAS = (0.5, 0.9)
_EMA_DECAY = 0.995
_SOURCE_SHARE = 0.5
"""Source images that the classifier sees as they are, beside all translated ones, as a share of the batch."""
_LABELLED_SHARE = 0.5
"""Labelled target images in a step, as a share of the batch."""


@dataclass(frozen=True, eq=False)
class TranslationBatch:
    """What one step is made of, for the losses of a `Consistency`.

    Attributes:
        source: float (B, C, S, S) in [-1, 1], source images.
        styles: float (B, Y), the styles that they were translated with.
        translated: float (B, C, S, S), what came out, with its graph.
        real: float (B, C, S, S), target images.
        random: source of further randomness, on the images' device.
    """

    source: torch.Tensor
    styles: torch.Tensor
    translated: torch.Tensor
    real: torch.Tensor
    random: torch.Generator


class Consistency(Protocol):
    """What a translation keeps of an image beside its label, with the networks that this takes."""

    def networks(self) -> dict[str, nn.Module]:
        """New networks that learn to lower `loss`, by name; the same ones for the same seed."""
        ...

    def critics(self) -> dict[str, nn.Module]:
        """New networks that learn to lower `critic_loss`, by name."""
        ...

    def loss(
        self, batch: TranslationBatch, translator: Translator, networks: Mapping[str, nn.Module]
    ) -> torch.Tensor | None:
        """What translator and networks minimise beside the adversarial loss and the classifier's; None for nothing."""
        ...

    def critic_loss(self, batch: TranslationBatch, networks: Mapping[str, nn.Module]) -> torch.Tensor | None:
        """What the critics minimise; None where there are none."""
        ...


@dataclass(frozen=True, eq=False)
class TranslationImages:
    """Where the images of a step come from.

    Attributes:
        source: source images, their labels those of the target's classes.
        real: target images, labelled or not.
        labelled: the labelled target images, or None.
        has_pool: whether `real` holds unlabelled images.
    """

    source: BalancedSampler
    real: BalancedSampler
    labelled: BalancedSampler | None
    has_pool: bool


class TranslationTrainer(CompanionTrainer):
    """Translator, patch discriminator and classifier of one training, after PixelDA (arXiv 1612.05424).

    One step minimises a · adversarial + cross-entropy (+ what the consistency adds) for the translator and the
    classifier together, where the cross-entropy is that of source images and their translations under the source's
    labels: a translation that loses its class costs. Target images join with their labels, or, late in the training,
    with those that the averaged classifier is confident of (SBADA-GAN, arXiv 1705.08824, does the like).

    Attributes:
        discriminator: the patch discriminator.
    """

    loss_names = ("loss_d", "loss_g", "loss_classifier", "pseudo_labelled")

    def __init__(
        self,
        start: GanCheckpoint,
        images: TranslationImages,
        config: TranslationConfig,
        classifier: Classifier,
        consistency: Consistency,
        augmentation: Sequence[Augmentation],
        *,
        photometric: bool,
        steps: int,
        seed: int,
    ) -> None:
        """Takes a training up where `start` stands.

        Args:
            start: a checkpoint of this training, or weights to begin with: without optimiser and loop state.
            images: where images come from.
            config: weights of the losses, learning rates, pseudo-labels.
            classifier: what the classifier starts as, where `start` holds none; it stays as it is.
            consistency: what is kept beside the label.
            augmentation: DiffAugment policies of what the discriminator sees.
            photometric: whether the classifier's augmentation varies light and sharpness too.
            steps: steps of the whole training.
            seed: seed of all random numbers, where `start` has no state of them.
        """
        networks, critics = consistency.networks(), consistency.critics()
        others = {**networks, **critics}
        super().__init__(start, classifier, others, classes=images.source.classes, steps=steps, seed=seed)
        self._images, self._config, self._consistency = images, config, consistency
        self._augmentation, self._photometric = augmentation, photometric
        self._translator = cast(Generator, self.generator).translator
        self.discriminator = self._placed(build_discriminator(start.spec, seed), start.discriminator).train()
        rate, critics_rate = config.learning_rate_translator, config.learning_rate_discriminator
        self._generator_adam = self._adam(self.generator, rate, _BETAS, start.generator_optimiser)
        self._discriminator_adam = self._adam(self.discriminator, critics_rate, _BETAS, start.discriminator_optimiser)
        rates = dict.fromkeys((CLASSIFIER, *networks), rate) | dict.fromkeys(critics, critics_rate)
        self._companion_adams = self._adams(rates, _BETAS)
        self._critics, self._networks = tuple(critics), dict(self._companions.items())

    def advance(self) -> None:
        """Makes one step: the discriminators', then that of translator and classifier on the same translations."""
        count, config = self._config.batch, self._config
        source, labels = self._images.source.draw(count, self._random)
        real, _ = self._images.real.draw(count, self._random)
        styles = torch.randn((count, self._start.spec.latent - 1), generator=self._random, device=self._device)
        with autocast(self._device):
            translated = self._translator(source, styles)
        batch = TranslationBatch(source, styles, translated, real, self._random)
        loss_discriminators = self._learn_discriminators(batch)

        self.discriminator.eval().requires_grad_(False)
        with autocast(self._device):
            logits = self.discriminator(diff_augment(translated, self._augmentation, self._random))
            kept = self._consistency.loss(batch, self._translator, self._networks)
        loss_classifier, confident = self._classification(batch, labels)
        loss_generator = config.adversarial * hinge_generator(logits) + (0.0 if kept is None else kept)
        companions = [adam for name, adam in self._companion_adams.items() if name not in self._critics]
        self._set_classifier_rate(config.learning_rate_classifier)
        _descend(loss_generator + loss_classifier, [self._generator_adam, *companions])
        self.discriminator.train().requires_grad_(True)
        losses = (loss_discriminators, loss_generator, loss_classifier, confident)
        self._end_step(losses, generator_decay=_EMA_DECAY, classifier_decay=_EMA_DECAY)

    def snapshot(self, curves: tuple[CurveRow, ...]) -> GanCheckpoint:
        """The state from which the training goes on as if it had never stopped."""
        return replace(
            super().snapshot(curves),
            discriminator=self.discriminator.state_dict(),
            discriminator_optimiser=moments_of(self.discriminator, self._discriminator_adam),
        )

    def _learn_discriminators(self, batch: TranslationBatch) -> torch.Tensor:
        """One pass of the patch discriminator over real and translated images together, then the critics' step."""
        both = torch.cat([batch.real, batch.translated.detach()])
        with autocast(self._device):
            logits = self.discriminator(diff_augment(both, self._augmentation, self._random))
            critic_loss = self._consistency.critic_loss(batch, self._networks)
        loss = hinge_discriminator(logits[: len(batch.real)], logits[len(batch.real) :])
        optimisers = [self._discriminator_adam, *(self._companion_adams[name] for name in self._critics)]
        _descend(loss if critic_loss is None else loss + critic_loss, optimisers)
        return loss

    def _classification(
        self, batch: TranslationBatch, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | float]:
        """The classifier's loss on all kinds of images in one batch, and the share of target images labelled by itself.

        The same augmented target images serve for pseudo-labels and for information maximisation.
        """
        config, few = self._config, round(_SOURCE_SHARE * len(labels))
        images, targets = [batch.source[:few], batch.translated], [labels[:few], labels]
        if self._images.labelled is not None:
            own, own_labels = self._images.labelled.draw(round(_LABELLED_SHARE * len(labels)), self._random)
            images.append(own)
            targets.append(own_labels)
        known = sum(len(part) for part in targets)
        if self._images.has_pool:
            images.append(batch.real)
        inputs = augment(torch.cat(images), self._processor_random, photometric=self._photometric)
        with autocast(self._device):
            logits = self._classifier(inputs.contiguous(memory_format=torch.channels_last)).float()
        taught, unlabelled = [logits[:known]], logits[known:]
        confident: torch.Tensor | float = 0.0
        if config.pseudo_labels and self._images.has_pool and self.step >= self._begin_pseudo:
            with torch.no_grad(), autocast(self._device):
                sure, guessed = self._averaged_classifier(batch.real).float().softmax(dim=1).max(dim=1)
            chosen = sure >= config.confidence
            taught.append(unlabelled[chosen])
            targets.append(guessed[chosen])
            confident = chosen.double().mean()
        loss = functional.cross_entropy(torch.cat(taught), torch.cat(targets))
        if config.information and self._images.has_pool:
            loss = loss - config.information * mutual_information(unlabelled)
        return loss, confident

    @property
    def _begin_pseudo(self) -> float:
        """The step from which on pseudo-labels count: sooner where a few true labels show the way."""
        return self._steps * (0.5 if self._images.labelled is None else 0.25)


def _descend(loss: torch.Tensor, optimisers: Sequence[torch.optim.Adam]) -> None:
    """One step of several networks down the gradient of a loss."""
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss.backward()
    for optimiser in optimisers:
        optimiser.step()
