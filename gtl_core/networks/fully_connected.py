"""Fully connected conditional GAN: the smallest architecture, for comparison and for very small images.

This file is copied whole into registered models, with what it imports of this folder; beside that and the standard
library it imports PyTorch alone.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gtl_core.networks.conditions import class_rows, condition
from gtl_core.networks.mapping import Mapping

SLOPE = 0.2
"""Slope of the leaky ReLUs below zero."""
EMBEDDING_DEVIATION = 0.2
"""Standard deviation of new class embeddings beside the latent's 1."""
HIDDEN = (8, 16, 32)
"""Units of the hidden layers, in widths; the generator goes up them, the discriminator down."""


class Hidden(nn.Module):
    """A linear layer with batch norm whose gain and offset belong to the class, and a leaky ReLU."""

    def __init__(self, incoming: int, outgoing: int, classes: int, text: int) -> None:
        super().__init__()
        self.linear = nn.Linear(incoming, outgoing, bias=False)
        self.norm = nn.BatchNorm1d(outgoing, affine=False)
        self.gain = class_rows(classes, outgoing, text, mean=1.0)
        self.offset = class_rows(classes, outgoing, text)

    def forward(self, units: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Units (B, outgoing) of units (B, incoming) and classes, labels (B,) or texts (B, T)."""
        normed = torch.addcmul(self.offset(classes), self.norm(self.linear(units).float()), self.gain(classes))
        return F.leaky_relu(normed, SLOPE)


class First(nn.Module):
    """The first hidden layer, on the latent beside an embedding of the class."""

    def __init__(self, latent: int, outgoing: int, classes: int, text: int) -> None:
        super().__init__()
        # Small beside the latent, or the norm that follows is taken up by the class.
        self.embedding = class_rows(classes, latent, text, deviation=EMBEDDING_DEVIATION)
        self.hidden = Hidden(2 * latent, outgoing, classes, text)

    def forward(self, latent: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Units (B, outgoing) of latent (B, Z) and classes, labels (B,) or texts (B, T)."""
        units: torch.Tensor = self.hidden(torch.cat([latent, self.embedding(classes)], dim=1), classes)
        return units


class Last(nn.Module):
    """Units to pixels."""

    def __init__(self, incoming: int, channels: int, size: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        self.linear = nn.Linear(incoming, math.prod(self.shape))

    def forward(self, units: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Pixels (B, C, S, S) in [-1, 1]; the class has had its say before."""
        pixels: torch.Tensor = torch.tanh(self.linear(units).float()).unflatten(1, self.shape)
        return pixels


class Generator(nn.Module):
    """Latent and class to image.

    Attributes:
        mapping: what latents pass first, where the generator was made with it.
        condition: what labels pass first: where the generator was made for texts, it gives those of the classes.
        blocks: from the latent to the image; each takes what the one before gave, and the classes.
    """

    def __init__(
        self, *, size: int, channels: int, width: int, latent: int, classes: int, mapping: bool = False, text: int = 0
    ) -> None:
        """Makes an untrained generator.

        Args:
            size: height and width of the images.
            channels: 1 or 3.
            width: the hidden layers have 8, 16 and 32 times as many units.
            latent: numbers in a latent vector.
            classes: number of classes.
            mapping: whether latents pass a mapping first.
            text: numbers in the embedding of a class's description; 0 where each class learns rows of its own.
        """
        super().__init__()
        self.condition = condition(classes, text)
        small, middle, large = (width * times for times in HIDDEN)
        self.blocks = nn.ModuleList(
            [
                First(latent, small, classes, text),
                Hidden(small, middle, classes, text),
                Hidden(middle, large, classes, text),
                Last(large, channels, size),
            ]
        )
        self.mapping = Mapping(latent) if mapping else nn.Identity()

    def forward(self, latent: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] of latents (B, Z) and labels int64 (B,)."""
        units: torch.Tensor = self.mapping(latent)
        classes = self.condition(labels)
        for block in self.blocks:
            units = block(units, classes)
        return units


class Head(nn.Module):
    """Features to a logit, by a linear layer and a projection on the class (Miyato & Koyama 2018)."""

    def __init__(self, features: int, classes: int, text: int) -> None:
        super().__init__()
        self.linear = spectral_norm(nn.Linear(features, 1))
        self.condition = condition(classes, text)
        self.embedding = class_rows(classes, features, text, deviation=features**-0.5)

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """Logits (B,) of features (B, F) and labels (B,); without labels, of images of whatever class."""
        logits: torch.Tensor = self.linear(features).squeeze(1).float()
        return logits if labels is None else logits + (features * self.embedding(self.condition(labels))).sum(dim=1)


class Discriminator(nn.Module):
    """Image and class to a logit: high for real images of that class.

    Attributes:
        blocks: from the image to the features.
        head: features and labels to logits.
    """

    def __init__(
        self, *, size: int, channels: int, width: int, latent: int, classes: int, mapping: bool = False, text: int = 0
    ) -> None:
        """Makes an untrained discriminator.

        Args:
            size: height and width of the images.
            channels: 1 or 3.
            width: the hidden layers have 32, 16 and 8 times as many units.
            latent: unused here; both networks take the same arguments.
            classes: number of classes.
            mapping: unused here.
            text: numbers in the embedding of a class's description; 0 where each class learns rows of its own.
        """
        super().__init__()
        units = [channels * size * size, *(width * times for times in reversed(HIDDEN))]
        self.blocks = nn.ModuleList(
            nn.Sequential(spectral_norm(nn.Linear(incoming, outgoing)), nn.LeakyReLU(SLOPE))
            for incoming, outgoing in pairwise(units)
        )
        self.head = Head(units[-1], classes, text)

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits (B,) of images (B, C, S, S) in [-1, 1] and labels int64 (B,)."""
        logits: torch.Tensor = self.head(self.features(images), labels)
        return logits

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What the head judges of images (B, C, S, S): float (B, F)."""
        units = images.flatten(1)
        for block in self.blocks:
            units = block(units)
        return units.float()
