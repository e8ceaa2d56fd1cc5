"""Correspondence: latents that the source generator drew alike are to be drawn alike by the target's too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import CorrespondenceConfig
from gtl_core.networks.registry import blocks, build_generator
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.penalties import Drawn, Penalty
from gtl_core.training.runtime import autocast, placed
from gtl_core.transfer.weight_strategy import WeightStrategy

_COMPARED = 32
"""Images of a step that are compared; the source generator has to draw as many."""


@dataclass(frozen=True)
class Correspondence(WeightStrategy):
    """Cross-domain correspondence (CDC, Ojha et al. 2021, arXiv 2104.06820).

    λ Σₗ KL(softmax of the target generator's similarities ‖ the source's), at every block but the one that makes the
    pixels, for the same latents and classes. The paper's patch discriminator is left out: it lets only the images
    around a few anchors be judged whole, where there are ten images in all, whereas a class-conditional discriminator
    needs the whole image to tell the class.
    """

    config: CorrespondenceConfig

    def penalties(self, origin: GanCheckpoint, generator: nn.Module, discriminator: nn.Module) -> Sequence[Penalty]:
        """What the loss of the source's similarities costs."""
        source = build_generator(origin.spec, 0)
        source.load_state_dict(origin.generator)
        where = next(generator.parameters()).device
        return (KeptSimilarities(generator, placed(source, where), self.config.weight),)


class KeptSimilarities(Penalty):
    """Compares what two generators make of the same latents, block by block."""

    def __init__(self, generator: nn.Module, source: nn.Module, weight: float) -> None:
        """Listens to the blocks of both.

        Args:
            generator: the generator in training.
            source: the source's, which stays.
            weight: λ.
        """
        self._source, self._weight = source.eval().requires_grad_(False), weight
        self._features = _listen(generator)
        self._source_features = _listen(source)

    def of_generator(self, drawn: Drawn) -> torch.Tensor:
        """The divergence summed over the blocks."""
        count = min(_COMPARED, len(drawn.latents))
        with torch.no_grad(), autocast(drawn.images.device):
            self._source(drawn.latents[:count], drawn.labels[:count])
        pairs = zip(self._features, self._source_features, strict=True)
        terms = [divergence(features[:count].float(), source.float()) for features, source in pairs]
        return self._weight * torch.stack(terms).sum()


def divergence(features: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Mean KL(p ‖ q) over images i, with p = softmax over j ≠ i of cos(fᵢ, fⱼ), and q the same of the source.

    Args:
        features: float (B, …), of the generator in training.
        source: float (B, …), of the source generator for the same latents.
    """
    p, q = _log_similarities(features), _log_similarities(source)
    return functional.kl_div(q, p, reduction="batchmean", log_target=True)


def _log_similarities(features: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (B, B − 1) of the other images, by cosine."""
    units = functional.normalize(features.flatten(1), dim=1)
    batch = len(units)
    others = ~torch.eye(batch, dtype=torch.bool, device=units.device)
    return (units @ units.T)[others].view(batch, batch - 1).log_softmax(dim=1)


def _listen(generator: nn.Module) -> list[torch.Tensor]:
    """A list that holds what each block but the last one gave when the generator drew last."""
    parts = blocks(generator)[:-1]
    heard: list[torch.Tensor] = [torch.empty(0)] * len(parts)
    for place, block in enumerate(parts):

        def keep(module: nn.Module, given: object, made: torch.Tensor, place: int = place) -> None:
            heard[place] = made

        block.register_forward_hook(keep)
    return heard
