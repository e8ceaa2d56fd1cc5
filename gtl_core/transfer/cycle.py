"""Translation that can be undone: there and back again gives the image that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import CycleConfig
from gtl_core.networks.classifier import Classifier
from gtl_core.networks.registry import GanSpec, build_discriminator, build_generator
from gtl_core.networks.translator import Generator, Translator
from gtl_core.training.losses import hinge_discriminator, hinge_generator
from gtl_core.training.translation import TranslationBatch

BACKWARD = "backward"
SOURCE_DISCRIMINATOR = "source_discriminator"
_SURE = 0.9
"""Probability from which the classifier's reading of an image is held against its translation."""


@dataclass(frozen=True)
class Cycle:
    """CyCADA (Hoffman et al. 2018, arXiv 1711.03213): cycle consistency and semantic consistency.

    A second translator B leads from the target back to the source against a discriminator of its own. Added to the
    losses of `translate` are |B(T(x)) − x| and |T(B(t)) − t| (the paper's equation 4), the adversarial loss of B, and
    the cross-entropy between what the source's classifier, which stays as it is, reads in an image and in its
    translation (equation 5), here both ways and only for images that it is sure of.

    Attributes:
        config: weights of the terms.
        spec: of the generator whose translator learns.
        classifier: the source's, on the training device, which does not learn.
        seed: seed of the further networks.
    """

    config: CycleConfig
    spec: GanSpec
    classifier: Classifier
    seed: int

    def networks(self) -> dict[str, nn.Module]:
        """The translator back."""
        # The smallest bank, which nothing is put into: the way back starts from real target images.
        generator = cast(Generator, build_generator(replace(self.spec, bank=1), self.seed + 2))
        return {BACKWARD: generator.translator}

    def critics(self) -> dict[str, nn.Module]:
        """The discriminator of source images."""
        return {SOURCE_DISCRIMINATOR: build_discriminator(self.spec, self.seed + 3)}

    def loss(self, batch: TranslationBatch, translator: Translator, networks: Mapping[str, nn.Module]) -> torch.Tensor:
        """Both cycles, the adversarial loss of the way back, and the semantic consistency."""
        backward, critic = networks[BACKWARD], networks[SOURCE_DISCRIMINATOR]
        returned = backward(batch.real, batch.styles)
        cycles = functional.l1_loss(backward(batch.translated, batch.styles), batch.source)
        cycles = cycles + functional.l1_loss(translator(returned, batch.styles), batch.real)
        critic.eval().requires_grad_(False)
        adversarial = hinge_generator(critic(returned))
        critic.train().requires_grad_(True)
        semantic = self._semantic(batch.source, batch.translated) + self._semantic(batch.real, returned)
        total: torch.Tensor = cycles * self.config.cycle + adversarial * self.config.adversarial
        return total + semantic * self.config.semantic

    def critic_loss(self, batch: TranslationBatch, networks: Mapping[str, nn.Module]) -> torch.Tensor:
        """Hinge loss of telling source images from target images led back."""
        with torch.no_grad():
            returned = networks[BACKWARD](batch.real, batch.styles)
        logits = networks[SOURCE_DISCRIMINATOR](torch.cat([batch.source, returned]))
        count = len(batch.source)
        return hinge_discriminator(logits[:count], logits[count:])

    def _semantic(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of what the classifier reads after, under what it surely read before."""
        with torch.no_grad():
            sure, read = self.classifier(before).float().softmax(dim=1).max(dim=1)
        losses = functional.cross_entropy(self.classifier(after).float(), read, reduction="none")
        held: torch.Tensor = (losses * (sure >= _SURE)).mean()
        return held
