"""Terms that a training adds to the adversarial losses: each says what it adds to which network's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from gtl_core.config import GanConfig
from gtl_core.training.checkpoint import State
from gtl_core.training.losses import lecam, neighbours, sameness, squared_gradients
from gtl_core.training.runtime import to_unit_range

_PAIRS = 1024


@dataclass(frozen=True, eq=False)
class Judged:
    """What the discriminator saw in its own step.

    Attributes:
        images: float (2B, C, S, S), real and generated ones, augmented.
        features: float (2B, F), what the discriminator makes of them.
        real: float (B,), logits of the real images.
        generated: float (B,), logits of the generated ones.
        augment: augments further images in the same way.
        random: source of further randomness, on the images' device.
    """

    images: torch.Tensor
    features: torch.Tensor
    real: torch.Tensor
    generated: torch.Tensor
    augment: Callable[[torch.Tensor], torch.Tensor]
    random: torch.Generator


@dataclass(frozen=True, eq=False)
class Drawn:
    """What the generator drew in its own step.

    Attributes:
        latents: float (B, Z).
        labels: int64 (B,).
        images: float (B, C, S, S) in [-1, 1], with their graph.
        features: float (B, F), what the discriminator makes of them once they are augmented.
    """

    latents: torch.Tensor
    labels: torch.Tensor
    images: torch.Tensor
    features: torch.Tensor


class Penalty:
    """Adds to the loss of the discriminator, of the generator, or of both; this one adds nothing.

    Attributes:
        of_pixels: whether it takes the discriminator's gradient with respect to the images.
    """

    of_pixels = False

    def of_discriminator(self, judged: Judged) -> torch.Tensor | None:
        """What the discriminator minimises beside its adversarial loss."""
        return None

    def of_generator(self, drawn: Drawn) -> torch.Tensor | None:
        """What the generator minimises beside its adversarial loss."""
        return None

    def state(self) -> State:
        """What it must remember over an interruption."""
        return {}

    def restore(self, state: State) -> None:
        """Takes up what `state` gave."""


class LeCam(Penalty):
    """Pulls the logits to moving averages (Tseng et al. 2021, arXiv 2104.03310)."""

    DECAY = 0.99

    def __init__(self, weight: float, where: torch.device) -> None:
        self._weight = weight
        self._averages = torch.zeros(2, device=where)

    def of_discriminator(self, judged: Judged) -> torch.Tensor:
        """λ R_LC, with the averages of the steps up to this one."""
        with torch.no_grad():
            self._averages.lerp_(torch.stack([judged.real.mean(), judged.generated.mean()]), 1.0 - self.DECAY)
        # A copy, because the graph must not see the averages of the next step.
        real, generated = self._averages.clone()
        return self._weight * lecam(judged.real, judged.generated, real, generated)

    def state(self) -> State:
        """The two averages."""
        return {"averages": self._averages}

    def restore(self, state: State) -> None:
        """The two averages."""
        self._averages.copy_(state["averages"])


class GradientPenalty(Penalty):
    """Zero-centred R1 and R2 (Mescheder et al. 2018; together, as in R3GAN, Huang et al. 2025, arXiv 2501.05441)."""

    of_pixels = True

    def __init__(self, weight: float) -> None:
        self._weight = weight

    def of_discriminator(self, judged: Judged) -> torch.Tensor:
        """γ/2 (E|∇D(x)|² over real images + the same over generated ones)."""
        logits = torch.cat([judged.real, judged.generated])
        # Each half is a mean of its own, so the sum of both is twice the mean of all.
        return self._weight * squared_gradients(logits, judged.images).mean()


class Diversity(Penalty):
    """Keeps images of one class as far apart as real ones are, after DSGAN (Yang et al. 2019, arXiv 1901.09024).

    DSGAN rewards |G(z₁) − G(z₂)| / |z₁ − z₂| up to a bound. Here the bound is the mean distance of two real images of a
    class, and since latents of many numbers are about equally far from each other, the division is left out.
    """

    def __init__(self, weight: float, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
        self._weight = weight
        first, second = neighbours(torch.from_numpy(labels))
        if not len(first):  # one image a class: any two images tell how far apart images can be
            first, second = torch.arange(len(images)), torch.arange(len(images)).roll(1)
        self._distance = _distance(images, first.numpy(), second.numpy())

    def of_generator(self, drawn: Drawn) -> torch.Tensor | None:
        """λ E[1 − min(|G(z₁) − G(z₂)| / d, 1)] over pairs of one class."""
        if self._distance == 0.0:
            return None
        return self._weight * sameness(drawn.images, drawn.labels, self._distance)


def _distance(images: npt.NDArray[np.uint8], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Mean absolute difference of pixels in [-1, 1] over pairs of images.

    Args:
        images: uint8 (N, C, S, S).
        first: int64 (P,), places of images.
        second: int64 (P,), places of those that they are compared with.
    """
    # Some pairs at a time: of floating-point numbers there is one an image and pixel here, and not five.
    differences = torch.empty((len(first), *images.shape[1:]))
    for start in range(0, len(first), _PAIRS):
        rows = slice(start, start + _PAIRS)
        one, other = (to_unit_range(torch.from_numpy(images[places[rows]])) for places in (first, second))
        torch.sub(one, other, out=differences[rows]).abs_()
    return float(differences.mean())


def penalties_of(
    config: GanConfig, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], where: torch.device
) -> list[Penalty]:
    """The penalties that the settings ask for.

    Args:
        config: a weight of 0 leaves a penalty out.
        images: uint8 (N, C, S, S), the real images.
        labels: int64 (N,).
        where: the training device.
    """
    chosen: list[Penalty] = []
    if config.lecam:
        chosen.append(LeCam(config.lecam, where))
    if config.gradient_penalty:
        chosen.append(GradientPenalty(config.gradient_penalty))
    if config.diversity:
        chosen.append(Diversity(config.diversity, images, labels))
    return chosen
