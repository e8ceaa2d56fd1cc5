"""What trainings share in which a classifier learns beside a generator: networks, optimisers and random numbers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import nn

from gtl_core.networks.classifier import Classifier
from gtl_core.networks.registry import build_generator
from gtl_core.training.checkpoint import CurveRow, GanCheckpoint, State, part_of
from gtl_core.training.ema import copy_statistics, fit_statistics, update_average
from gtl_core.training.fitting import one_cycle
from gtl_core.training.optimisers import adam, moments_of
from gtl_core.training.runtime import device, placed

CLASSIFIER = "classifier"
AVERAGED_CLASSIFIER = "averaged_classifier"
"""Names, among a checkpoint's companions, of the classifier that learns and of its average."""


class CompanionTrainer:
    """A generator and the networks that learn beside it as a checkpoint's companions, a classifier among them.

    Of the generator and of the classifier there is an average too. What a step learns from is a subclass's business:
    its `advance` ends with `_end_step`.

    Attributes:
        step: steps made.
        generator: the generator in training.
        average: the averaged generator.
        loss_names: what `take_losses` gives.
    """

    loss_names: tuple[str, ...]
    _generator_adam: torch.optim.Adam
    _companion_adams: dict[str, torch.optim.Adam]

    def __init__(
        self,
        start: GanCheckpoint,
        classifier: Classifier,
        others: Mapping[str, nn.Module],
        *,
        classes: torch.Tensor,
        steps: int,
        seed: int,
    ) -> None:
        """Takes networks and random numbers up where `start` stands; the optimisers are the subclass's to make.

        Args:
            start: a checkpoint of this training, or weights to begin with: without optimiser and loop state.
            classifier: what the classifier starts as, where `start` holds none; it stays as it is.
            others: new networks that learn beside generator and classifier, by name; `start` may hold their weights.
            classes: int64 (K,), the labels that the generator is asked for, on the training device.
            steps: steps of the whole training.
            seed: seed of all random numbers, where `start` has no state of them.
        """
        self._start, self._classes, self._steps, self._seed = start, classes, steps, seed
        self.step = start.step
        self._device = device()
        self.generator = self._placed(build_generator(start.spec, seed), start.generator).train()
        self.average = self._placed(copy.deepcopy(self.generator), start.ema).eval().requires_grad_(False)
        own = {name: copy.deepcopy(classifier) for name in (CLASSIFIER, AVERAGED_CLASSIFIER)}
        companions = nn.ModuleDict({**own, **others})
        self._companions = cast(nn.ModuleDict, self._placed(companions, start.companions or companions.state_dict()))
        self._classifier = cast(Classifier, companions[CLASSIFIER].train().requires_grad_(True))
        self._averaged_classifier = companions[AVERAGED_CLASSIFIER].eval().requires_grad_(False)
        self._random = torch.Generator(self._device).manual_seed(seed)
        self._processor_random = torch.Generator().manual_seed(seed)
        self._losses = torch.zeros(len(self.loss_names) + 1, dtype=torch.float64, device=self._device)
        if start.loop:
            self._random.set_state(start.loop["random"])
            self._processor_random.set_state(start.loop["processor_random"])
            self._losses.copy_(start.loop["losses"])

    def advance(self) -> None:
        """Makes one step."""
        raise NotImplementedError

    def take_losses(self) -> tuple[float, ...]:
        """Means of what `loss_names` says since this was called last."""
        *sums, count = self._losses.tolist()
        self._losses.zero_()
        return tuple(value / max(count, 1.0) for value in sums)

    def snapshot(self, curves: tuple[CurveRow, ...]) -> GanCheckpoint:
        """The state from which the training goes on as if it had never stopped; of a discriminator it knows nothing."""
        return replace(
            self._start,
            step=self.step,
            curves=curves,
            generator=self.generator.state_dict(),
            discriminator={},
            ema=self.average.state_dict(),
            companions=self._companions.state_dict(),
            generator_optimiser=moments_of(self.generator, self._generator_adam),
            companions_optimiser={
                f"{name}.{key}": value
                for name, optimiser in self._companion_adams.items()
                for key, value in moments_of(self._companions[name], optimiser).items()
            },
            loop={
                "random": self._random.get_state(),
                "processor_random": self._processor_random.get_state(),
                "losses": self._losses,
            },
        )

    def finish(self) -> None:
        """Gives the averaged generator the batch norm statistics that fit its weights."""
        fit_statistics(self.average, self.generator, self._start.spec.latent, self._classes, self._seed)

    def _adam(
        self, network: nn.Module, learning_rate: float, betas: tuple[float, float], moments: State
    ) -> torch.optim.Adam:
        """Adam over a network, slower where the training is taken up again after it diverged."""
        return adam(network, self._start.learning_rate_factor * learning_rate, betas, moments)

    def _adams(self, learning_rates: Mapping[str, float], betas: tuple[float, float]) -> dict[str, torch.optim.Adam]:
        """Adam over each companion that learns, by name."""
        return {
            name: self._adam(self._companions[name], rate, betas, part_of(self._start.companions_optimiser, name))
            for name, rate in learning_rates.items()
        }

    def _set_classifier_rate(self, highest: float) -> None:
        """Gives the classifier this step's learning rate of one cycle."""
        rate = self._start.learning_rate_factor * highest
        self._companion_adams[CLASSIFIER].param_groups[0]["lr"] = rate * one_cycle(self.step, self._steps)

    def _end_step(
        self, losses: Sequence[torch.Tensor | float], *, generator_decay: float, classifier_decay: float
    ) -> None:
        """Moves the averages and counts the step.

        Args:
            losses: what `loss_names` says, of this step.
            generator_decay: of the averaged generator; see `update_average`.
            classifier_decay: of the averaged classifier.
        """
        update_average(self.average, self.generator, generator_decay, self.step)
        update_average(self._averaged_classifier, self._classifier, classifier_decay, self.step)
        copy_statistics(self._averaged_classifier, self._classifier)
        for place, value in enumerate(losses):
            self._losses[place] += value.detach() if isinstance(value, torch.Tensor) else value
        self._losses[-1] += 1
        self.step += 1

    def _placed(self, network: nn.Module, state: State) -> nn.Module:
        network.load_state_dict(state)
        return placed(network, self._device)
