"""Training of a stylist on two kinds of pictures, without labels: what they show, and how they look."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from gtl_core.networks.registry import build_discriminator, build_generator
from gtl_core.networks.stylist import Generator, adain, moments
from gtl_core.training.checkpoint import CurveRow, GanCheckpoint, State
from gtl_core.training.ema import copy_statistics, update_average
from gtl_core.training.losses import hinge_discriminator, hinge_generator
from gtl_core.training.optimisers import adam, moments_of
from gtl_core.training.runtime import autocast, device, placed
from gtl_core.training.sampler import BalancedSampler

BATCH = 32
_ENCODING_SHARE = 0.3
"""Share of the steps in which encoder and decoder learn to give images back; then the encoder rests."""
_CONTENT, _STYLE, _IDENTITY, _ADVERSARIAL = 1.0, 3.0, 10.0, 0.1
"""Weights of the losses: of the paper's two, of giving images back as they are, and of the discriminator's."""
_RATE, _DISCRIMINATOR_RATE, _BETAS = 1e-3, 1e-3, (0.5, 0.9)
_EMA_DECAY = 0.99


@dataclass(frozen=True, eq=False)
class StyleImages:
    """Where the images of a step come from; none has a label."""

    content: BalancedSampler
    style: BalancedSampler


class StyleTrainer:
    """Stylist and patch discriminator of one training, after AdaIN (Huang & Belongie 2017, arXiv 1703.06868).

    The paper's encoder is a classifier of photographs, which also measures content and style. Here the encoder learns
    from the pictures themselves: at first it and the decoder learn to give images of both kinds back. Then it rests,
    and the decoder minimises the paper's content loss (the features of what it draws beside those it was to draw) and
    style loss (means and deviations of the features of every size beside those of the style image, equations 12 and
    13), gives images of both kinds back as they are, and learns from a discriminator of patches what else a style is,
    because features that were made for giving images back do not see all of it.

    Attributes:
        step: steps made.
        generator: the stylist.
        average: the averaged stylist.
        loss_names: what `take_losses` gives.
    """

    loss_names = ("loss_d", "loss_g", "loss_content", "loss_style", "loss_identity")

    def __init__(self, start: GanCheckpoint, images: StyleImages, *, steps: int, seed: int) -> None:
        """Takes a training up where `start` stands.

        Args:
            start: a checkpoint of this training, or weights to begin with.
            images: where images come from.
            steps: steps of the whole training.
            seed: seed of all random numbers, where `start` has no state of them.
        """
        self._start, self._images = start, images
        self._encoding = round(_ENCODING_SHARE * steps)
        self.step = start.step
        self._device = device()
        self.generator = cast(Generator, self._placed(build_generator(start.spec, seed), start.generator)).train()
        self.discriminator = self._placed(build_discriminator(start.spec, seed), start.discriminator).train()
        self.average = self._placed(copy.deepcopy(self.generator), start.ema).eval().requires_grad_(False)
        slow = start.learning_rate_factor
        self._generator_adam = adam(self.generator, slow * _RATE, _BETAS, start.generator_optimiser)
        self._discriminator_adam = adam(
            self.discriminator, slow * _DISCRIMINATOR_RATE, _BETAS, start.discriminator_optimiser
        )
        self._random = torch.Generator(self._device).manual_seed(seed)
        self._losses = torch.zeros(len(self.loss_names) + 1, dtype=torch.float64, device=self._device)
        if start.loop:
            self._random.set_state(start.loop["random"])
            self._losses.copy_(start.loop["losses"])

    def advance(self) -> None:
        """Makes one step: of encoder and decoder, or later of the discriminator and the decoder."""
        content, _ = self._images.content.draw(BATCH, self._random)
        style, _ = self._images.style.draw(BATCH, self._random)
        if self.step < self._encoding:
            losses = self._learn_to_encode(content, style)
        else:
            self.generator.encoder.eval().requires_grad_(False)
            losses = self._learn_to_stylise(content, style)
        update_average(self.average, self.generator, _EMA_DECAY, self.step)
        copy_statistics(self.average, self.generator)
        self._losses += torch.stack([*(loss.detach().double() for loss in losses), losses[0].new_ones(()).double()])
        self.step += 1

    def take_losses(self) -> tuple[float, ...]:
        """Mean losses since this was called last."""
        *sums, count = self._losses.tolist()
        self._losses.zero_()
        return tuple(value / max(count, 1.0) for value in sums)

    def snapshot(self, curves: tuple[CurveRow, ...]) -> GanCheckpoint:
        """The state from which the training goes on as if it had never stopped."""
        return GanCheckpoint(
            spec=self._start.spec,
            classes=self._start.classes,
            step=self.step,
            recipe=self._start.recipe,
            curves=curves,
            generator=self.generator.state_dict(),
            discriminator=self.discriminator.state_dict(),
            ema=self.average.state_dict(),
            generator_optimiser=moments_of(self.generator, self._generator_adam),
            discriminator_optimiser=moments_of(self.discriminator, self._discriminator_adam),
            loop={"random": self._random.get_state(), "losses": self._losses},
        )

    def finish(self) -> None:
        """Nothing: the average has followed the encoder's statistics."""

    def _learn_to_encode(self, content: torch.Tensor, style: torch.Tensor) -> list[torch.Tensor]:
        """Encoder and decoder give images of both kinds back."""
        both = torch.cat([content, style])
        with autocast(self._device):
            drawn = self.generator.decoder(self.generator.encoder(both)[-1])
        identity = functional.l1_loss(drawn, both)
        self._generator_adam.zero_grad()
        identity.backward()
        self._generator_adam.step()
        # The game has not begun: where both of its losses are 0 the loop takes no discriminator for too sure of itself.
        none = torch.zeros_like(identity)
        return [none, none, none, none, identity]

    def _learn_to_stylise(self, content: torch.Tensor, style: torch.Tensor) -> list[torch.Tensor]:
        """The discriminator's step, then the decoder's on the same images."""
        encoder, decoder, half = self.generator.encoder, self.generator.decoder, BATCH // 2
        with autocast(self._device):
            own, wanted = encoder(content), encoder(style)
            target = adain(own[-1].float(), wanted[-1].float())
            drawn = decoder(target)
            logits = self.discriminator(torch.cat([style, drawn.detach()]))
        loss_discriminator = hinge_discriminator(logits[:BATCH], logits[BATCH:])
        self._discriminator_adam.zero_grad()
        loss_discriminator.backward()
        self._discriminator_adam.step()

        self.discriminator.eval().requires_grad_(False)
        with autocast(self._device):
            seen = encoder(drawn)
            back = decoder(torch.cat([own[-1][:half], wanted[-1][half:]]))
            adversarial = hinge_generator(self.discriminator(drawn))
        loss_content = functional.mse_loss(seen[-1].float(), target)
        loss_style = torch.stack(
            [
                functional.mse_loss(moment, goal)
                for maps, goals in zip(seen, wanted, strict=True)
                for moment, goal in zip(moments(maps), moments(goals), strict=True)
            ]
        ).sum()
        identity = functional.l1_loss(back, torch.cat([content[:half], style[half:]]))
        loss = _CONTENT * loss_content + _STYLE * loss_style + _IDENTITY * identity + _ADVERSARIAL * adversarial
        self._generator_adam.zero_grad()
        loss.backward()
        self._generator_adam.step()
        self.discriminator.train().requires_grad_(True)
        return [loss_discriminator, loss, loss_content, loss_style, identity]

    def _placed(self, network: nn.Module, state: State) -> nn.Module:
        network.load_state_dict(state)
        return placed(network, self._device)
