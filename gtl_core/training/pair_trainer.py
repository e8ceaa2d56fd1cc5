"""One step of learned augmentation: a generator makes other images of a class, and pairs of images are judged."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from gtl_core.config import GanConfig
from gtl_core.networks.bank import BankGenerator
from gtl_core.training.augmentation import Augmentation
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.ema import update_average
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.losses import sameness
from gtl_core.training.phases import phase_at
from gtl_core.training.runtime import autocast

EACH = 2
"""Images that are made of each image in a step, so that they can be compared."""
_COMPARED = 512
"""Pairs that tell how far real images of a class are from each other."""
_NO_DISTANCE = 1e-6
"""What stands for it where all images of a class are copies of one."""


class PairTrainer(GanTrainer):
    """A data augmentation GAN (DAGAN, Antoniou et al. 2017, arXiv 1711.04340).

    Images are drawn from the real ones, not from the generator's bank. The discriminator sees pairs: an image with a
    real other one of its class, against the same image with what the generator makes of it. Since no real pair holds
    an image twice, giving back what was given does not pass; and what two images of a class have in common is all that
    there is to learn, so it holds for classes that were never seen.

    `diversity` keeps what is made of one image as far apart as real images of its class are; the paper has nothing of
    the kind, and a discriminator of pairs alone does not mind that the style is not listened to.
    """

    def __init__(
        self,
        start: GanCheckpoint,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        config: GanConfig,
        **settings: Any,
    ) -> None:
        """Takes a training up where `start` stands; the arguments are those of `GanTrainer`."""
        super().__init__(start, images, labels, config.model_copy(update={"diversity": 0.0}), **settings)
        self._diversity = config.diversity
        given, others, _ = self._sampler.pairs(_COMPARED, 1, torch.Generator(self._device).manual_seed(self._seed))
        self._distance = max(float((given - others).abs().mean()), _NO_DISTANCE)
        self._augment = _EachOfPair(config.augmentation, adaptive=config.adaptive_augmentation, random=self._random)
        if start.loop:
            self._augment.restore(start.loop)

    def advance(self) -> None:
        """Makes one step: the discriminator's, then the generator's on the same generated images."""
        phase = phase_at(self._phases, self.step)
        if phase.start == self.step:
            phase.enter(self.generator, self.discriminator)
        batch = max(1, self._config.batch // EACH) * EACH
        given, others, labels = self._sampler.pairs(batch, EACH, self._random)
        styles = torch.randn((batch, self._start.spec.latent - 1), generator=self._random, device=self._device)
        with autocast(self._device):
            made = cast(BankGenerator, self.generator).changed(given, styles)
        real, generated = (torch.cat([given, second], dim=1) for second in (others, made))
        self._losses[0] += self._learn_discriminator(real, labels, generated.detach(), labels)
        owner = torch.arange(batch, device=self._device) // EACH
        alike = self._diversity * sameness(made, owner, self._distance)
        self._losses[1] += self._learn_generator(styles, generated, labels, real, [alike])
        phase.enter(self.generator, self.discriminator)
        update_average(self.average, self.generator, self._config.ema_decay, self.step)
        self._losses[-1] += 1
        self.step += 1


class _EachOfPair(Augmentation):
    """Changes both images of a pair, each in its own way."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        apart = images.unflatten(1, (2, -1)).flatten(0, 1)
        changed: torch.Tensor = super().__call__(apart).unflatten(0, (-1, 2)).flatten(1, 2)
        return changed
