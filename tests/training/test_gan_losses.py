from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtl_core.training.losses import LOSSES, lecam, neighbours, sameness, squared_gradients

logits = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=8).map(torch.tensor)


def test_hinge_is_zero_for_the_discriminator_beyond_the_margins_and_counts_what_falls_short():
    loss = LOSSES["hinge"]
    assert loss.discriminator(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -3.0])) == 0
    assert loss.discriminator(torch.tensor([0.5, 1.5]), torch.tensor([-0.25])) == pytest.approx(0.25 + 0.75)
    assert loss.generator(torch.tensor([2.0, -1.0])) == pytest.approx(-0.5)


def test_non_saturating_is_the_cross_entropy_of_an_undecided_discriminator():
    loss = LOSSES["non_saturating"]
    undecided = torch.zeros(5)
    assert loss.discriminator(undecided, undecided) == pytest.approx(2 * math.log(2))
    assert loss.generator(undecided) == pytest.approx(math.log(2))


@pytest.mark.parametrize("name", sorted(LOSSES))
@given(real=logits, generated=logits, more=st.floats(0.125, 5, width=32))
def test_the_discriminator_wants_real_up_and_generated_down_and_the_generator_the_opposite(name, real, generated, more):
    loss = LOSSES[name]
    if loss.generator is None:  # a loss of pairs
        real, generated = real[: len(generated)], generated[: len(real)]
    assert loss.discriminator(real + more, generated) <= loss.discriminator(real, generated) + 1e-5
    assert loss.discriminator(real, generated - more) <= loss.discriminator(real, generated) + 1e-5
    if loss.generator:
        assert loss.generator(generated + more) <= loss.generator(generated) + 1e-5


def test_relativistic_asks_which_of_a_pair_is_real_and_the_generator_asks_the_opposite():
    loss = LOSSES["relativistic"]
    assert loss.generator is None
    real, generated = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 3.0])
    expected = (math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(3.0))) / 2
    assert loss.discriminator(real, generated) == pytest.approx(expected)
    assert loss.discriminator(real + 7.0, generated + 7.0) == pytest.approx(expected)
    undecided = torch.zeros(3)
    assert loss.discriminator(undecided, undecided) == pytest.approx(math.log(2))


def test_lecam_is_the_squared_distance_to_the_other_kind_s_average():
    real, generated = torch.tensor([1.0, 3.0]), torch.tensor([-2.0])
    found = lecam(real, generated, torch.tensor(0.5), torch.tensor(-1.0))
    assert found == pytest.approx((2.0**2 + 4.0**2) / 2 + 2.5**2)


def test_squared_gradients_of_a_quadratic_and_of_its_own_gradient():
    images = torch.randn((3, 1, 2, 2), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    images.requires_grad_()
    scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    found = squared_gradients(scale * images.square().sum(dim=(1, 2, 3)), images)
    assert torch.allclose(found, 4 * 1.5**2 * images.square().sum(dim=(1, 2, 3)))
    # By hand: the derivative of 4 a² |x|² is 8 a |x|².
    (slope,) = torch.autograd.grad(found.sum(), scale)
    assert slope.item() == pytest.approx(8 * 1.5 * images.square().sum().item())


def test_neighbours_pair_each_image_with_the_next_of_its_class():
    first, second = neighbours(torch.tensor([3, 1, 3, 2, 1, 3]))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(1, 4), (0, 2), (2, 5)]
    assert len(neighbours(torch.arange(4))[0]) == 0


def test_sameness_is_one_for_copies_and_nothing_for_images_far_enough_apart():
    images = torch.zeros((3, 1, 2, 2))
    labels = torch.zeros(3, dtype=torch.int64)
    assert sameness(images, labels, 0.5) == 1.0
    images[1] += 0.2
    images[2] += 1.2
    assert sameness(images, labels, 0.5) == pytest.approx((1 - 0.2 / 0.5 + 0.0) / 2)
    assert sameness(images, torch.arange(3), 0.5) == 0.0
