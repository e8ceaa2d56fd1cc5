"""One step of a GAN's training, and its whole state in and out of a checkpoint."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gtl_core.config import GanConfig
from gtl_core.networks.registry import build_discriminator, build_generator
from gtl_core.training.checkpoint import GanCheckpoint, State
from gtl_core.training.diff_augment import diff_augment
from gtl_core.training.ema import fit_statistics, update_average
from gtl_core.training.losses import LOSSES
from gtl_core.training.phases import MakePhases, phase_at
from gtl_core.training.runtime import autocast, device, placed
from gtl_core.training.sampler import BalancedSampler


class GanTrainer:
    """Networks, optimisers and random numbers of one training, on the training device.

    Attributes:
        step: steps made.
        generator: the generator in training.
        discriminator: the discriminator in training.
        average: the averaged generator.
    """

    def __init__(
        self,
        start: GanCheckpoint,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        config: GanConfig,
        *,
        steps: int,
        seed: int,
        phases: MakePhases,
    ) -> None:
        """Takes a training up where `start` stands.

        Args:
            start: a checkpoint of this training, or weights to begin with: without optimiser and loop state.
            images: uint8 (N, C, S, S), the real images.
            labels: int64 (N,), indices of `start.classes`.
            config: losses, optimisers and augmentation.
            steps: steps of the whole training.
            seed: seed of all random numbers, where `start` has no state of them.
            phases: which modules learn at which step.
        """
        self._start, self._config = start, config
        self.step = start.step
        self._device = device()
        self._sampler = BalancedSampler(images, labels, self._device)
        self.generator = self._placed(build_generator(start.spec, seed), start.generator)
        self.discriminator = self._placed(build_discriminator(start.spec, seed), start.discriminator)
        self.average = self._placed(copy.deepcopy(self.generator), start.ema).eval().requires_grad_(False)
        self._phases = phases(self.generator, self.discriminator, steps)
        self._loss = LOSSES[config.loss]
        self._generator_adam = self._adam(self.generator, config.learning_rate_generator, start.generator_optimiser)
        self._discriminator_adam = self._adam(
            self.discriminator, config.learning_rate_discriminator, start.discriminator_optimiser
        )
        self._random = torch.Generator(self._device).manual_seed(seed)
        self._losses = torch.zeros(3, dtype=torch.float64, device=self._device)
        if start.loop:
            self._random.set_state(start.loop["random"])
            self._losses.copy_(start.loop["losses"])
        phase_at(self._phases, self.step).enter(self.generator, self.discriminator)

    def advance(self) -> None:
        """Makes one step: the discriminator's, then the generator's on the same generated images."""
        phase = phase_at(self._phases, self.step)
        if phase.start == self.step:
            phase.enter(self.generator, self.discriminator)
        batch, latent = self._config.batch, self._start.spec.latent
        real, labels = self._sampler.draw(batch, self._random)
        drawn = self._sampler.labels(batch, self._random)
        latents = torch.randn((batch, latent), generator=self._random, device=self._device)
        with torch.set_grad_enabled(bool(phase.generator)), autocast(self._device):
            generated = self.generator(latents, drawn)
        loss_d = self._learn_discriminator(real, labels, generated.detach(), drawn)
        self._losses[0] += loss_d
        if phase.generator:
            self._losses[1] += self._learn_generator(generated, drawn)
            phase.enter(self.generator, self.discriminator)
            update_average(self.average, self.generator, self._config.ema_decay, self.step)
        self._losses[2] += 1
        self.step += 1

    def take_losses(self) -> tuple[float, float]:
        """Mean losses of the discriminator and of the generator since this was called last."""
        loss_d, loss_g, count = self._losses.tolist()
        self._losses.zero_()
        return loss_d / max(count, 1.0), loss_g / max(count, 1.0)

    def snapshot(self, curves: tuple[tuple[int, float, float], ...]) -> GanCheckpoint:
        """The state from which the training goes on as if it had never stopped."""
        start = self._start
        return GanCheckpoint(
            spec=start.spec,
            classes=start.classes,
            step=self.step,
            recipe=start.recipe,
            curves=curves,
            generator=self.generator.state_dict(),
            discriminator=self.discriminator.state_dict(),
            ema=self.average.state_dict(),
            generator_optimiser=_moments(self.generator, self._generator_adam),
            discriminator_optimiser=_moments(self.discriminator, self._discriminator_adam),
            loop={"random": self._random.get_state(), "losses": self._losses},
        )

    def finish(self, seed: int) -> None:
        """Gives the averaged generator the batch norm statistics that fit its weights."""
        fit_statistics(self.average, self.generator, self._start.spec.latent, self._sampler.classes, seed)

    def _learn_discriminator(
        self, real: torch.Tensor, labels: torch.Tensor, generated: torch.Tensor, drawn: torch.Tensor
    ) -> torch.Tensor:
        """One pass over real and generated images together."""
        batch = len(real)
        both = diff_augment(torch.cat([real, generated]), self._config.augmentation, self._random)
        with autocast(self._device):
            logits = self.discriminator(both, torch.cat([labels, drawn]))
        loss = self._loss.discriminator(logits[:batch], logits[batch:])
        self._discriminator_adam.zero_grad()
        loss.backward()
        self._discriminator_adam.step()
        return loss.detach()

    def _learn_generator(self, generated: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """The discriminator only passes gradients on, so none of its weights get any."""
        self.discriminator.eval().requires_grad_(False)
        augmented = diff_augment(generated, self._config.augmentation, self._random)
        with autocast(self._device):
            logits = self.discriminator(augmented, drawn)
        loss = self._loss.generator(logits)
        self._generator_adam.zero_grad()
        loss.backward()
        self._generator_adam.step()
        return loss.detach()

    def _placed(self, network: nn.Module, state: State) -> nn.Module:
        network.load_state_dict(state)
        return placed(network, self._device)

    def _adam(self, network: nn.Module, learning_rate: float, moments: State) -> torch.optim.Adam:
        """Adam in one fused kernel, with moments from a checkpoint."""
        adam = torch.optim.Adam(
            network.parameters(), lr=learning_rate, betas=(self._config.beta1, self._config.beta2), fused=True
        )
        for name, parameter in network.named_parameters():
            if f"{name}/step" in moments:
                # The fused kernel walks through memory, so moments must lie in it as the parameter does.
                adam.state[parameter] = {
                    key: torch.empty_like(parameter, requires_grad=False).copy_(moments[f"{name}/{key}"])
                    for key in ("exp_avg", "exp_avg_sq")
                } | {"step": moments[f"{name}/step"].to(self._device)}
        return adam


def _moments(network: nn.Module, adam: torch.optim.Adam) -> State:
    """Adam's state by parameter name."""
    return {
        f"{name}/{key}": value
        for name, parameter in network.named_parameters()
        for key, value in adam.state.get(parameter, {}).items()
    }
