"""One step of a VAE-GAN: real images are encoded and decoded again beside what is drawn, and likened by features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from gtl_core.networks.registry import blocks, build_companions
from gtl_core.training.checkpoint import CurveRow, GanCheckpoint
from gtl_core.training.elbo import fitted_variance, gaussian_kl, gaussian_nll, reparametrised
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.optimisers import adam, moments_of
from gtl_core.training.runtime import autocast, placed


class VaeGanTrainer(GanTrainer):
    """A conditional VAE-GAN (Larsen et al. 2016, arXiv 1512.09300): the decoder of a VAE is the generator of a GAN.

    The game is that of any GAN, but half of what is generated comes from the latents that an encoder, a companion of
    the checkpoint, gives real images; the discriminator is to see through both halves. The generator is told by the
    first half how it fares. In the second the discriminator, at its last block but one, is to see what it sees in the
    real images: generator and encoder raise the evidence lower bound there, a number of that layer counting as much as
    the adversarial loss of an image. As in the paper the encoder learns from the bound alone, but for the statistics of
    batch norm, which both halves share.
    """

    loss_names = ("loss_d", "loss_g", "loss_reconstruction", "loss_kl")

    def __init__(self, start: GanCheckpoint, *args: Any, **settings: Any) -> None:
        """Takes a training up where `start` stands; the arguments are those of `GanTrainer`."""
        super().__init__(start, *args, **settings)
        encoder = build_companions(start.spec, self._seed)["encoder"]
        encoder.load_state_dict(start.companion("encoder"))
        self._encoder = placed(encoder, self._device).train()
        rate = start.learning_rate_factor * self._config.learning_rate_generator
        betas = (self._config.beta1, self._config.beta2)
        self._encoder_adam = adam(self._encoder, rate, betas, start.companions_optimiser)
        self._drawn = self._config.batch // 2

    def snapshot(self, curves: tuple[CurveRow, ...]) -> GanCheckpoint:
        """The state from which the training goes on as if it had never stopped."""
        return replace(
            super().snapshot(curves),
            companions={f"encoder.{name}": tensor for name, tensor in self._encoder.state_dict().items()},
            companions_optimiser=moments_of(self._encoder, self._encoder_adam),
        )

    def _asked(
        self, real: torch.Tensor, labels: torch.Tensor, noise: torch.Tensor, drawn: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise in the first half, and in the second latents of the real images there."""
        first = self._drawn
        with autocast(self._device):
            means, log_variances = self._encoder(real[first:], labels[first:])
        self._posterior = means, log_variances
        encoded = reparametrised(means, log_variances, noise[first:])
        return torch.cat([noise[:first], encoded]), torch.cat([drawn[:first], labels[first:]])

    def _learn_generator(
        self,
        latents: torch.Tensor,
        generated: torch.Tensor,
        drawn: torch.Tensor,
        real: torch.Tensor,
        also: Sequence[torch.Tensor] = (),
    ) -> torch.Tensor:
        """The generator's loss of the first half, and the bound of the second, which the encoder learns from too."""
        first = self._drawn
        bound = self._bound(real[first:], generated[first:])
        self._encoder_adam.zero_grad()
        loss = super()._learn_generator(latents[:first], generated[:first], drawn[:first], real[:first], [*also, bound])
        self._encoder_adam.step()
        return loss

    def _bound(self, real: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """The negative evidence lower bound of what the discriminator sees, in nats a number."""
        self.discriminator.eval().requires_grad_(False)
        with autocast(self._device):
            seen, expected = self._seen(real).float(), self._seen(decoded).float()
        numbers = seen[0].numel()
        reconstruction = gaussian_nll(seen, expected, fitted_variance(seen, expected)).mean() / numbers
        divergence = gaussian_kl(*self._posterior).mean() / numbers
        self._losses[2] += reconstruction.detach()
        self._losses[3] += divergence.detach()
        return reconstruction + self._config.beta * divergence

    def _seen(self, images: torch.Tensor) -> torch.Tensor:
        """What the discriminator's last block but one gives for images (B, C, S, S)."""
        maps = images
        for block in blocks(self.discriminator)[:-1]:
            maps = block(maps)
        return maps
