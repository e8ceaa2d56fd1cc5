"""Singular values: what a weight tells apart stays, and only how strongly it does learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from gtl_core.config import SingularValuesConfig
from gtl_core.training.phases import Phase
from gtl_core.transfer.weight_strategy import WeightStrategy

_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class SingularValues(nn.Module):
    """A weight W = U diag(s) Vᵀ of which s alone can learn; kernels are flattened to a row an entry of the first axis.

    Attributes:
        left: U, float (M, R).
        right: Vᵀ, float (R, N).
    """

    left: torch.Tensor
    right: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        left, _, right = torch.linalg.svd(weight.detach().flatten(1), full_matrices=False)
        self.register_buffer("left", left.contiguous())
        self.register_buffer("right", right.contiguous())
        self.shape = weight.shape

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The weight of singular values s (R,)."""
        with torch.autocast(values.device.type, enabled=False):
            return ((self.left * values) @ self.right).view(self.shape)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Singular values (R,) of a weight with these singular vectors."""
        return ((self.left.T @ weight.flatten(1)) * self.right).sum(dim=1)


@dataclass(frozen=True)
class SingularValueTuning(WeightStrategy):
    """FSGAN (Robb et al. 2020, arXiv 2010.11943): singular values of both networks' linear layers and convolutions.

    The class embeddings learn with them, without which a class that the source does not have could not become one, and
    batch norm's statistics follow. In the finished checkpoint the weights are plain ones again.
    """

    config: SingularValuesConfig

    def adapt(self, network: nn.Module) -> None:
        """Splits every weight of a linear layer or convolution."""
        for owner, name in _weights(network):
            parametrize.register_parametrization(owner, name, SingularValues(cast(torch.Tensor, getattr(owner, name))))

    def settle(self, network: nn.Module) -> None:
        """Multiplies every weight out."""
        split = [
            (owner, name)
            for owner in network.modules()
            if parametrize.is_parametrized(owner)
            for name, chain in _parametrizations(owner).items()
            if isinstance(cast(nn.ModuleList, chain)[0], SingularValues)
        ]
        for owner, name in split:
            parametrize.remove_parametrizations(owner, name)

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """One phase: all but the layers themselves, whose singular values are modules of their own."""
        return (Phase(0, _around_layers(generator), _around_layers(discriminator)),)


def _weights(network: nn.Module) -> list[tuple[nn.Module, str]]:
    """Where the weights of the layers lie: in the layer, or below its spectral norm."""
    layers = [module for module in network.modules() if isinstance(module, _LAYERS)]
    return [
        (_parametrizations(layer)["weight"], "original")
        if parametrize.is_parametrized(layer, "weight")
        else (layer, "weight")
        for layer in layers
    ]


def _parametrizations(module: nn.Module) -> nn.ModuleDict:
    """How the parameters of a module come about, by name."""
    return cast(nn.ModuleDict, module.parametrizations)


def _around_layers(network: nn.Module) -> tuple[nn.Module, ...]:
    """Modules without children that are no layers, and what the layers' weights are made by."""
    return tuple(
        module
        for module in network.modules()
        if isinstance(module, parametrize.ParametrizationList)
        or not (isinstance(module, _LAYERS) or list(module.children()))
    )
