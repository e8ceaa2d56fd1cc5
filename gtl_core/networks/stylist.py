"""Stylist: an image with the content of one image and the style of another, and a generator made of it.

This file is copied whole into registered models, so beside the standard library it imports PyTorch alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-5


def moments(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and standard deviations of each channel of each image, (B, F, 1, 1), of maps (B, F, H, W)."""
    variance, mean = torch.var_mean(maps.float(), dim=(2, 3), keepdim=True, correction=0)
    return mean, (variance + EPSILON).sqrt()


def adain(content: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """Content whose channels have the means and deviations of the style's (Huang & Belongie 2017, equation 8).

    Args:
        content: float (B, F, H, W).
        style: float (B, F, H', W').
    """
    mean, deviation = moments(content)
    wanted_mean, wanted_deviation = moments(style)
    return wanted_deviation * (content - mean) / deviation + wanted_mean


class Encoder(nn.Module):
    """Image to features at the whole, half and quarter size; batch norm brings all of them to one scale.

    Attributes:
        stages: one for each size.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = ((channels, width, 3, 1), (width, 2 * width, 4, 2), (2 * width, 4 * width, 4, 2))
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(incoming, outgoing, kernel, stride, padding=1, padding_mode="reflect", bias=False),
                nn.BatchNorm2d(outgoing),
                nn.LeakyReLU(0.2),
            )
            for incoming, outgoing, kernel, stride in sizes
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Features of images (B, C, S, S), the coarsest last: (B, 4F, S/4, S/4)."""
        maps = [images.contiguous(memory_format=torch.channels_last)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


class Decoder(nn.Module):
    """The coarsest features to an image, without any normalisation, which would take the style away again."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = ((4 * width, 2 * width), (2 * width, width))
        self.doubling = nn.ModuleList(
            nn.Conv2d(incoming, outgoing, 3, padding=1, padding_mode="reflect") for incoming, outgoing in sizes
        )
        self.fine = nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect")
        self.last = nn.Conv2d(width, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] of features (B, 4F, S/4, S/4)."""
        for layer in self.doubling:
            maps = F.interpolate(F.relu(layer(maps)), scale_factor=2.0)
        return torch.tanh(self.last(F.relu(self.fine(maps))).float())


class Generator(nn.Module):
    """A stylist with a bank of images: latent to a stylised image, as of any generator.

    The first number of a latent picks the image for the content and the second one that for the style, each as likely
    as any other where latents are standard normal.

    Attributes:
        encoder: image to features.
        decoder: features to image.
        bank: uint8 (2 M, C, S, S), M places for contents and as many for styles.
        counts: int64 (2,), how many of these places are filled.
    """

    bank: torch.Tensor
    counts: torch.Tensor

    def __init__(self, *, size: int, channels: int, width: int, latent: int, classes: int, bank: int) -> None:
        """Makes an untrained stylist with an empty bank.

        Args:
            size: height and width of the images, a multiple of 4.
            channels: 1 or 3.
            width: channels of the finest features; the coarsest have four times as many.
            latent: numbers in a latent vector, at least 2.
            classes: 2: images with the look of others, and those others.
            bank: most images of each kind.
        """
        super().__init__()
        self.encoder, self.decoder = Encoder(channels, width), Decoder(channels, width)
        self.register_buffer("bank", torch.zeros((classes * bank, channels, size, size), dtype=torch.uint8))
        self.register_buffer("counts", torch.ones(classes, dtype=torch.int64))

    def stylised(self, content: torch.Tensor, style: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] with the content of one (B, C, S, S) and the style of another.

        Args:
            content: what is shown.
            style: how it shall look.
            strength: from 0, the content as the decoder draws it, to 1 (equation 14).
        """
        own = self.encoder(content)[-1]
        wanted = adain(own, self.encoder(style)[-1])
        images: torch.Tensor = self.decoder(torch.lerp(own.float(), wanted.float(), strength))
        return images

    def forward(self, latent: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] of latents (B, Z) and labels int64 (B,).

        Label 0 is for contents with the look of styles, label 1 for styles as the decoder gives them back.
        """
        places = torch.minimum((torch.special.ndtr(latent[:, :2].double()) * self.counts).long(), self.counts - 1)
        picked = self.bank[places + torch.tensor([0, len(self.bank) // 2], device=places.device)].float() / 127.5 - 1.0
        content = torch.where((labels == 0)[:, None, None, None], picked[:, 0], picked[:, 1])
        return self.stylised(content, picked[:, 1])
