"""Training of a translator: source images take on the look of the target, and a classifier holds on to their labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import Augmentation, TranslationConfig
from gtl_core.networks.classifier import Classifier
from gtl_core.networks.registry import build_discriminator, build_generator
from gtl_core.networks.translator import Generator, Translator
from gtl_core.training.augment import augment
from gtl_core.training.checkpoint import CurveRow, GanCheckpoint, State, part_of
from gtl_core.training.diff_augment import diff_augment
from gtl_core.training.ema import copy_statistics, fit_statistics, update_average
from gtl_core.training.fitting import one_cycle
from gtl_core.training.information import mutual_information
from gtl_core.training.losses import hinge_discriminator, hinge_generator
from gtl_core.training.optimisers import adam, moments_of
from gtl_core.training.runtime import autocast, device, placed
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


class TranslationTrainer:
    """Translator, patch discriminator and classifier of one training, after PixelDA (arXiv 1612.05424).

    One step minimises a · adversarial + cross-entropy (+ what the consistency adds) for the translator and the
    classifier together, where the cross-entropy is that of source images and their translations under the source's
    labels: a translation that loses its class costs. Target images join with their labels, or, late in the training,
    with those that the averaged classifier is confident of (SBADA-GAN, arXiv 1705.08824, does the like).

    Attributes:
        step: steps made.
        generator: the translator with its bank.
        average: the averaged generator.
        loss_names: what `take_losses` gives.
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
            classifier: what the classifier starts as, where `start` holds none.
            consistency: what is kept beside the label.
            augmentation: DiffAugment policies of what the discriminator sees.
            photometric: whether the classifier's augmentation varies light and sharpness too.
            steps: steps of the whole training.
            seed: seed of all random numbers, where `start` has no state of them.
        """
        self._start, self._images, self._config, self._consistency = start, images, config, consistency
        self._augmentation, self._photometric = augmentation, photometric
        self._steps, self._seed = steps, seed
        self.step = start.step
        self._device = device()
        self.generator = cast(Generator, self._placed(build_generator(start.spec, seed), start.generator)).train()
        self.discriminator = self._placed(build_discriminator(start.spec, seed), start.discriminator).train()
        self.average = self._placed(copy.deepcopy(self.generator), start.ema).eval().requires_grad_(False)
        critics = consistency.critics()
        learning = {"classifier": classifier, **consistency.networks(), **critics}
        companions = nn.ModuleDict({**learning, "averaged_classifier": copy.deepcopy(classifier)})
        self._companions = cast(nn.ModuleDict, self._placed(companions, start.companions or companions.state_dict()))
        self._classifier = cast(Classifier, self._companions["classifier"].train().requires_grad_(True))
        self._averaged_classifier = self._companions["averaged_classifier"].eval().requires_grad_(False)
        self._slow = start.learning_rate_factor
        rate = self._slow * config.learning_rate_translator
        critics_rate = self._slow * config.learning_rate_discriminator
        self._translator_adam = adam(self.generator, rate, _BETAS, start.generator_optimiser)
        self._discriminator_adam = adam(self.discriminator, critics_rate, _BETAS, start.discriminator_optimiser)
        rates = dict.fromkeys(learning, rate) | dict.fromkeys(critics, critics_rate)
        self._adams = {
            name: adam(self._companions[name], rates[name], _BETAS, part_of(start.companions_optimiser, name))
            for name in learning
        }
        self._critics = tuple(critics)
        self._networks = dict(self._companions.items())
        self._random = torch.Generator(self._device).manual_seed(seed)
        self._processor_random = torch.Generator().manual_seed(seed)
        self._losses = torch.zeros(5, dtype=torch.float64, device=self._device)
        if start.loop:
            self._random.set_state(start.loop["random"])
            self._processor_random.set_state(start.loop["processor_random"])
            self._losses.copy_(start.loop["losses"])

    def advance(self) -> None:
        """Makes one step: the discriminators', then that of translator and classifier on the same translations."""
        count, config = self._config.batch, self._config
        source, labels = self._images.source.draw(count, self._random)
        real, _ = self._images.real.draw(count, self._random)
        styles = torch.randn((count, self._start.spec.latent - 1), generator=self._random, device=self._device)
        with autocast(self._device):
            translated = self.generator.translator(source, styles)
        batch = TranslationBatch(source, styles, translated, real, self._random)
        self._losses[0] += self._learn_discriminators(batch)

        self.discriminator.eval().requires_grad_(False)
        with autocast(self._device):
            logits = self.discriminator(diff_augment(translated, self._augmentation, self._random))
            kept = self._consistency.loss(batch, self.generator.translator, self._networks)
        loss_classifier, confident = self._classification(batch, labels)
        loss_generator = config.adversarial * hinge_generator(logits) + (0.0 if kept is None else kept)
        learning = [self._translator_adam, *(self._adams[name] for name in self._adams if name not in self._critics)]
        rate = self._slow * config.learning_rate_classifier
        self._adams["classifier"].param_groups[0]["lr"] = rate * one_cycle(self.step, self._steps)
        for optimiser in learning:
            optimiser.zero_grad()
        (loss_generator + loss_classifier).backward()
        for optimiser in learning:
            optimiser.step()
        self.discriminator.train().requires_grad_(True)
        update_average(self.average, self.generator, _EMA_DECAY, self.step)
        update_average(self._averaged_classifier, self._classifier, _EMA_DECAY, self.step)
        copy_statistics(self._averaged_classifier, self._classifier)
        for place, value in enumerate((loss_generator, loss_classifier, confident), start=1):
            self._losses[place] += value.detach() if isinstance(value, torch.Tensor) else value
        self._losses[4] += 1
        self.step += 1

    def take_losses(self) -> tuple[float, ...]:
        """Mean losses and the mean share of confident pseudo-labels since this was called last."""
        *sums, count = self._losses.tolist()
        self._losses.zero_()
        return tuple(value / max(count, 1.0) for value in sums)

    def snapshot(self, curves: tuple[CurveRow, ...]) -> GanCheckpoint:
        """The state from which the training goes on as if it had never stopped."""
        start = self._start
        return GanCheckpoint(
            spec=start.spec,
            classes=start.classes,
            step=self.step,
            recipe=start.recipe,
            curves=curves,
            generator=self.generator.state_dict(),
            discriminator=self.discriminator.state_dict(),
            ema=self.average.state_dict(),
            companions=self._companions.state_dict(),
            generator_optimiser=moments_of(self.generator, self._translator_adam),
            discriminator_optimiser=moments_of(self.discriminator, self._discriminator_adam),
            companions_optimiser={
                f"{name}.{key}": value
                for name, optimiser in self._adams.items()
                for key, value in moments_of(self._companions[name], optimiser).items()
            },
            loop={
                "random": self._random.get_state(),
                "processor_random": self._processor_random.get_state(),
                "losses": self._losses,
            },
        )

    def finish(self) -> None:
        """Gives the averaged generator the batch norm statistics that fit its weights."""
        fit_statistics(self.average, self.generator, self._start.spec.latent, self._images.source.classes, self._seed)

    def _learn_discriminators(self, batch: TranslationBatch) -> torch.Tensor:
        """One pass of the patch discriminator over real and translated images together, then the critics' step."""
        both = torch.cat([batch.real, batch.translated.detach()])
        with autocast(self._device):
            logits = self.discriminator(diff_augment(both, self._augmentation, self._random))
            critic_loss = self._consistency.critic_loss(batch, self._networks)
        loss = hinge_discriminator(logits[: len(batch.real)], logits[len(batch.real) :])
        optimisers = [self._discriminator_adam, *(self._adams[name] for name in self._critics)]
        for optimiser in optimisers:
            optimiser.zero_grad()
        (loss if critic_loss is None else loss + critic_loss).backward()
        for optimiser in optimisers:
            optimiser.step()
        return loss.detach()

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

    def _placed(self, network: nn.Module, state: State) -> nn.Module:
        network.load_state_dict(state)
        return placed(network, self._device)
