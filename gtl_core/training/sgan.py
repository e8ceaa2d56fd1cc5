"""Training of a classifier that is the discriminator too: K classes of real images, and one more for generated ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import GanConfig, SganConfig
from gtl_core.networks.classifier import Classifier
from gtl_core.networks.registry import build_generator
from gtl_core.training.augment import augment
from gtl_core.training.checkpoint import CurveRow, GanCheckpoint, State, part_of
from gtl_core.training.ema import copy_statistics, fit_statistics, update_average
from gtl_core.training.fitting import one_cycle
from gtl_core.training.losses import non_saturating_discriminator
from gtl_core.training.optimisers import adam, moments_of
from gtl_core.training.runtime import autocast, device, placed
from gtl_core.training.sampler import BalancedSampler

_BETAS = (0.5, 0.99)
_EMA_DECAY = 0.99
_RISE = 0.5
"""Share of the steps in which consistency comes in, as what the teacher says becomes worth something."""


def real_logits(logits: torch.Tensor) -> torch.Tensor:
    """Logits (B,) of an image's being real, from those (B, K) of the real classes, beside a fixed 0 for generated.

    With Z = Σ exp(lₖ) the probability of being real is Z / (Z + 1), so its logit is ln Z: Salimans et al. 2016,
    arXiv 1606.03498, section 5.
    """
    return logits.float().logsumexp(dim=1)


def feature_matching(real: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
    """|E f(x) − E f(G(z))|² / F, from features (B, F) of either (Salimans et al. 2016, section 3.1)."""
    return (real.float().mean(dim=0) - generated.float().mean(dim=0)).square().mean()


def consistency(logits: torch.Tensor, teacher: torch.Tensor, confidence: float) -> torch.Tensor:
    """Divergence of a classifier from its teacher where the teacher is sure: E[1(max q ≥ c) · KL(q ‖ p)].

    The teacher is the averaged classifier, on the image as it is (mean teacher: Tarvainen & Valpola 2017, arXiv
    1703.01780); only where it is sure it is believed (FixMatch: Sohn et al. 2020, arXiv 2001.07685, equation 4). In Wei
    et al. 2018, arXiv 1803.01541, a consistency stands beside the game of an SGAN too, between two dropouts.

    Args:
        logits: float (B, K) of augmented images.
        teacher: float (B, K), the teacher's logits of the same images.
        confidence: c.
    """
    believed = teacher.float().softmax(dim=1)
    divergence = functional.kl_div(logits.float().log_softmax(dim=1), believed, reduction="none").sum(dim=1)
    return (divergence * (believed.amax(dim=1) >= confidence)).mean()


@contextmanager
def own_statistics(network: nn.Module) -> Iterator[None]:
    """Within the block batch norm takes the statistics of each batch for it alone, and keeps none of them.

    Generated images are batches of their own. In one batch with real ones they bend the statistics that the classifier
    keeps, and it is for real images. With the statistics of real images for both, on MNIST, it forgot the classes.

    Args:
        network: in training mode.
    """
    norms = [module for module in network.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@dataclass(frozen=True, eq=False)
class SganImages:
    """Where the images of a step come from.

    Attributes:
        labelled: the labelled target images.
        unlabelled: all target images, with no regard to their labels.
    """

    labelled: BalancedSampler
    unlabelled: BalancedSampler


class SganTrainer:
    """Generator and K+1-class classifier of one training (Salimans et al. 2016; Odena 2016, arXiv 1606.01583).

    The classifier minimises the cross-entropy of labelled images among the K classes, and that of telling unlabelled
    images from generated ones by Z / (Z + 1). The generator, which is told a class, minimises feature matching, and
    the cross-entropy of that class, because its images are to have labels. Beyond SGAN, the classifier is to say of an
    augmented unlabelled image what its own average says of the image as it is (`consistency`).

    Attributes:
        step: steps made.
        generator: the generator in training.
        average: the averaged generator.
        loss_names: what `take_losses` gives.
    """

    loss_names = ("loss_d", "loss_g", "loss_classifier")

    def __init__(
        self,
        start: GanCheckpoint,
        images: SganImages,
        config: SganConfig,
        gan: GanConfig,
        classifier: Classifier,
        *,
        photometric: bool,
        steps: int,
        seed: int,
    ) -> None:
        """Takes a training up where `start` stands.

        Args:
            start: a checkpoint of this training, or weights to begin with: without optimiser and loop state.
            images: where images come from.
            config: weights of the losses, and the classifier's learning rate.
            gan: the generator's optimiser.
            classifier: what the classifier starts as, where `start` holds none.
            photometric: whether augmentation varies light and sharpness too.
            steps: steps of the whole training.
            seed: seed of all random numbers, where `start` has no state of them.
        """
        self._start, self._images, self._config, self._gan = start, images, config, gan
        self._photometric, self._steps, self._seed = photometric, steps, seed
        self.step = start.step
        self._device = device()
        self.generator = self._placed(build_generator(start.spec, seed), start.generator).train()
        self.average = self._placed(build_generator(start.spec, seed), start.ema).eval().requires_grad_(False)
        both = nn.ModuleDict({"classifier": classifier, "averaged_classifier": copy.deepcopy(classifier)})
        self._companions = self._placed(both, start.companions or both.state_dict())
        self._classifier = cast(Classifier, both["classifier"].train().requires_grad_(True))
        self._averaged_classifier = both["averaged_classifier"].eval().requires_grad_(False)
        self._slow = start.learning_rate_factor
        self._generator_adam = adam(
            self.generator,
            self._slow * gan.learning_rate_generator,
            (gan.beta1, gan.beta2),
            start.generator_optimiser,
        )
        self._classifier_adam = adam(
            self._classifier,
            self._slow * config.learning_rate_classifier,
            _BETAS,
            part_of(start.companions_optimiser, "classifier"),
        )
        self._random = torch.Generator(self._device).manual_seed(seed)
        self._processor_random = torch.Generator().manual_seed(seed)
        self._losses = torch.zeros(4, dtype=torch.float64, device=self._device)
        if start.loop:
            self._random.set_state(start.loop["random"])
            self._processor_random.set_state(start.loop["processor_random"])
            self._losses.copy_(start.loop["losses"])

    def advance(self) -> None:
        """Makes one step: the classifier's, then the generator's on the same generated images."""
        count = self._config.batch
        labelled, labels = self._images.labelled.draw(count, self._random)
        real, _ = self._images.unlabelled.draw(count, self._random)
        asked = self._images.labelled.labels(count, self._random)
        latents = torch.randn((count, self._start.spec.latent), generator=self._random, device=self._device)
        with autocast(self._device):
            generated = self.generator(latents, asked)
        loss_d, loss_classifier = self._learn_classifier(labelled, labels, real, generated.detach())
        loss_g = self._learn_generator(real, generated, asked)
        update_average(self.average, self.generator, self._gan.ema_decay, self.step)
        update_average(self._averaged_classifier, self._classifier, _EMA_DECAY, self.step)
        copy_statistics(self._averaged_classifier, self._classifier)
        for place, value in enumerate((loss_d, loss_g, loss_classifier)):
            self._losses[place] += value
        self._losses[3] += 1
        self.step += 1

    def take_losses(self) -> tuple[float, ...]:
        """Mean losses since this was called last."""
        *sums, count = self._losses.tolist()
        self._losses.zero_()
        return tuple(value / max(count, 1.0) for value in sums)

    def snapshot(self, curves: tuple[CurveRow, ...]) -> GanCheckpoint:
        """The state from which the training goes on as if it had never stopped."""
        start, moments = self._start, moments_of(self._classifier, self._classifier_adam)
        return GanCheckpoint(
            spec=start.spec,
            classes=start.classes,
            step=self.step,
            recipe=start.recipe,
            curves=curves,
            generator=self.generator.state_dict(),
            discriminator={},
            ema=self.average.state_dict(),
            companions=self._companions.state_dict(),
            generator_optimiser=moments_of(self.generator, self._generator_adam),
            discriminator_optimiser={},
            companions_optimiser={f"classifier.{key}": value for key, value in moments.items()},
            loop={
                "random": self._random.get_state(),
                "processor_random": self._processor_random.get_state(),
                "losses": self._losses,
            },
            texts=start.texts,
        )

    def finish(self) -> None:
        """Gives the averaged generator the batch norm statistics that fit its weights."""
        fit_statistics(self.average, self.generator, self._start.spec.latent, self._images.labelled.classes, self._seed)

    def _learn_classifier(
        self, labelled: torch.Tensor, labels: torch.Tensor, real: torch.Tensor, generated: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A step on labelled, unlabelled and generated images.

        Returns:
            The loss of telling real from generated, and that of the labelled images' classes.
        """
        inputs = self._augmented(torch.cat([labelled, real]))
        with autocast(self._device):
            logits = self._classifier(inputs).float()
            with own_statistics(self._classifier):
                made = self._classifier(self._augmented(generated)).float()
        known, rest = logits.split([len(labelled), len(real)])
        loss_classes = functional.cross_entropy(known, labels)
        loss_real = 0.5 * non_saturating_discriminator(real_logits(rest), real_logits(made))
        loss = loss_classes + self._config.adversarial * loss_real
        if self._config.consistency:
            with torch.no_grad(), autocast(self._device):
                teacher = self._averaged_classifier(real)
            rise = min(1.0, self.step / (_RISE * self._steps))
            loss = loss + self._config.consistency * rise * consistency(rest, teacher, self._config.confidence)
        rate = self._slow * self._config.learning_rate_classifier
        self._classifier_adam.param_groups[0]["lr"] = rate * one_cycle(self.step, self._steps)
        self._classifier_adam.zero_grad()
        loss.backward()
        self._classifier_adam.step()
        return loss_real.detach(), loss_classes.detach()

    def _learn_generator(self, real: torch.Tensor, generated: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """The classifier only passes gradients on, so none of its weights and statistics move."""
        self._classifier.requires_grad_(False)
        with autocast(self._device), own_statistics(self._classifier):
            with torch.no_grad():
                goal = self._classifier.trunk(self._augmented(real))
            features = self._classifier.trunk(self._augmented(generated))
            logits = self._classifier.head(features).float()
        loss = feature_matching(goal, features)
        loss = loss + self._config.class_loss * functional.cross_entropy(logits, asked)
        self._generator_adam.zero_grad()
        loss.backward()
        self._generator_adam.step()
        self._classifier.requires_grad_(True)
        return loss.detach()

    def _augmented(self, images: torch.Tensor) -> torch.Tensor:
        """Real and generated images, augmented alike, so that augmentation tells nothing."""
        inputs = augment(images, self._processor_random, photometric=self._photometric)
        return inputs.contiguous(memory_format=torch.channels_last)

    def _placed(self, network: nn.Module, state: State) -> nn.Module:
        network.load_state_dict(state)
        return placed(network, self._device)
