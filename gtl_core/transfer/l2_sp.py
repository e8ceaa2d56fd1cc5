"""L2-SP: fine-tuning that pays for every weight of the generator that leaves the source's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from gtl_core.config import L2SpConfig
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.penalties import Penalty
from gtl_core.transfer.keeping_weights import KeptWeights
from gtl_core.transfer.weight_strategy import WeightStrategy


@dataclass(frozen=True)
class L2Sp(WeightStrategy):
    """L2-SP (Li, Grandvalet & Davoine 2018, arXiv 1802.01483): λ/2 |θ − θ*|², on the generator alone, as with EWC."""

    config: L2SpConfig

    def penalties(self, origin: GanCheckpoint, generator: nn.Module, discriminator: nn.Module) -> Sequence[Penalty]:
        """The squared distance from the source's weights."""
        return (KeptWeights(generator, origin.generator, self.config.weight),)
