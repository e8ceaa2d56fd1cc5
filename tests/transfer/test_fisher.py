from __future__ import annotations

import pytest
import torch
from torch import nn

from gtl_core.transfer.ewc import fisher


class LinearGenerator(nn.Module):
    """Draws z · w."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, -1.0]))

    def forward(self, latent, labels):
        return latent @ self.weight


class LinearDiscriminator(nn.Module):
    """Judges a number by three times it."""

    def forward(self, images, labels):
        return 3.0 * images


def test_fisher_information_of_a_linear_gan_is_its_closed_form():
    # log σ(3 z·w) has the gradient 3 z σ(−3 z·w), so F = E[9 z² σ(−3 z·w)²].
    found = fisher(LinearGenerator(), LinearDiscriminator(), latent=2, classes=4, samples=4000)["weight"]
    latents = torch.randn((400_000, 2), generator=torch.Generator().manual_seed(9))
    pull = torch.sigmoid(-3.0 * latents @ torch.tensor([0.5, -1.0]))
    expected = (9.0 * latents.square() * pull.square()[:, None]).mean(dim=0)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=0.1)


def test_fisher_information_is_the_same_every_time_it_is_asked_for():
    first, again = (fisher(LinearGenerator(), LinearDiscriminator(), 2, 4, 20)["weight"] for _ in range(2))
    assert torch.equal(first, again)
