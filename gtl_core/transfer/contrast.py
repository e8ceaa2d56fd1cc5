"""Translation that keeps each place: a patch of the translation is nearer to its own source patch than to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import ContrastConfig
from gtl_core.networks.registry import GanSpec
from gtl_core.networks.translator import DEPTH, Translator
from gtl_core.training.translation import TranslationBatch

HEADS = "heads"
LAYERS = (0, DEPTH)
"""Which of the translator's features are compared: before the first residual block and after the last."""
_UNITS = 64


@dataclass(frozen=True)
class Contrast:
    """CUT (Park et al. 2020, arXiv 2007.15651): one-sided translation with a patchwise contrastive loss.

    Features of the translator's own first half, of the source image and of its translation, at the same places make
    positive pairs; other places of the same image make negative ones. As in the paper's equation 3 the same is asked
    of target images translated onto themselves.

    Attributes:
        config: weight, temperature and number of patches.
        spec: of the generator whose translator learns.
        seed: seed of the projection heads.
    """

    config: ContrastConfig
    spec: GanSpec
    seed: int

    def networks(self) -> dict[str, nn.Module]:
        """A projection of two layers for each compared feature."""
        width = self.spec.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + 2)
            heads = nn.ModuleList(
                nn.Sequential(nn.Linear(width, _UNITS), nn.ReLU(), nn.Linear(_UNITS, _UNITS)) for _ in LAYERS
            )
        return {HEADS: heads}

    def critics(self) -> dict[str, nn.Module]:
        """None."""
        return {}

    def loss(self, batch: TranslationBatch, translator: Translator, networks: Mapping[str, nn.Module]) -> torch.Tensor:
        """The contrastive loss of source images and of target images."""
        identity = translator(batch.real, batch.styles)
        pairs = ((batch.source, batch.translated), (batch.real, identity))
        losses = [self._patches(before, after, batch, translator, networks) for before, after in pairs]
        return self.config.contrast * (losses[0] + losses[1]) / 2.0

    def critic_loss(self, batch: TranslationBatch, networks: Mapping[str, nn.Module]) -> torch.Tensor | None:
        """Nothing."""
        return None

    def _patches(
        self,
        before: torch.Tensor,
        after: torch.Tensor,
        batch: TranslationBatch,
        translator: Translator,
        networks: Mapping[str, nn.Module],
    ) -> torch.Tensor:
        """Mean of `patch_contrast` over the compared layers."""
        keys, queries = (translator.features(images, batch.styles) for images in (before, after))
        places = keys[0].shape[2] * keys[0].shape[3]
        chosen = torch.randperm(places, generator=batch.random, device=before.device)[: self.config.patches]
        total = torch.zeros((), device=before.device)
        for head, layer in zip(networks[HEADS].children(), LAYERS, strict=True):
            query, key = (head(maps[layer].flatten(2)[:, :, chosen].transpose(1, 2)) for maps in (queries, keys))
            total = total + patch_contrast(query, key.detach(), self.config.temperature)
        return total / len(LAYERS)


def patch_contrast(queries: torch.Tensor, keys: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE over the places of each image (CUT, equation 2).

    Args:
        queries: float (B, P, F), features of P places of the translation.
        keys: float (B, P, F), features of the same places of the image that was translated.
        temperature: what cosine similarities are divided by.

    Returns:
        Mean cross-entropy of finding each place again among the places of its image; ln P where all are alike.
    """
    similar = functional.normalize(queries.float(), dim=2) @ functional.normalize(keys.float(), dim=2).transpose(1, 2)
    batch, places, _ = similar.shape
    own = torch.arange(places, device=similar.device).repeat(batch)
    return functional.cross_entropy(similar.flatten(0, 1) / temperature, own)
