"""Scale and shift: the source's convolutions stay, and only how loud and how bright each of their maps is learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from gtl_core.config import ScaleShiftConfig
from gtl_core.networks.registry import beside_blocks, blocks, class_embeddings
from gtl_core.training.phases import Phase
from gtl_core.transfer.weight_strategy import WeightStrategy


@dataclass(frozen=True)
class ScaleShift(WeightStrategy):
    """BSA (Noguchi & Harada, ICCV 2019, arXiv 1904.01774), with adversarial losses in place of its reconstruction.

    In the generator: batch norm's gains and offsets, which belong to the classes here, with its statistics, and the
    class embeddings; they learn ten times as fast as a whole generator would. The discriminator, which BSA does not
    have, keeps the source's features and learns its last block and its head, with the class embeddings in it: with the
    head alone it could not tell real from generated images, and with all of it a step would cost nearly what one of
    fine-tuning does. No convolution of the generator and no early block needs a gradient of its weights.
    """

    config: ScaleShiftConfig

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """One phase: norms and embeddings of the generator, the last block of the discriminator and all after it."""
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
        norms = [module for module in generator.modules() if isinstance(module, kinds)]
        moving = (*norms, *class_embeddings(generator))
        return (Phase(0, moving, (blocks(discriminator)[-1], *beside_blocks(discriminator))),)
