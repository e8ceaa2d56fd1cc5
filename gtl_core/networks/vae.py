"""Encoder of a conditional variational autoencoder; its decoder is the generator of `dcgan`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from gtl_core.networks.conditions import class_rows, condition
from gtl_core.networks.dcgan import EMBEDDING_DEVIATION, SLOPE, WIDEST, down_blocks, halvings


class Down(nn.Module):
    """A convolution, batch norm and a leaky ReLU."""

    def __init__(self, incoming: int, outgoing: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(incoming, outgoing, kernel, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outgoing)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (B, outgoing, H / stride, W / stride) of maps (B, incoming, H, W)."""
        return F.leaky_relu(self.norm(self.convolution(maps)), SLOPE)


class Head(nn.Module):
    """Features and class to a normal distribution of latents with independent numbers."""

    def __init__(self, features: int, latent: int, classes: int, text: int) -> None:
        super().__init__()
        self.condition = condition(classes, text)
        self.embedding = class_rows(classes, latent, text, deviation=EMBEDDING_DEVIATION)
        self.mean = nn.Linear(features + latent, latent)
        self.log_variance = nn.Linear(features + latent, latent)

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and logarithms of the variances (B, Z) of features (B, F) and labels (B,)."""
        known = torch.cat([features, self.embedding(self.condition(labels)).to(features.dtype)], dim=1)
        return self.mean(known).float(), self.log_variance(known).float()


class Encoder(nn.Module):
    """Image and class to the latents that it could be drawn from: q(z | x, y) (Sohn et al., NIPS 2015).

    Attributes:
        blocks: from the image to the features.
        head: features and labels to the distribution.
    """

    def __init__(
        self, *, size: int, channels: int, width: int, latent: int, classes: int, mapping: bool = False, text: int = 0
    ) -> None:
        """Makes an untrained encoder.

        Args:
            size: height and width of the images, a multiple of 4 from 16 on.
            channels: 1 or 3.
            width: channels of the largest maps; smaller maps have up to four times as many.
            latent: numbers in a latent vector.
            classes: number of classes.
            mapping: unused here; all networks take the same arguments.
            text: numbers in the embedding of a class's description; 0 where each class learns rows of its own.
        """
        super().__init__()
        self.blocks = down_blocks(Down, size=size, channels=channels, width=width)
        self.head = Head(width * WIDEST * (size >> halvings(size)) ** 2, latent, classes, text)

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and logarithms of the variances (B, Z) of images (B, C, S, S) in [-1, 1] and labels int64 (B,)."""
        maps = images
        for block in self.blocks:
            maps = block(maps)
        means, log_variances = self.head(maps.flatten(1), labels)
        return means, log_variances
