"""Inversion of a generator: the latent and the class that give an image, of which only a part may be known.

Pure optimisation over any generator `forward(latents (B, Z), labels (B,))`, many images at once. It begins at the best
of many images that the generator draws, goes on by gradient from the best starts of several classes, and ends with a
short tune of the generator itself around what was found (pivotal tuning, Roich et al. 2021, arXiv 2106.05744).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from gtl_core.networks.bank import BankGenerator
from gtl_core.networks.registry import class_embeddings

DRAWN = 5000
"""Images that the generator draws to find starts among, of all classes together."""
STARTS = 8
"""Starts of an image: the best one of each of the best classes, or the best ones of its class where that is told."""
KEPT = 2
"""Starts that go on after the first steps."""
FIRST_STEPS, STEPS, TUNE_STEPS = 60, 150, 60
TOTAL_STEPS = FIRST_STEPS + STEPS + TUNE_STEPS
MISFIT = 0.5
"""Standard deviation of what the generator cannot draw of a pixel, in units of the images, which are in [-1, 1]."""
ROW_DEVIATION = 0.05
"""How far the numbers of an image's own row may be from those of its class, as a standard deviation."""
_LATENT_RATE = 0.05
_ROW_RATE = 0.01
_TUNE_RATE = 3e-4
_BETAS = (0.9, 0.99)
_WARM_UP = 5
_AT_ONCE = 500


@dataclass(frozen=True, eq=False)
class Inversion:
    """What was found.

    Attributes:
        images: float (N, C, S, S) in [-1, 1], what the generator draws there.
        labels: int64 (N,), the class that each was found in.
        before: float (N,), mean squared error over the known pixels of the best image that was drawn at random.
        after: float (N,), that of `images`.
    """

    images: torch.Tensor
    labels: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor


class _OwnRows(nn.Module):
    """A row for each image in the place of a row for each class."""

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows)

    def forward(self, classes: torch.Tensor) -> torch.Tensor:
        """The rows (B, F), whatever the classes."""
        return self.rows


@dataclass(frozen=True, eq=False)
class _Guesses:
    """Where images may come from.

    Attributes:
        latents: float (B, Z).
        labels: int64 (B,).
        of_class: what each of the generator's tables gives for the labels: float (B, F).
        rows: what stands in the place of that.
        images: int64 (B,), the image that each is a guess at.
    """

    latents: torch.Tensor
    labels: torch.Tensor
    of_class: tuple[torch.Tensor, ...]
    rows: tuple[torch.Tensor, ...]
    images: torch.Tensor

    def at(self, places: torch.Tensor) -> _Guesses:
        """Some of them."""
        of_class, rows = (tuple(table[places] for table in tables) for tables in (self.of_class, self.rows))
        return _Guesses(self.latents[places], self.labels[places], of_class, rows, self.images[places])


def invert(
    generator: nn.Module,
    latent: int,
    images: torch.Tensor,
    known: torch.Tensor,
    allowed: Sequence[Sequence[int]],
    *,
    noise: float = 0.0,
    seed: int = 0,
    on_step: Callable[[int], None] = lambda step: None,
) -> Inversion:
    """Finds where images come from, all in one optimisation.

    What is minimised for each image is the mean squared error over its known pixels and, as the prior of latents and of
    classes, σ² (|z|² + Σ |e − e_class|²) / (known pixels): the negative logarithm of the posterior where pixels differ
    from what the generator can draw by normal errors of variance σ², which is that of the noise beside `MISFIT`. The
    rows e that the generator has for its classes may leave those of the class, each image's for itself, so that a
    class-conditional generator draws what lies between the images that it knows.

    Args:
        generator: in evaluation mode; it is left as it was.
        latent: numbers in a latent.
        images: float (N, C, S, S) in [-1, 1], on the generator's device; unknown pixels may hold anything.
        known: float (N, 1, S, S), 1 where a pixel is known and 0 where not.
        allowed: for each image the classes that it may be of, one at least.
        noise: standard deviation of the noise on the known pixels, in units of the images. The tune ends where what is
            left is no more than noise makes, because that is what it then is.
        seed: of the images that are drawn.
        on_step: called with the steps made, up to `TOTAL_STEPS`.

    Returns:
        What was found.
    """
    problem = _Problem(images, known, noise)
    guesses, before = _starts(generator, latent, problem, allowed, seed)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1
        on_step(steps)

    for length, kept in ((FIRST_STEPS, KEPT), (STEPS, 1)):
        guesses, objective = _optimise(generator, guesses, problem, length, count)
        guesses = guesses.at(_best(objective, len(images), kept))
    drawn = _tune(generator, guesses, problem, count)
    on_step(TOTAL_STEPS)
    return Inversion(drawn, guesses.labels, before, problem.error(drawn, guesses.images))


