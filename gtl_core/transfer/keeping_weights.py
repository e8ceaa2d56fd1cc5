"""What leaving the source's weights costs: a penalty that EWC and L2-SP share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from gtl_core.training.checkpoint import State
from gtl_core.training.penalties import Drawn, Penalty


class KeptWeights(Penalty):
    """λ/2 Σ Fᵢ (θᵢ − θ*ᵢ)² over the generator's parameters."""

    def __init__(
        self, generator: nn.Module, source: State, weight: float, importance: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """Remembers the source.

        Args:
            generator: the generator in training.
            source: θ*, by parameter name.
            weight: λ.
            importance: F by parameter name, each of its parameter's shape; None for 1 everywhere.
        """
        self._weight = weight
        self._terms = [
            (
                parameter,
                source[name].to(parameter.device),
                None if importance is None else importance[name].to(parameter.device),
            )
            for name, parameter in generator.named_parameters()
        ]

    def of_generator(self, drawn: Drawn) -> torch.Tensor:
        """The penalty of the weights as they are now."""
        total = drawn.images.new_zeros(())
        for parameter, source, importance in self._terms:
            squares = (parameter - source).square()
            total = total + (squares if importance is None else importance * squares).sum()
        return self._weight / 2.0 * total
