"""What latents pass before a generator: a small network that learns where to look.

This file is copied whole into registered models, so beside the standard library it imports PyTorch alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Mapping(nn.Module):
    """Latent to latent, by a small residual network that begins as the identity (the miner of MineGAN, 1912.05270)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.inner = nn.Linear(latent, latent)
        self.outer = nn.Linear(latent, latent)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Latents (B, Z) of latents (B, Z)."""
        moved: torch.Tensor = latent + self.outer(F.relu(self.inner(latent)))
        return moved
