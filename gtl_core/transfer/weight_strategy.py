"""What a strategy over the source GAN's weights is: a plan of a training, and what it learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gtl_core.config import GanConfig
from gtl_core.progress import OnProgress
from gtl_core.training.plan import Plan
from gtl_core.transfer.inputs import TransferInputs


@dataclass(frozen=True, eq=False)
class Lesson:
    """A plan, and the images that it learns from.

    Attributes:
        plan: which modules learn when, and by what else than the adversarial losses.
        images: uint8 (N, C, S, S).
        labels: int64 (N,), indices of the target's classes.
    """

    plan: Plan
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


class WeightStrategy(Plan):
    """A plan that begins with the source GAN's weights.

    Attributes:
        mapping: whether the generator gets a new mapping of its latents, which begins as the identity.
        needs_discriminator: whether it is about one, so that it has nothing to say of a VAE.
    """

    mapping = False
    needs_discriminator = False

    def lesson(self, inputs: TransferInputs, gan: GanConfig, on_progress: OnProgress) -> Lesson:
        """What is learned from: the labelled target images.

        Args:
            inputs: what the strategy may look at.
            gan: losses and optimisers.
            on_progress: shows progress of what comes before the GAN's training.

        Raises:
            InputError: the strategy cannot run on these data.
        """
        return Lesson(self, inputs.images, inputs.labels)
