"""Which parts of a GAN learn, and from which step on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Phase:
    """From a step on, the modules that learn; whatever is not in one of them stays as it is, bit for bit.

    Attributes:
        start: the first step of the phase.
        generator: modules of the generator that learn; with none, the generator's step is left out.
        discriminator: modules of the discriminator that learn.
    """

    start: int
    generator: tuple[nn.Module, ...]
    discriminator: tuple[nn.Module, ...]

    def enter(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Freezes all but the phase's modules.

        Frozen modules are in evaluation mode, which also stills batch norm's statistics and spectral norm's iteration.
        """
        for network, learning in ((generator, self.generator), (discriminator, self.discriminator)):
            network.eval().requires_grad_(False)
            for module in learning:
                module.train().requires_grad_(True)


def phase_at(phases: Sequence[Phase], step: int) -> Phase:
    """The phase that a step belongs to: the last one that has begun, so that of two at one step the first is empty."""
    return [phase for phase in phases if phase.start <= step][-1]
