"""Fine-tuning: source weights, then all of both networks learns the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from gtl_core.config import FinetuneConfig
from gtl_core.training.phases import Phase, everything


@dataclass(frozen=True)
class Finetune:
    """TransferGAN (Wang et al., ECCV 2018, arXiv 1805.01677)."""

    config: FinetuneConfig

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """All of both networks, all the time."""
        return everything(generator, discriminator, steps)
