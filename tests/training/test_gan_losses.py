from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtl_core.training.losses import LOSSES

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
    assert loss.discriminator(real + more, generated) <= loss.discriminator(real, generated) + 1e-5
    assert loss.discriminator(real, generated - more) <= loss.discriminator(real, generated) + 1e-5
    assert loss.generator(generated + more) <= loss.generator(generated) + 1e-5
