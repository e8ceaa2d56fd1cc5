"""Image translator: a source image and a style to a target image of the same class, and a generator made of it.

This file is copied whole into registered models, with what it imports of this folder; beside that and the standard
library it imports PyTorch alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from gtl_core.networks.bank import BankGenerator

DEPTH = 3
"""Residual blocks."""
KEPT = 0.5
"""How strongly the image itself stands in what becomes a pixel by tanh.

With 2 a translator keeps every stroke where it was and only paints around it; with 0 one of five began by turning
strokes inside out and never found back.
"""


class Residual(nn.Module):
    """Two convolutions beside the identity (He et al. 2016)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(features)
        self.second = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(features)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps of maps, both (B, F, H, W)."""
        changed: torch.Tensor = self.second_norm(self.second(F.relu(self.first_norm(self.first(maps)))))
        return maps + changed


class Translator(nn.Module):
    """An image and a style to an image: halved once, changed by residual blocks, doubled again.

    After the generator of PixelDA (Bousmalis et al. 2017, arXiv 1612.05424), which makes a further plane of the image
    from noise. The image goes past all layers to the last one and is added to what that makes, so that what need not
    change is not drawn anew.
    """

    def __init__(self, *, size: int, channels: int, width: int, style: int) -> None:
        """Makes an untrained translator.

        Args:
            size: height and width of the images, even.
            channels: 1 or 3.
            width: channels of the halved maps.
            style: numbers in a style.
        """
        super().__init__()
        self.plane = nn.Linear(style, size * size)
        self.down = nn.Conv2d(channels + 1, width, 4, stride=2, padding=1, bias=False)
        self.down_norm = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(DEPTH))
        self.up = nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1, bias=False)
        self.up_norm = nn.BatchNorm2d(width // 2)
        self.last = nn.Conv2d(width // 2 + channels, channels, 3, padding=1)

    def features(self, images: torch.Tensor, styles: torch.Tensor) -> list[torch.Tensor]:
        """The halved maps (B, F, S/2, S/2): before the blocks, and after each of them."""
        plane = self.plane(styles).view(-1, 1, *images.shape[2:]).to(images.dtype)
        stacked = torch.cat([images, plane], dim=1).contiguous(memory_format=torch.channels_last)
        maps = [F.relu(self.down_norm(self.down(stacked)))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def forward(self, images: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] of images of that shape and styles (B, Y)."""
        maps = F.relu(self.up_norm(self.up(self.features(images, styles)[-1])))
        changed = self.last(torch.cat([maps, images.to(maps.dtype)], dim=1)).float()
        return torch.tanh(changed + KEPT * images)


class Generator(BankGenerator):
    """A translator with a bank of source images, which it draws from like any generator.

    Attributes:
        translator: the part that learns.
    """

    def __init__(self, *, size: int, channels: int, width: int, latent: int, classes: int, bank: int) -> None:
        """Makes an untrained generator with an empty bank.

        Args:
            size: height and width of the images, even.
            channels: 1 or 3.
            width: channels of the translator's maps.
            latent: numbers in a latent vector, at least 2.
            classes: number of classes.
            bank: most source images of a class.
        """
        super().__init__(size=size, channels=channels, classes=classes, bank=bank)
        self.translator = Translator(size=size, channels=channels, width=width, style=latent - 1)

    def changed(self, images: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """Translations (B, C, S, S) in [-1, 1] of images of that shape and styles (B, Z - 1)."""
        translated: torch.Tensor = self.translator(images, styles)
        return translated
