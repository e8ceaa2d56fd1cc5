"""Mining: first learn where among the source's images the target's are, then learn the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import nn

from gtl_core.config import MineConfig
from gtl_core.training.phases import Phase
from gtl_core.transfer.weight_strategy import WeightStrategy


@dataclass(frozen=True)
class Mine(WeightStrategy):
    """MineGAN (Wang et al. 2020, arXiv 1912.05270).

    A small residual network M before the generator, which begins as the identity, learns with the discriminator while
    G stays: G(M(z)) then draws those of the source's images that look most like the target. After that all learns. The
    finished generator is an ordinary one with a mapping.
    """

    config: MineConfig
    mapping = True

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """The mapping and the discriminator for a share of the steps, then all of both networks."""
        mining = Phase(0, (cast(nn.Module, generator.mapping),), (discriminator,))
        together = Phase(round(steps * self.config.mining_share), (generator,), (discriminator,))
        return (mining, together)
