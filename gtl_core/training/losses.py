"""Adversarial losses and what keeps them in bounds, as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from gtl_core.config import AdversarialLossName


@dataclass(frozen=True)
class AdversarialLoss:
    """What the two networks minimise.

    Attributes:
        discriminator: mean loss of the logits of real images (B,) and of generated ones (B,).
        generator: mean loss of the logits of generated images (B,). None where it takes the logits of real images of
            the same classes too: then it is the discriminator's with the roles exchanged.
    """

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator: Callable[[torch.Tensor], torch.Tensor] | None


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


def relativistic(better: torch.Tensor, worse: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of telling which image of a pair is the real one (R3GAN, Huang et al. 2025, arXiv 2501.05441)."""
    return F.softplus(worse - better).mean()


LOSSES: dict[AdversarialLossName, AdversarialLoss] = {
    "hinge": AdversarialLoss(hinge_discriminator, hinge_generator),
    "non_saturating": AdversarialLoss(non_saturating_discriminator, non_saturating_generator),
    "relativistic": AdversarialLoss(relativistic, None),
}


def lecam(
    real: torch.Tensor, generated: torch.Tensor, real_average: torch.Tensor, generated_average: torch.Tensor
) -> torch.Tensor:
    """R_LC = E|D(x) − α_G|² + E|D(G(z)) − α_R|² (Tseng et al. 2021, arXiv 2104.03310, equation 3).

    Args:
        real: logits (B,) of real images.
        generated: logits (B,) of generated ones.
        real_average: α_R, the moving average of the real images' logits.
        generated_average: α_G, that of the generated ones'.
    """
    return (real - generated_average).square().mean() + (generated - real_average).square().mean()


def squared_gradients(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """|∇D(x)|² of each image, itself differentiable.

    Args:
        logits: (B,), each a function of its own image alone.
        images: (B, C, S, S), which the logits were computed from with their graph.

    Returns:
        float (B,).
    """
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.square().sum(dim=(1, 2, 3))


def neighbours(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of places with equal labels: each place (N,) with the next one of its class, where there is a next one."""
    order = labels.argsort(stable=True)
    alike = labels[order[:-1]] == labels[order[1:]]
    return order[:-1][alike], order[1:][alike]


def sameness(images: torch.Tensor, labels: torch.Tensor, distance: float) -> torch.Tensor:
    """How far images of a class fall short of a distance from each other: E[1 − min(|x₁ − x₂| / d, 1)].

    The bounded reward of DSGAN (Yang et al. 2019, arXiv 1901.09024), turned into a loss between 0 and 1.

    Args:
        images: float (B, C, S, S).
        labels: int64 (B,).
        distance: d, mean over the pixels of an absolute difference.

    Returns:
        The mean over the pairs of `neighbours`; 0 where there are none.
    """
    first, second = neighbours(labels)
    if not len(first):
        return images.new_zeros(())
    apart = (images[first] - images[second]).abs().mean(dim=(1, 2, 3))
    return (1.0 - (apart / distance).clamp(max=1.0)).mean()
