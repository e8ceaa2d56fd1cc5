"""One step of a conditional variational autoencoder: encoder and decoder raise the evidence lower bound together."""

from __future__ import annotations

import torch

from gtl_core.training.elbo import LEAST_VARIANCE, fitted_variance, gaussian_kl, gaussian_nll, reparametrised
from gtl_core.training.ema import update_average
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.penalties import Drawn
from gtl_core.training.phases import phase_at
from gtl_core.training.runtime import autocast


class VaeTrainer(GanTrainer):
    """A conditional VAE (Kingma & Welling 2014; Sohn et al. 2015): the decoder is the generator, without an opponent.

    The encoder stands in the discriminator's place, for a plan too: what a strategy lets learn of the discriminator
    learns of the encoder. One step minimises −E[log p(x | z, y)] + β KL(q(z | x, y) ‖ N(0, I)), pixels normal around
    what is decoded with the variance that fits the batch. Whatever belongs to an adversarial game is not looked at.
    """

    loss_names = ("loss_reconstruction", "loss_kl")

    def advance(self) -> None:
        """Makes one step of both networks; where the plan lets the decoder wait, of the encoder alone."""
        phase = phase_at(self._phases, self.step)
        if phase.start == self.step:
            phase.enter(self.generator, self.discriminator)
        real, labels = self._sampler.draw(self._config.batch, self._random)
        noise = torch.randn((len(real), self._start.spec.latent), generator=self._random, device=self._device)
        encoder = self.discriminator
        with autocast(self._device):
            means, log_variances = encoder(real, labels)
            latents = reparametrised(means, log_variances, noise)
            decoded = self.generator(latents, labels)
        variance = fitted_variance(real, decoded, LEAST_VARIANCE)
        reconstruction = gaussian_nll(real, decoded, variance).mean()
        divergence = gaussian_kl(means, log_variances).mean()
        loss = reconstruction + self._config.beta * divergence
        for penalty in self._penalties:
            term = penalty.of_generator(Drawn(latents, labels, decoded, means))
            if term is not None:
                loss = loss + term
        learning = [self._discriminator_adam, *([self._generator_adam] if phase.generator else [])]
        for optimiser in learning:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in learning:
            optimiser.step()
        if phase.generator:
            update_average(self.average, self.generator, self._config.ema_decay, self.step)
        self._losses += torch.stack([reconstruction.detach(), divergence.detach(), divergence.new_ones(())])
        self.step += 1
