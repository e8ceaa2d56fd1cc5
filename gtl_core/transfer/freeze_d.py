"""FreezeD: the discriminator's first blocks keep what they learned to see on the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from gtl_core.config import FreezeDConfig
from gtl_core.errors import InputError
from gtl_core.networks.registry import beside_blocks, blocks
from gtl_core.training.phases import Phase
from gtl_core.transfer.weight_strategy import WeightStrategy


@dataclass(frozen=True)
class FreezeD(WeightStrategy):
    """FreezeD (Mo et al. 2020, arXiv 2002.10964), which freezes 3 of a projection discriminator's lower blocks there.

    Frozen blocks need no gradients in the discriminator's step, so that a step costs less than one of fine-tuning.
    """

    config: FreezeDConfig
    needs_discriminator = True

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """All of the generator, and the discriminator from the first block that is not frozen on.

        Raises:
            InputError: the discriminator has fewer blocks than are to be frozen.
        """
        lowest = blocks(discriminator)
        if self.config.blocks > len(lowest):
            raise InputError(
                f"transfer.strategies.{self.config.label}.blocks: this discriminator has {len(lowest)} blocks, "
                f"got {self.config.blocks}; freeze no more than there are"
            )
        learning = (*lowest[self.config.blocks :], *beside_blocks(discriminator))
        return (Phase(0, (generator,), learning),)
