"""The generator that images are drawn with: an average of its weights over the training."""

from __future__ import annotations

import torch
from torch import nn

from gtl_core.training.runtime import autocast

STATISTICS_BATCHES = 16
"""Batches that batch norm's statistics are taken from anew."""
STATISTICS_BATCH = 128


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Moves the averaged weights towards the network's, exponentially.

    Args:
        average: a copy of the network whose parameters are averages.
        network: the network in training.
        decay: what is kept of the average at each step, once the training is long enough: it never reaches further
            back than about a tenth of the steps made, so that the start is soon forgotten (Karras et al. 2020 ramp
            theirs up for the same reason).
        step: steps made before this one.
    """
    kept = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1.0 - kept)


@torch.no_grad()
def copy_statistics(average: nn.Module, network: nn.Module) -> None:
    """Gives averaged weights the batch norm statistics of the latest step's, which they follow closely enough.

    Args:
        average: a copy of the network whose parameters are averages.
        network: the network in training.
    """
    for averaged, latest in zip(average.buffers(), network.buffers(), strict=True):
        averaged.copy_(latest)


@torch.no_grad()
def fit_statistics(average: nn.Module, network: nn.Module, latent: int, labels: torch.Tensor, seed: int) -> None:
    """Takes the batch norm statistics of the averaged weights from images that those draw.

    Running statistics belong to the weights of each single step; those of the averaged weights are neither them nor
    their average. Where the network uses stored statistics in training, because that part is frozen, these stay.

    Args:
        average: the averaged network; afterwards in evaluation mode, with new statistics.
        network: the network in training, which tells what is frozen: modules in evaluation mode.
        latent: numbers in a latent vector.
        labels: int64 (K,), the classes to draw.
        seed: seed of latents and labels.
    """
    where = labels.device
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    average.eval()
    momenta: list[tuple[nn.BatchNorm1d | nn.BatchNorm2d, float | None]] = []
    for averaged, trained in zip(average.modules(), network.modules(), strict=True):
        if isinstance(averaged, norms) and trained.training:
            averaged.reset_running_stats()
            momenta.append((averaged, averaged.momentum))
            averaged.momentum = None  # a plain mean over the batches
            averaged.train()
    if momenta:
        generator = torch.Generator(where).manual_seed(seed)
        for _ in range(STATISTICS_BATCHES):
            latents = torch.randn((STATISTICS_BATCH, latent), generator=generator, device=where)
            chosen = torch.randint(len(labels), (STATISTICS_BATCH,), generator=generator, device=where)
            with autocast(where):
                average(latents, labels[chosen])
    for norm, momentum in momenta:
        norm.momentum = momentum
    average.eval()
