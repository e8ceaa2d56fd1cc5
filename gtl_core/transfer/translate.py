"""Translation: source images take on the look of the target and keep their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from gtl_core.networks.translator import Translator
from gtl_core.training.translation import TranslationBatch


@dataclass(frozen=True)
class LabelAlone:
    """PixelDA (Bousmalis et al. 2017, arXiv 1612.05424): nothing is kept but what the classifier needs.

    The paper's equation 3 with its hinge form: the translator minimises a · adversarial loss plus the cross-entropy of
    a classifier on source and translated images; the paper's content loss is for pictures with a known foreground.
    """

    def networks(self) -> dict[str, nn.Module]:
        """None."""
        return {}

    def critics(self) -> dict[str, nn.Module]:
        """None."""
        return {}

    def loss(
        self, batch: TranslationBatch, translator: Translator, networks: Mapping[str, nn.Module]
    ) -> torch.Tensor | None:
        """Nothing beside the trainer's own losses."""
        return None

    def critic_loss(self, batch: TranslationBatch, networks: Mapping[str, nn.Module]) -> torch.Tensor | None:
        """Nothing."""
        return None
