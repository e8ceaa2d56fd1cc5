"""Adversarial losses, as pure functions of a discriminator's logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

LossName = Literal["hinge", "non_saturating"]


@dataclass(frozen=True)
class AdversarialLoss:
    """What the two networks minimise.

    Attributes:
        discriminator: mean loss of the logits of real images (B,) and of generated ones (B,).
        generator: mean loss of the logits of generated images (B,).
    """

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator: Callable[[torch.Tensor], torch.Tensor]


def hinge_discriminator(real: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
    """Real images above 1, generated ones below -1 (Lim & Ye 2017)."""
    return F.relu(1.0 - real).mean() + F.relu(1.0 + generated).mean()


def hinge_generator(generated: torch.Tensor) -> torch.Tensor:
    """Generated images as high as can be."""
    return -generated.mean()


def non_saturating_discriminator(real: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of telling real from generated (Goodfellow et al. 2014)."""
    return F.softplus(-real).mean() + F.softplus(generated).mean()


def non_saturating_generator(generated: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of generated images taken for real, which does not vanish where the discriminator is sure."""
    return F.softplus(-generated).mean()


LOSSES: dict[LossName, AdversarialLoss] = {
    "hinge": AdversarialLoss(hinge_discriminator, hinge_generator),
    "non_saturating": AdversarialLoss(non_saturating_discriminator, non_saturating_generator),
}
