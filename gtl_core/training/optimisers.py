"""Adam for the networks of a training, and its moments in and out of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from gtl_core.training.checkpoint import State


def adam(
    network: nn.Module, learning_rate: float, betas: tuple[float, float], moments: Mapping[str, torch.Tensor]
) -> torch.optim.Adam:
    """Adam over all parameters of a network, in one fused kernel.

    Args:
        network: on the training device.
        learning_rate: of every parameter.
        betas: decays of the first and the second moment.
        moments: from `moments_of`, or empty before the first step.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate, betas=betas, fused=True)
    for name, parameter in network.named_parameters():
        if f"{name}/step" in moments:
            # The fused kernel walks through memory, so moments must lie in it as the parameter does.
            optimiser.state[parameter] = {
                key: torch.empty_like(parameter, requires_grad=False).copy_(moments[f"{name}/{key}"])
                for key in ("exp_avg", "exp_avg_sq")
            } | {"step": moments[f"{name}/step"].to(parameter.device)}
    return optimiser


def moments_of(network: nn.Module, optimiser: torch.optim.Adam) -> State:
    """Adam's state by parameter name: what `adam` takes up."""
    return {
        f"{name}/{key}": value
        for name, parameter in network.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
    }
