"""Discriminator of pairs: whether the second image is a real other image of the first one's class."""

from __future__ import annotations

import torch
from torch import nn

from gtl_core.networks.dcgan import WIDEST, Down, SpectralNorm, down_blocks


class Head(nn.Module):
    """Features to a logit."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        nn.init.orthogonal_(self.linear.weight)
        self.spectral = SpectralNorm(self.linear.weight)

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """Logits (B,) of features (B, F); labels are not looked at, because the first image tells the class."""
        logits: torch.Tensor = (features * self.spectral(self.linear.weight)).sum(dim=1) + self.linear.bias
        return logits


class Discriminator(nn.Module):
    """Two images to a logit, high where they are two real images of one class (Antoniou et al. 2017).

    It knows no classes, so it goes from the source's to any other ones. A pair of an image and itself is never real:
    that is what keeps an augmenter from giving back what it was given.

    Attributes:
        blocks: from the pair to the features.
        head: features to logits.
    """

    def __init__(self, *, size: int, channels: int, width: int, latent: int, classes: int, bank: int) -> None:
        """Makes an untrained discriminator.

        Args:
            size: height and width of the images, a multiple of 4 from 16 on.
            channels: of one image, 1 or 3.
            width: channels of the largest maps; smaller maps have up to four times as many.
            latent: unused here; both networks take the same arguments.
            classes: unused: the first image tells the class.
            bank: unused.
        """
        super().__init__()
        self.blocks = down_blocks(Down, size=size, channels=2 * channels, width=width)
        self.head = Head(width * WIDEST)

    def forward(self, pairs: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (B,) of pairs (B, 2C, S, S) in [-1, 1]; labels are not looked at."""
        logits: torch.Tensor = self.head(self.features(pairs), labels)
        return logits

    def features(self, pairs: torch.Tensor) -> torch.Tensor:
        """What the head judges of pairs (B, 2C, S, S): float (B, F)."""
        maps = pairs
        for block in self.blocks:
            maps = block(maps)
        return maps.float().sum(dim=(2, 3))
