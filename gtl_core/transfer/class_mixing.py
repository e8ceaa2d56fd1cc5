"""Mixtures of classes: in the generator, a class of the target is a blend of the source's classes, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from gtl_core.config import ClassMixingConfig, GanConfig
from gtl_core.errors import InputError
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint, State
from gtl_core.training.penalties import Drawn, Penalty
from gtl_core.training.phases import Phase
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.weight_strategy import Lesson, WeightStrategy

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_SPEED = 100.0
"""How much faster scores learn than weights, which in a few hundred steps move too little to change a mixture."""
_FIRST_SCORE = 3.0
"""What the source class that a class begins with has ahead of the others: 0.83 of a mixture of five."""


class Mixture(nn.Module):
    """Embeddings M E + R: mixtures M = softmax(scores) of the source's embeddings E, and what they leave over, R.

    Attributes:
        source: E, float (K', F).
        residual: R, float (K, F), 0 at first.
    """

    source: torch.Tensor

    def __init__(self, embeddings: torch.Tensor, source: torch.Tensor) -> None:
        """Begins with the mixtures that lie nearest to given embeddings.

        Args:
            embeddings: float (K, F).
            source: float (K', F).
        """
        super().__init__()
        self.register_buffer("source", source.clone())
        self.residual = nn.Parameter(torch.zeros_like(embeddings))

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Embeddings (K, F) of scores (K, K')."""
        return torch.softmax(_SPEED * scores, dim=1) @ self.source + self.residual

    def right_inverse(self, embeddings: torch.Tensor) -> torch.Tensor:
        """First scores (K, K'): ahead for a source class whose embedding this is, even where it is that of none."""
        same = (embeddings[:, None] == self.source).all(dim=2)
        return same * (_FIRST_SCORE / _SPEED)


class KeptMixtures(Penalty):
    """λ (Σ|R| + ΣR²), so that a class stays a mixture where it can be one; the paper has 0.01 for both."""

    def __init__(self, generator: nn.Module, weight: float) -> None:
        self._mixtures = [module for module in generator.modules() if isinstance(module, Mixture)]
        self._weight = weight

    def of_generator(self, drawn: Drawn) -> torch.Tensor:
        """The penalty of the residuals as they are now."""
        total = drawn.images.new_zeros(())
        for mixture in self._mixtures:
            total = total + mixture.residual.abs().sum() + mixture.residual.square().sum()
        return self._weight * total


@dataclass(frozen=True, eq=False)
class ClassMixing(WeightStrategy):
    """cGANTransfer (Shahbazi et al., CVPR 2021, arXiv 2102.06696), for classes that the source does not have.

    Each class of the target has scores over the source's classes, others in every layer of the generator: its gains,
    offsets and embedding are the mixture of theirs, and a residual. First these learn alone in the generator, so that
    what its layers draw stays; then all of it does. The discriminator learns all the time. With `start: nearest` a
    mixture begins at the nearest source class, else even. The finished generator is a plain one.

    Attributes:
        config: its settings.
        source: the source's averaged generator; empty until there is a lesson.
    """

    config: ClassMixingConfig
    source: State = field(default_factory=dict)

    def lesson(self, inputs: TransferInputs, gan: GanConfig, on_progress: OnProgress) -> Lesson:
        """The labelled images, with the source's embeddings to mix."""
        source = GanCheckpoint.load(cast(Path, inputs.source_gan))
        return Lesson(replace(self, source=source.ema), inputs.images, inputs.labels)

    def adapt(self, network: nn.Module) -> None:
        """Makes mixtures of the generator's embeddings."""
        for name, module in list(network.named_modules()):
            if isinstance(module, nn.Embedding) and f"{name}.weight" in self.source:
                mixture = Mixture(module.weight, self.source[f"{name}.weight"])
                parametrize.register_parametrization(module, "weight", mixture)

    def settle(self, network: nn.Module) -> None:
        """Works every mixture out."""
        for module in list(network.modules()):
            if isinstance(module, nn.Embedding) and parametrize.is_parametrized(module):
                parametrize.remove_parametrizations(module, "weight")

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """Mixtures and batch norm's statistics for a share of the steps, then all of the generator.

        Raises:
            InputError: the classes have no embeddings to mix.
        """
        moving = tuple(module for module in generator.modules() if isinstance(module, (nn.Embedding, *_NORMS)))
        if not any(isinstance(module, nn.Embedding) for module in moving):
            raise InputError(
                f"transfer.strategies.{self.config.label}: class_mixing mixes the embeddings of classes, and with "
                "gan.condition text there are none; leave it out, or take gan.condition class"
            )
        mixing = Phase(0, moving, (discriminator,))
        together = Phase(round(steps * self.config.mixing_share), (generator,), (discriminator,))
        return mixing, together

    def penalties(self, origin: GanCheckpoint, generator: nn.Module, discriminator: nn.Module) -> Sequence[Penalty]:
        """What keeps the classes near their mixtures."""
        return (KeptMixtures(generator, self.config.residual),)
