"""Augmentation of what a discriminator sees, always or as often as it overfits (ADA, Karras et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gtl_core.config import Augmentation as Policy
from gtl_core.training.checkpoint import State
from gtl_core.training.diff_augment import diff_augment

TARGET = 0.6
"""Mean sign of the real images' logits that ADA steers to; the more it exceeds this, the more D overfits."""
IMAGES_TO_FULL = 20_000
"""Real images from no augmentation to augmenting everything. The paper has 100,000 for transfers of millions."""


class Augmentation:
    """DiffAugment policies for every image, or each with a probability p that follows how far D overfits.

    ADA (arXiv 2006.06676) keeps E[sign D(real)] at 0.6 by small steps of p. Its own set of changes is replaced by
    DiffAugment's.
    """

    def __init__(self, policies: Sequence[Policy], *, adaptive: bool, random: torch.Generator) -> None:
        """Begins with p = 0 where it is adaptive.

        Args:
            policies: which changes, in their order.
            adaptive: whether p moves; otherwise every image is changed.
            random: the source of all randomness, on the images' device.
        """
        self._policies, self._adaptive, self._random = policies, adaptive, random
        self._probability = torch.zeros((), device=random.device)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Changes images float (B, C, S, S) at random; differentiable."""
        if not self._adaptive:
            return diff_augment(images, self._policies, self._random)
        for policy in self._policies:
            changed = diff_augment(images, (policy,), self._random)
            chosen = torch.rand((len(images), 1, 1, 1), generator=self._random, device=images.device)
            images = torch.where(chosen < self._probability, changed, images)
        return images

    @torch.no_grad()
    def watch(self, real: torch.Tensor) -> None:
        """Moves p, where it moves, by the logits (B,) of real images."""
        if self._adaptive:
            direction = (real.sign().mean() - TARGET).sign()
            self._probability.add_(direction * (len(real) / IMAGES_TO_FULL)).clamp_(0.0, 1.0)

    def state(self) -> State:
        """What it must remember over an interruption."""
        return {"augmentation/probability": self._probability} if self._adaptive else {}

    def restore(self, state: State) -> None:
        """Takes up what `state` gave."""
        if self._adaptive:
            self._probability.copy_(state["augmentation/probability"])
