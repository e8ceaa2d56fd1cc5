"""The evidence lower bound, against closed forms and against probabilistic PCA, where it can be exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from gtl_core.training.elbo import fitted_variance, gaussian_kl, gaussian_nll, reparametrised


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_divergence_is_that_of_torch_and_nothing_for_the_prior_itself() -> None:
    means, log_variances = seeded(5, 3), seeded(5, 3, seed=1)
    posterior = torch.distributions.Normal(means, (0.5 * log_variances).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(gaussian_kl(means, log_variances), expected)
    assert gaussian_kl(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0.0, 0.0]


def test_the_likelihood_of_images_is_the_sum_over_their_numbers_that_torch_gives() -> None:
    images, expected = seeded(4, 1, 3, 3), seeded(4, 1, 3, 3, seed=1)
    variance = torch.tensor(0.3, dtype=torch.float64)
    right = -torch.distributions.Normal(expected, math.sqrt(0.3)).log_prob(images).sum(dim=(1, 2, 3))
    torch.testing.assert_close(gaussian_nll(images, expected, variance), right)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2.0])
def test_under_no_other_variance_are_the_images_likelier_than_under_the_fitted_one(factor: float) -> None:
    images, expected = seeded(4, 1, 3, 3), seeded(4, 1, 3, 3, seed=1)
    variance = fitted_variance(images, expected)
    best, other = (gaussian_nll(images, expected, value).sum() for value in (variance, factor * variance))
    assert best < other


def test_the_fitted_variance_never_falls_under_the_least_one() -> None:
    images = seeded(2, 1, 3, 3)
    assert fitted_variance(images, images, least=0.25).item() == 0.25


def test_drawn_latents_have_the_mean_and_deviation_that_they_are_drawn_with() -> None:
    means, log_variances = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.0, 2.0]])
    drawn = reparametrised(means, log_variances, seeded(40_000, 2).float())
    torch.testing.assert_close(drawn.mean(dim=0), means[0], atol=0.04, rtol=0.0)
    torch.testing.assert_close(drawn.std(dim=0), (0.5 * log_variances[0]).exp(), rtol=0.02, atol=0.0)


def cubature(latent: int) -> torch.Tensor:
    """2 Z points with exactly the mean and the covariance of standard normal noise, so that squares come out exact."""
    axes = math.sqrt(latent) * torch.eye(latent, dtype=torch.float64)
    return torch.cat([axes, -axes])


def lower_bound(
    rows: torch.Tensor,
    means: torch.Tensor,
    log_variances: torch.Tensor,
    weights: torch.Tensor,
    offset: torch.Tensor,
    variance: torch.Tensor | None = None,
) -> torch.Tensor:
    """The bound of each row where p(x | z) = N(W z + μ, σ² I): float (N,); σ² fitted where none is given."""
    noise = cubature(means.shape[1])
    latents = reparametrised(means[None], log_variances[None], noise[:, None])
    expected = latents @ weights.T + offset
    repeated = rows.expand_as(expected)
    variance = fitted_variance(repeated, expected) if variance is None else variance
    likelihood = gaussian_nll(repeated.flatten(0, 1), expected.flatten(0, 1), variance).view(len(noise), -1).mean(dim=0)
    return -likelihood - gaussian_kl(means, log_variances)


def test_with_the_exact_posterior_the_bound_of_probabilistic_pca_is_the_log_likelihood_of_every_row() -> None:
    # Orthogonal columns, so that the exact posterior N(M⁻¹ Wᵀ (x − μ), σ² M⁻¹), M = WᵀW + σ² I, is diagonal.
    weights = torch.linalg.qr(seeded(6, 2)).Q * torch.tensor([2.0, 0.7], dtype=torch.float64)
    offset, variance = seeded(6, seed=1), torch.tensor(0.4, dtype=torch.float64)
    rows = seeded(50, 2, seed=2) @ weights.T + offset + variance.sqrt() * seeded(50, 6, seed=3)
    precision = weights.T @ weights + variance * torch.eye(2, dtype=torch.float64)
    means = (rows - offset) @ weights @ torch.linalg.inv(precision)
    log_variances = (variance / precision.diagonal()).log().expand_as(means)
    covariance = (weights @ weights.T + variance * torch.eye(6, dtype=torch.float64)).numpy()
    exact = multivariate_normal(offset.numpy(), covariance).logpdf(rows.numpy())
    bound = lower_bound(rows, means, log_variances, weights, offset, variance)
    np.testing.assert_allclose(bound.numpy(), exact, rtol=1e-9)
    off = lower_bound(rows, means + 0.3, log_variances, weights, offset, variance)
    assert bool((off < bound).all())


def test_a_linear_autoencoder_that_raises_the_bound_reaches_the_greatest_likelihood_of_probabilistic_pca() -> None:
    size, latent, count = 8, 3, 400
    mixing = seeded(size, latent, seed=4)
    rows = seeded(count, latent, seed=5) @ mixing.T + 0.5 * seeded(count, size, seed=6) + 1.0
    parts = {
        "encoder": 0.1 * seeded(latent, size, seed=7),
        "shift": torch.zeros(latent, dtype=torch.float64),
        "log_variances": torch.zeros(latent, dtype=torch.float64),
        "weights": 0.1 * seeded(size, latent, seed=8),
        "offset": torch.zeros(size, dtype=torch.float64),
    }
    learning = [part.requires_grad_() for part in parts.values()]
    optimiser = torch.optim.Adam(learning, lr=0.02)

    def bound() -> torch.Tensor:
        means = rows @ parts["encoder"].T + parts["shift"]
        return lower_bound(
            rows, means, parts["log_variances"].expand_as(means), parts["weights"], parts["offset"]
        ).mean()

    for _ in range(1500):
        optimiser.zero_grad()
        (-bound()).backward()
        optimiser.step()
    # Tipping & Bishop 1999: the noise is the mean of the left-out eigenvalues of the covariance.
    values = np.sort(np.linalg.eigvalsh(np.cov(rows.numpy().T, bias=True)))[::-1]
    noise = values[latent:].mean()
    spectrum = np.log(values[:latent]).sum() + (size - latent) * math.log(noise)
    greatest = -0.5 * (size * math.log(2.0 * math.pi) + spectrum + size)
    reached = float(bound().detach())
    assert reached == pytest.approx(greatest, abs=0.01)
    assert reached <= greatest + 1e-9