class _Problem:
    """The images to find, and how well a guess fits them."""

    def __init__(self, images: torch.Tensor, known: torch.Tensor, noise: float) -> None:
        self.images, self.noise = images, noise
        self.known = known.expand_as(images)
        self.pixels = self.known.flatten(1).sum(dim=1)
        self.variance = noise**2 + MISFIT**2

    def error(self, drawn: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Mean squared error (B,) over the known pixels of what was drawn for the images of these numbers."""
        wrong = (drawn - self.images[images]).square() * self.known[images]
        return wrong.flatten(1).sum(dim=1) / self.pixels[images]

    def error_by_noise(self, drawn: torch.Tensor) -> torch.Tensor:
        """The error (N,) that noise alone makes where drawn images (N, C, S, S) are the truth.

        Less than σ² where pixels are near black or white, because noise is cut off there.
        """
        if not self.noise:
            return torch.zeros_like(self.pixels)
        down, up = (-1.0 - drawn) / self.noise, (1.0 - drawn) / self.noise
        below, above = torch.special.ndtr(down), torch.special.ndtr(-up)
        inside = 1.0 - below - above + down * _density(down) - up * _density(up)
        errors: torch.Tensor = self.noise**2 * (inside + down.square() * below + up.square() * above)
        return (errors * self.known).flatten(1).sum(dim=1) / self.pixels

    def errors_of_all(self, drawn: torch.Tensor) -> torch.Tensor:
        """Mean squared errors (N, M) of M drawn images as guesses at each of the N images."""
        known, wanted, guesses = self.known.flatten(1), self.images.flatten(1), drawn.flatten(1)
        masked = known * wanted
        squares = (masked * wanted).sum(dim=1)[:, None] - 2.0 * masked @ guesses.T + known @ guesses.square().T
        return squares.clamp(min=0.0) / self.pixels[:, None]

    def prior(self, guesses: _Guesses, latents: torch.Tensor, rows: Sequence[torch.Tensor]) -> torch.Tensor:
        """What latents and rows cost (B,): nothing at a latent of 0 and where the rows are those of the class."""
        away = latents.square().sum(dim=1)
        for moved, of_class in zip(rows, guesses.of_class, strict=True):
            away = away + ((moved - of_class) / ROW_DEVIATION).square().sum(dim=1)
        return self.variance * away / self.pixels[guesses.images]


@torch.no_grad()
def _starts(
    generator: nn.Module, latent: int, problem: _Problem, allowed: Sequence[Sequence[int]], seed: int
) -> tuple[_Guesses, torch.Tensor]:
    """The starts of every image among images drawn at random, and the error of the best one."""
    where = problem.images.device
    classes = sorted({label for own in allowed for label in own})
    per_class = max(STARTS, DRAWN // len(classes))
    labels = torch.tensor(classes).repeat_interleave(per_class)
    latents = torch.randn((len(labels), latent), generator=torch.Generator().manual_seed(seed))
    latents, labels = latents.to(where), labels.to(where)
    pairs = zip(latents.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True)
    errors = torch.cat([problem.errors_of_all(generator(*pair)) for pair in pairs], dim=1)
    turns = torch.arange(STARTS, device=where)
    chosen, best = [], []
    for image, own in enumerate(allowed):
        may = torch.tensor([classes.index(label) for label in own], device=where)
        ranked = errors[image].view(len(classes), per_class)[may].sort(dim=1)
        # The best of each class before the second best of any, so that many classes are tried; errors are below 4.
        order = (ranked.values[:, :STARTS] + 4.0 * turns).flatten().argsort(stable=True)[:STARTS]
        chosen.append((may[:, None] * per_class + ranked.indices)[:, :STARTS].flatten()[order])
        best.append(ranked.values[:, 0].min())
    places = torch.cat(chosen)
    images = torch.arange(len(allowed), device=where).repeat_interleave(STARTS)
    rows = _class_rows(generator, latents[places], labels[places])
    return _Guesses(latents[places], labels[places], rows, rows, images), torch.stack(best)


def _class_rows(generator: nn.Module, latents: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What each of the generator's tables of classes gives for labels (B,): float (B, F)."""
    tables = class_embeddings(generator)
    given: dict[int, torch.Tensor] = {}

    def remember(place: int) -> Callable[..., None]:
        return lambda module, inputs, rows: given.update({place: rows.clone()})

    hooks = [table.register_forward_hook(remember(place)) for place, table in enumerate(tables)]
    generator(latents, labels)
    for hook in hooks:
        hook.remove()
    return tuple(given[place] for place in range(len(tables)))


def _with_own_rows(generator: nn.Module, rows: Sequence[torch.Tensor]) -> tuple[nn.Module, list[nn.Parameter]]:
    """A frozen copy of the generator that takes rows of each image for those of its class, and these rows."""
    own = copy.deepcopy(generator).requires_grad_(False)
    names = {id(module): name for name, module in own.named_modules()}
    learning = []
    for table, of_images in zip(class_embeddings(own), rows, strict=True):
        parent, _, name = names[id(table)].rpartition(".")
        replaced = _OwnRows(of_images.clone())
        setattr(own.get_submodule(parent), name, replaced)
        learning.append(replaced.rows)
    return own, learning


def _optimise(
    generator: nn.Module, guesses: _Guesses, problem: _Problem, steps: int, count: Callable[[], None]
) -> tuple[_Guesses, torch.Tensor]:
    """Moves latents and rows, each guess for itself; gives where they are and what each minimised, (B,)."""
    own, rows = _with_own_rows(generator, guesses.rows)
    latents = guesses.latents.clone().requires_grad_(True)
    if isinstance(own, BankGenerator):
        latents.register_hook(_without_pick)
    optimiser = torch.optim.Adam(
        [{"params": [latents], "lr": _LATENT_RATE}, {"params": rows, "lr": _ROW_RATE}], betas=_BETAS
    )
    rates = [group["lr"] for group in optimiser.param_groups]

    def objective() -> torch.Tensor:
        return problem.error(own(latents, guesses.labels), guesses.images) + problem.prior(guesses, latents, rows)

    for step in range(steps):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * _share(step, steps)
        optimiser.zero_grad()
        objective().sum().backward()
        optimiser.step()
        count()
    with torch.no_grad():
        reached = objective()
    moved = tuple(table.detach() for table in rows)
    return replace(guesses, latents=latents.detach(), rows=moved), reached


def _without_pick(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient (B, Z) but for the number that picks an image: nothing but the prior would ever move that."""
    return torch.cat([torch.zeros_like(gradient[:, :1]), gradient[:, 1:]], dim=1)


def _density(values: torch.Tensor) -> torch.Tensor:
    """Of the standard normal distribution."""
    return torch.exp(-0.5 * values.square()) / math.sqrt(2.0 * math.pi)


def _share(step: int, steps: int) -> float:
    """Factor of the learning rates: a short rise, then half a cosine down to a tenth."""
    return min(1.0, (step + 1) / _WARM_UP) * (0.55 + 0.45 * math.cos(math.pi * step / steps))


def _best(objective: torch.Tensor, images: int, kept: int) -> torch.Tensor:
    """Places of the best guesses at each image; they stand image by image, as many for each."""
    of_image = objective.view(images, -1)
    first = torch.arange(images, device=objective.device)[:, None] * of_image.shape[1]
    return (of_image.topk(kept, largest=False).indices + first).flatten()


def _tune(generator: nn.Module, guesses: _Guesses, problem: _Problem, count: Callable[[], None]) -> torch.Tensor:
    """Images of the guesses, one of each image, from a generator that learns a little more for all of them together."""
    own, rows = _with_own_rows(generator, guesses.rows)
    own.requires_grad_(True)
    for table in rows:
        table.requires_grad_(False)
    optimiser = torch.optim.Adam([weight for weight in own.parameters() if weight.requires_grad], lr=_TUNE_RATE)
    for _ in range(TUNE_STEPS):
        drawn = own(guesses.latents, guesses.labels)
        error = problem.error(drawn, guesses.images).mean()
        if error <= problem.error_by_noise(drawn.detach()).mean():
            break
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        count()
    with torch.no_grad():
        tuned: torch.Tensor = own(guesses.latents, guesses.labels)
    return tuned
