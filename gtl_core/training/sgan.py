"""Training of a classifier that is the discriminator too: K classes of real images, and one more for generated ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import GanConfig, SganConfig
from gtl_core.networks.classifier import Classifier
from gtl_core.training.augment import augment
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.companion_trainer import CLASSIFIER, CompanionTrainer
from gtl_core.training.losses import non_saturating_discriminator
from gtl_core.training.runtime import autocast
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


class SganTrainer(CompanionTrainer):
    """Generator and K+1-class classifier of one training (Salimans et al. 2016; Odena 2016, arXiv 1606.01583).

    The classifier minimises the cross-entropy of labelled images among the K classes, and that of telling unlabelled
    images from generated ones by Z / (Z + 1). The generator, which is told a class, minimises feature matching, and
    the cross-entropy of that class, because its images are to have labels. Beyond SGAN, the classifier is to say of an
    augmented unlabelled image what its own average says of the image as it is (`consistency`).
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
            classifier: what the classifier starts as, where `start` holds none; it stays as it is.
            photometric: whether augmentation varies light and sharpness too.
            steps: steps of the whole training.
            seed: seed of all random numbers, where `start` has no state of them.
        """
        super().__init__(start, classifier, {}, classes=images.labelled.classes, steps=steps, seed=seed)
        self._images, self._config, self._gan, self._photometric = images, config, gan, photometric
        betas = (gan.beta1, gan.beta2)
        self._generator_adam = self._adam(self.generator, gan.learning_rate_generator, betas, start.generator_optimiser)
        self._companion_adams = self._adams({CLASSIFIER: config.learning_rate_classifier}, _BETAS)

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
        losses = (loss_d, loss_g, loss_classifier)
        self._end_step(losses, generator_decay=self._gan.ema_decay, classifier_decay=_EMA_DECAY)

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
        self._set_classifier_rate(self._config.learning_rate_classifier)
        optimiser = self._companion_adams[CLASSIFIER]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
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
