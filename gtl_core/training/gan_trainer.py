"""One step of a GAN's training, and its whole state in and out of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gtl_core.config import GanConfig
from gtl_core.networks.registry import build_discriminator, build_generator, features_of, logits_of
from gtl_core.training.augmentation import Augmentation
from gtl_core.training.checkpoint import CurveRow, GanCheckpoint, State
from gtl_core.training.ema import fit_statistics, update_average
from gtl_core.training.losses import LOSSES
from gtl_core.training.optimisers import adam, moments_of
from gtl_core.training.penalties import Drawn, Judged, penalties_of
from gtl_core.training.phases import phase_at
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import autocast, device, placed
from gtl_core.training.sampler import BalancedSampler


class GanTrainer:
    """Networks, optimisers and random numbers of one training, on the training device.

    Attributes:
        step: steps made.
        generator: the generator in training.
        discriminator: the discriminator in training.
        average: the averaged generator.
        loss_names: what `take_losses` gives.
    """

    loss_names: tuple[str, ...] = ("loss_d", "loss_g")

    def __init__(
        self,
        start: GanCheckpoint,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        config: GanConfig,
        *,
        steps: int,
        seed: int,
        plan: Plan,
        origin: GanCheckpoint,
    ) -> None:
        """Takes a training up where `start` stands.

        Args:
            start: a checkpoint of this training, or `origin` itself.
            images: uint8 (N, C, S, S), the real images.
            labels: int64 (N,), indices of `start.classes`.
            config: losses, optimisers and augmentation.
            steps: steps of the whole training.
            seed: seed of all random numbers, where `start` has no state of them.
            plan: which modules learn at which step, and by what else than the adversarial losses.
            origin: the weights that the training began with, at step 0: without optimiser and loop state.
        """
        self._start, self._config, self._seed, self._plan = start, config, seed, plan
        self.step = start.step
        self._device = device()
        self._sampler = BalancedSampler(images, labels, self._device)
        self.generator = self._adapted(build_generator(start.spec, seed), origin.generator, start.generator)
        self.discriminator = self._adapted(
            build_discriminator(start.spec, seed), origin.discriminator, start.discriminator
        )
        # Built rather than copied, because copies of parametrised layers share a class, which `settle` changes.
        self.average = self._adapted(build_generator(start.spec, seed), origin.ema, start.ema)
        self.average.eval().requires_grad_(False)
        self._phases = plan.phases(self.generator, self.discriminator, steps)
        self._loss = LOSSES[config.loss]
        betas, factor = (config.beta1, config.beta2), start.learning_rate_factor
        self._generator_adam = adam(
            self.generator, factor * config.learning_rate_generator, betas, start.generator_optimiser
        )
        self._discriminator_adam = adam(
            self.discriminator, factor * config.learning_rate_discriminator, betas, start.discriminator_optimiser
        )
        self._random = torch.Generator(self._device).manual_seed(seed)
        self._augment = Augmentation(config.augmentation, adaptive=config.adaptive_augmentation, random=self._random)
        self._penalties = (
            *penalties_of(config, images, labels, self._device),
            *plan.penalties(origin, self.generator, self.discriminator),
        )
        self._losses = torch.zeros(len(self.loss_names) + 1, dtype=torch.float64, device=self._device)
        if start.loop:
            self._restore(start.loop)
        phase_at(self._phases, self.step).enter(self.generator, self.discriminator)

    def advance(self) -> None:
        """Makes one step: the discriminator's, then the generator's on the same generated images."""
        phase = phase_at(self._phases, self.step)
        if phase.start == self.step:
            phase.enter(self.generator, self.discriminator)
        batch, latent = self._config.batch, self._start.spec.latent
        real, labels = self._sampler.draw(batch, self._random)
        # A loss of pairs compares images of one class.
        drawn = self._sampler.labels(batch, self._random) if self._loss.generator else labels
        noise = torch.randn((batch, latent), generator=self._random, device=self._device)
        latents, drawn = self._asked(real, labels, noise, drawn)
        with torch.set_grad_enabled(bool(phase.generator)), autocast(self._device):
            generated = self.generator(latents, drawn)
        loss_d = self._learn_discriminator(real, labels, generated.detach(), drawn)
        self._losses[0] += loss_d
        if phase.generator:
            self._losses[1] += self._learn_generator(latents, generated, drawn, real)
            phase.enter(self.generator, self.discriminator)
            update_average(self.average, self.generator, self._config.ema_decay, self.step)
        self._losses[-1] += 1
        self.step += 1

    def take_losses(self) -> tuple[float, ...]:
        """Mean losses since this was called last."""
        *sums, count = self._losses.tolist()
        self._losses.zero_()
        return tuple(value / max(count, 1.0) for value in sums)

    def snapshot(self, curves: tuple[CurveRow, ...]) -> GanCheckpoint:
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
            generator_optimiser=moments_of(self.generator, self._generator_adam),
            discriminator_optimiser=moments_of(self.discriminator, self._discriminator_adam),
            loop=self._loop_state(),
            texts=start.texts,
        )

    def finish(self) -> None:
        """Makes plain networks of all three, and gives the averaged one the batch norm statistics that fit it."""
        fit_statistics(self.average, self.generator, self._start.spec.latent, self._sampler.classes, self._seed)
        for network in (self.generator, self.discriminator, self.average):
            self._plan.settle(network)

    def _asked(
        self, real: torch.Tensor, labels: torch.Tensor, noise: torch.Tensor, drawn: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (B, Z) and labels (B,) that the generator draws for, of as much noise and labels."""
        return noise, drawn

    def _learn_discriminator(
        self, real: torch.Tensor, labels: torch.Tensor, generated: torch.Tensor, drawn: torch.Tensor
    ) -> torch.Tensor:
        """One pass over real and generated images together."""
        batch = len(real)
        both = self._augment(torch.cat([real, generated]))
        if any(penalty.of_pixels for penalty in self._penalties):
            both.requires_grad_()
        with autocast(self._device):
            features = features_of(self.discriminator, both)
            logits = logits_of(self.discriminator, features, torch.cat([labels, drawn]))
        judged = Judged(both, features, logits[:batch], logits[batch:], self._augment, self._random)
        terms = [penalty.of_discriminator(judged) for penalty in self._penalties]
        loss = self._loss.discriminator(judged.real, judged.generated)
        self._augment.watch(judged.real)
        self._descend(self._discriminator_adam, loss, terms)
        return loss.detach()

    def _learn_generator(
        self,
        latents: torch.Tensor,
        generated: torch.Tensor,
        drawn: torch.Tensor,
        real: torch.Tensor,
        also: Sequence[torch.Tensor] = (),
    ) -> torch.Tensor:
        """The discriminator only passes gradients on, so none of its weights get any; `also` is added to the loss."""
        self.discriminator.eval().requires_grad_(False)
        with autocast(self._device):
            features = features_of(self.discriminator, self._augment(generated))
            logits = logits_of(self.discriminator, features, drawn)
        if self._loss.generator:
            loss = self._loss.generator(logits)
        else:
            with torch.no_grad(), autocast(self._device):
                opposite = self.discriminator(self._augment(real), drawn)
            loss = self._loss.discriminator(logits, opposite)
        seen = Drawn(latents, drawn, generated, features)
        terms = [*also, *(penalty.of_generator(seen) for penalty in self._penalties)]
        self._descend(self._generator_adam, loss, terms)
        return loss.detach()

    def _descend(self, optimiser: torch.optim.Adam, loss: torch.Tensor, terms: Sequence[torch.Tensor | None]) -> None:
        """One step down the gradient of a loss and of what is added to it."""
        for term in terms:
            if term is not None:
                loss = loss + term
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def _loop_state(self) -> State:
        """Random numbers, the running means of the losses, and what augmentation and penalties remember."""
        state = {"random": self._random.get_state(), "losses": self._losses, **self._augment.state()}
        for place, penalty in enumerate(self._penalties):
            state |= {f"penalty {place}/{name}": value for name, value in penalty.state().items()}
        return state

    def _restore(self, state: State) -> None:
        """Takes up what `_loop_state` gave."""
        self._random.set_state(state["random"])
        self._losses.copy_(state["losses"])
        self._augment.restore(state)
        for place, penalty in enumerate(self._penalties):
            own = f"penalty {place}/"
            penalty.restore({name.removeprefix(own): state[name] for name in state if name.startswith(own)})

    def _adapted(self, network: nn.Module, first: State, latest: State) -> nn.Module:
        """A network as the plan wants it, with the weights of `start`."""
        network.load_state_dict(first)
        self._plan.adapt(network)
        if self.step:
            network.load_state_dict(latest)
        return placed(network, self._device)
