"""Learned augmentation: an image and a style to another image of its class, and a generator made of it.

This file is copied whole into registered models, with what it imports of this folder; beside that and the standard
library it imports PyTorch alone.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gtl_core.networks.bank import BankGenerator
from gtl_core.networks.dcgan import SLOPE, WIDEST, halvings

PLANES = 4
"""Maps that are made of the style at each size on the way back to the image; at the smallest, `WIDEST` times that."""

REACH = 0.4
"""How far a place of the image may move, where the image reaches from -1 to 1."""
KEPT = 2.0
"""How strongly the moved image stands in what becomes a pixel by tanh."""
BEGINNING = 0.1
"""Scale of the first weights that make a movement or a change, so that an image is still one at the first step."""


class Encode(nn.Module):
    """Halves the size of the maps."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(incoming, outgoing, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outgoing)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (B, outgoing, H / 2, W / 2) of maps (B, incoming, H, W)."""
        return F.leaky_relu(self.norm(self.convolution(maps)), SLOPE)


class Styled(nn.Module):
    """Maps with some more beside them that are made of the style, mixed by a convolution."""

    def __init__(self, incoming: int, outgoing: int, side: int, style: int, planes: int) -> None:
        super().__init__()
        self.shape = (planes, side, side)
        self.linear = nn.Linear(style, planes * side * side)
        self.convolution = nn.Conv2d(incoming + planes, outgoing, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outgoing)

    def forward(self, maps: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """Maps (B, outgoing, H, W) of maps (B, incoming, H, W) and styles (B, Y)."""
        planes = self.linear(styles).unflatten(1, self.shape).to(maps.dtype)
        stacked = torch.cat([maps, planes], dim=1).contiguous(memory_format=torch.channels_last)
        return F.relu(self.norm(self.convolution(stacked)))


class Decode(nn.Module):
    """Doubles the size of the maps."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(incoming, outgoing, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outgoing)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (B, outgoing, 2H, 2W) of maps (B, incoming, H, W)."""
        return F.relu(self.norm(self.convolution(maps)))


class Augmenter(nn.Module):
    """An image and a style to another image of its class.

    After the generator of DAGAN (Antoniou et al. 2017, arXiv 1711.04340): a U-Net whose way back is told a style at
    every size. The paper's draws every pixel anew. This one moves the image by a smooth field of shifts that its
    smallest maps make, and changes what stands there: what one learned with few classes and in minutes drew anew was
    no digit any more, whereas strokes that are bent or made thicker go on being those of a class never seen (learned
    transformations in space and appearance, Zhao et al. 2019, arXiv 1902.09383).
    """

    def __init__(self, *, size: int, channels: int, width: int, style: int) -> None:
        """Makes an untrained augmenter.

        Args:
            size: height and width of the images, a multiple of 4 from 16 on.
            channels: 1 or 3.
            width: channels of the largest maps; smaller maps have up to four times as many.
            style: numbers in a style.
        """
        super().__init__()
        depth = halvings(size)
        features = [width * min(2**level, WIDEST) for level in range(depth)]
        sides = [size >> level for level in range(1, depth + 1)]
        self.encoder = nn.ModuleList(Encode(*pair) for pair in pairwise([channels, *features]))
        self.middle = Styled(features[-1], features[-1], sides[-1], style, WIDEST * PLANES)
        self.decoder, self.styled = nn.ModuleList(), nn.ModuleList()
        for incoming, outgoing in pairwise(reversed(features)):
            self.decoder.append(Decode(incoming, outgoing))
            side = sides[depth - 1 - len(self.decoder)]
            self.styled.append(Styled(2 * outgoing, outgoing, side, style, PLANES))
        self.whole = Decode(width, width)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        self.shift = nn.Conv2d(features[-1], 2, 3, padding=1)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.orthogonal_(module.weight, BEGINNING if module in (self.last, self.shift) else 1.0)

    def forward(self, images: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] of images of that shape and styles (B, Y)."""
        maps, passed = images.contiguous(memory_format=torch.channels_last), []
        for layer in self.encoder:
            maps = layer(maps)
            passed.append(maps)
        maps = self.middle(passed.pop(), styles)
        moved = shifted(images, REACH * torch.tanh(self.shift(maps).float()))
        for decode, styled in zip(self.decoder, self.styled, strict=True):
            maps = styled(torch.cat([decode(maps), passed.pop()], dim=1), styles)
        return torch.tanh(self.last(self.whole(maps)).float() + KEPT * moved)


def shifted(images: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Images whose every place shows what stands a shift away.

    Args:
        images: float (B, C, S, S).
        shifts: float (B, 2, H, W), to the right and down, where the image reaches from -1 to 1; between these places
            they change evenly.
    """
    size = images.shape[2]
    centres = (2.0 * torch.arange(size, device=images.device) + 1.0) / size - 1.0
    rows, columns = torch.meshgrid(centres, centres, indexing="ij")
    # Of a place that is no number, `grid_sample` reads anywhere in memory: a training that diverges would crash.
    field = F.interpolate(shifts.nan_to_num(), size=(size, size), mode="bilinear", align_corners=False)
    places = torch.stack([columns, rows], dim=2) + field.permute(0, 2, 3, 1)
    return F.grid_sample(images.float(), places, padding_mode="border", align_corners=False)


class Generator(BankGenerator):
    """An augmenter with a bank of labelled target images, which it draws from like any generator.

    Attributes:
        augmenter: the part that learns.
    """

    def __init__(self, *, size: int, channels: int, width: int, latent: int, classes: int, bank: int) -> None:
        """Makes an untrained generator with an empty bank.

        Args:
            size: height and width of the images, a multiple of 4 from 16 on.
            channels: 1 or 3.
            width: channels of the augmenter's largest maps.
            latent: numbers in a latent vector, at least 2.
            classes: number of classes.
            bank: most images of a class.
        """
        super().__init__(size=size, channels=channels, classes=classes, bank=bank)
        self.augmenter = Augmenter(size=size, channels=channels, width=width, style=latent - 1)

    def changed(self, images: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """Other images (B, C, S, S) in [-1, 1] of images of that shape and styles (B, Z - 1)."""
        other: torch.Tensor = self.augmenter(images, styles)
        return other
