"""Frozen generator at first, then a part of it: the discriminator knows the target before the generator moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from gtl_core.config import FreezeGThenPartialConfig
from gtl_core.errors import InputError
from gtl_core.networks.registry import blocks, class_embeddings
from gtl_core.training.phases import Phase
from gtl_core.transfer.weight_strategy import WeightStrategy


@dataclass(frozen=True)
class FreezeGThenPartial(WeightStrategy):
    """The discriminator learns alone, then the generator's last blocks and class embeddings with it.

    After Zhao, Cong & Carin, "On leveraging pretrained GANs for generation with limited data" (arXiv 2002.11810), who
    keep a part of both networks frozen; which part, and that the discriminator goes first, is chosen here.
    """

    config: FreezeGThenPartialConfig

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """First no part of the generator for a share of the steps, then its last blocks and its class embeddings.

        Raises:
            InputError: the generator has fewer blocks than are to be trained.
        """
        layers = blocks(generator)
        if self.config.blocks > len(layers):
            raise InputError(
                f"transfer.strategies.{self.config.label}.blocks: this generator has {len(layers)} blocks, "
                f"got {self.config.blocks}; train no more than there are"
            )
        alone = Phase(0, (), (discriminator,))
        moving = (*layers[-self.config.blocks :], *class_embeddings(generator))
        together = Phase(round(steps * self.config.frozen_share), moving, (discriminator,))
        return (alone, together)
