"""A generator that changes images it carries with it: latent and class to image, as of any generator.

This file is copied whole into registered models, so beside the standard library it imports PyTorch alone.
"""

from __future__ import annotations

import torch
from torch import nn


class BankGenerator(nn.Module):
    """A bank of images of every class, of which a latent picks one and says how to change it.

    The first number of a latent picks the image, each of the class's as likely as any other where latents are standard
    normal; the others are the style.

    Attributes:
        bank: uint8 (K · M, C, S, S), M places for the images of each class.
        counts: int64 (K,), how many of its places a class fills.
    """

    bank: torch.Tensor
    counts: torch.Tensor

    def __init__(self, *, size: int, channels: int, classes: int, bank: int) -> None:
        """Makes an empty bank.

        Args:
            size: height and width of the images.
            channels: 1 or 3.
            classes: number of classes.
            bank: most images of a class.
        """
        super().__init__()
        self.register_buffer("bank", torch.zeros((classes * bank, channels, size, size), dtype=torch.uint8))
        self.register_buffer("counts", torch.ones(classes, dtype=torch.int64))

    def picked(self, latent: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The images of the bank (B, C, S, S) in [-1, 1] that latents (B, Z) and labels int64 (B,) stand for."""
        counts, first = self.counts[labels], labels * (len(self.bank) // len(self.counts))
        places = torch.minimum((torch.special.ndtr(latent[:, 0].double()) * counts).long(), counts - 1)
        return self.bank[first + places].float() / 127.5 - 1.0

    def changed(self, images: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] of images of that shape and styles (B, Z - 1)."""
        raise NotImplementedError

    def forward(self, latent: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] of latents (B, Z) and labels int64 (B,)."""
        return self.changed(self.picked(latent, labels), latent[:, 1:])
