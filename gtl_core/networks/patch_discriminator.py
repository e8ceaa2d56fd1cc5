"""Discriminator that judges every patch of an image, whatever the class: the opponent of a translator."""

from __future__ import annotations

import torch
from torch import nn

from gtl_core.networks.dcgan import Down, SpectralNorm


class Discriminator(nn.Module):
    """Image to a map of logits, high where a patch looks real (Isola et al. 2017, arXiv 1611.07004).

    Attributes:
        blocks: from the image to features of a quarter of its size.
        head: features to logits.
    """

    def __init__(self, *, size: int, channels: int, width: int, latent: int, classes: int, bank: int) -> None:
        """Makes an untrained discriminator.

        Args:
            size: unused: it judges images of any size.
            channels: 1 or 3.
            width: channels of the translator's maps; the discriminator begins with two thirds of that.
            latent: unused here; both networks take the same arguments.
            classes: unused: the label is kept by the classifier that learns with the translator.
            bank: unused.
        """
        super().__init__()
        first = max(8, width * 2 // 3)
        self.blocks = nn.ModuleList(
            [
                Down(channels, first, kernel=4, stride=2),
                Down(first, 2 * first, kernel=4, stride=2),
                Down(2 * first, 4 * first, kernel=3, stride=1),
            ]
        )
        self.head = nn.Conv2d(4 * first, 1, 3, padding=1)
        self.spectral = SpectralNorm(self.head.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1, S/4, S/4) of images (B, C, S, S) in [-1, 1]."""
        maps = images
        for block in self.blocks:
            maps = block(maps)
        logits = nn.functional.conv2d(maps, self.spectral(self.head.weight), self.head.bias, padding=1)
        return logits.float()
