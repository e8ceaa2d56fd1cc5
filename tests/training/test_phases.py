"""Phases of a training: which parts of a GAN learn at which step."""

from __future__ import annotations

import pytest

from gtl_core.config import FreezeGThenPartialConfig, MineConfig
from gtl_core.networks.registry import GanSpec, build_discriminator, build_generator
from gtl_core.training.phases import Phase, phase_at
from gtl_core.transfer.weights import strategy_for

SPEC = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=3, mapping=True)


def test_a_phase_lasts_until_the_next_one_begins():
    phases = [Phase(start, (), ()) for start in (0, 3, 7)]
    assert [phase_at(phases, step).start for step in range(9)] == [0, 0, 0, 3, 3, 3, 3, 7, 7]


@pytest.mark.parametrize("config", [FreezeGThenPartialConfig(frozen_share=0.0), MineConfig(mining_share=0.0)])
def test_where_the_first_phase_has_no_share_of_the_steps_the_second_one_begins_at_once(config):
    networks = build_generator(SPEC, 0), build_discriminator(SPEC, 0)
    first, second = strategy_for(config).phases(*networks, 40)
    assert phase_at((first, second), 0) is second
    second.enter(*networks)
    assert all(parameter.requires_grad for parameter in networks[0].blocks[-1].parameters())
