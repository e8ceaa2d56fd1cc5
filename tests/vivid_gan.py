"""A GAN that draws pictures full of contrast without any training."""

from __future__ import annotations

from dataclasses import replace

from gtl_core.networks.registry import GanSpec
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.gan import untrained

CONTRAST = 30.0
"""What the last weights are multiplied by; untrained ones draw nearly even grey."""


def vivid_gan(spec: GanSpec, classes: tuple[str, ...]) -> GanCheckpoint:
    """A checkpoint of that shape; the architecture is `dcgan`."""
    gan = untrained(spec, classes, seed=0)
    last = list(gan.ema)[-2]
    assert last.endswith("convolution.weight"), last
    return replace(gan, ema={**gan.ema, last: CONTRAST * gan.ema[last]})
