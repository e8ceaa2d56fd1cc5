"""The evidence lower bound of a variational autoencoder in its two parts, as pure functions, in nats an image.

log p(x) ≥ E[log p(x | z)] − KL(q(z | x) ‖ p(z)), with z drawn from q (Kingma & Welling 2014, arXiv 1312.6114). Given
the class y everywhere, it is that of a conditional one with a prior that knows nothing of the class (Sohn et al. 2015).
"""

from __future__ import annotations

import math

import torch

LEAST_VARIANCE = (2.0 / 255.0) ** 2 / 12.0
"""That of rounding pixels in [-1, 1] to 8 bits: no image tells of a smaller one."""


def reparametrised(means: torch.Tensor, log_variances: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Draws z = μ + σ ε, through which gradients reach μ and σ.

    Args:
        means: μ, float (B, Z).
        log_variances: log σ², float (B, Z).
        noise: ε, float (B, Z), standard normal.
    """
    return means + (0.5 * log_variances).exp() * noise


def gaussian_kl(means: torch.Tensor, log_variances: torch.Tensor) -> torch.Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) = ½ Σ (σ² + μ² − 1 − log σ²).

    Args:
        means: μ, float (B, Z).
        log_variances: log σ², float (B, Z).

    Returns:
        float (B,), in nats.
    """
    return 0.5 * (log_variances.exp() + means.square() - 1.0 - log_variances).sum(dim=1)


def gaussian_nll(values: torch.Tensor, expected: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """−log N(x; x̂, σ² I).

    Args:
        values: x, float (B, …).
        expected: x̂, of that shape.
        variance: σ², float (), of every number alike.

    Returns:
        float (B,), in nats.
    """
    squares = (values - expected).square().flatten(1)
    return 0.5 * (squares / variance + variance.log() + math.log(2.0 * math.pi)).sum(dim=1)


def fitted_variance(values: torch.Tensor, expected: torch.Tensor, least: float = 0.0) -> torch.Tensor:
    """The σ² under which values are likeliest: their mean squared distance from what was expected.

    With it nothing weighs reconstruction against the divergence by hand (σ-VAE, Rybkin et al. 2021, arXiv 2006.13202).
    At the optimum the likelihood does not change with σ², so that no gradient has to pass through it.

    Args:
        values: float (B, …).
        expected: of that shape.
        least: what it never falls under.

    Returns:
        float (), without a graph.
    """
    return (values - expected).detach().square().mean().clamp_min(least)
