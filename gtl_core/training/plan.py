"""What a training does with its networks beside the adversarial game: all that a strategy of transfer has to say."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.penalties import Penalty
from gtl_core.training.phases import Phase


class Plan:
    """All of both networks learns, all the time, by the adversarial losses alone; a strategy says where it differs."""

    def adapt(self, network: nn.Module) -> None:
        """Changes how a network holds its weights while it learns; called with the weights that it begins with."""

    def settle(self, network: nn.Module) -> None:
        """Undoes `adapt` after the last step, so that a network is a plain one again."""

    def phases(self, generator: nn.Module, discriminator: nn.Module, steps: int) -> Sequence[Phase]:
        """Which modules learn when, over `steps` steps: in order, the first phase from step 0.

        Raises:
            InputError: the settings do not fit the networks.
        """
        return (Phase(0, (generator,), (discriminator,)),)

    def penalties(self, origin: GanCheckpoint, generator: nn.Module, discriminator: nn.Module) -> Sequence[Penalty]:
        """What is added to the losses.

        Args:
            origin: the weights that the training began with, also where it is taken up later.
            generator: the generator in training, on the training device.
            discriminator: the discriminator in training.
        """
        return ()
