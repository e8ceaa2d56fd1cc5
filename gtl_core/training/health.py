"""Whether a training still goes well: what divergence looks like, told from its curves and its weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gtl_core.training.checkpoint import CurveRow, GanCheckpoint
from gtl_core.training.runtime import autocast, to_unit_range

ROW_STEPS = 50
"""Steps from one row of a training's curves to the next."""
SURE_LOSS = 1e-3
"""A mean loss of the discriminator under which it has nothing left to learn."""
SURE_ROWS = 4
"""Rows of the curves that it may stay there in a row."""
SPREAD_FLOOR = 0.02
"""Share of the real images' spread within a class under which a class counts as one picture.

Far below what fine-tuning on few images comes to (with three a class, about a third): only a generator that no longer
listens to its latent gets there.
"""
COLLAPSED_ROWS = 3
"""Rows of the curves that the spread may stay there in a row."""

_LATENTS = 5
_CLASSES = 10


def trouble(curves: Sequence[CurveRow], *, has_spread: bool, is_game: bool = True) -> str | None:
    """What is wrong with a training, in a few words, or None where nothing is.

    Args:
        curves: rows (step, loss, loss, …), the newest last.
        has_spread: whether the last number of a row is the spread within classes.
        is_game: whether the first two losses are a discriminator's and the generator's.
    """
    if not curves:
        return None
    if not all(abs(value) < float("inf") for value in curves[-1]):
        return "the losses are no numbers any more"
    # Where the generator waits, its loss is exactly 0, and a sure discriminator is what is wanted.
    sure = [row[1] < SURE_LOSS and row[2] != 0.0 for row in curves[-SURE_ROWS:]]
    if is_game and len(sure) == SURE_ROWS and all(sure):
        return f"the discriminator's loss has been under {SURE_LOSS} for {SURE_ROWS * ROW_STEPS} steps"
    if has_spread and len(curves) >= COLLAPSED_ROWS and all(row[-1] < SPREAD_FLOOR for row in curves[-COLLAPSED_ROWS:]):
        return "the generator draws one picture a class"
    return None


def suspicious(curves: Sequence[CurveRow], *, has_spread: bool, is_game: bool = True) -> bool:
    """Whether the newest row could be the first of a trouble, so that nothing should be taken up again from there."""
    if not curves:
        return False
    newest = curves[-1]
    return bool(trouble([newest] * max(SURE_ROWS, COLLAPSED_ROWS), has_spread=has_spread, is_game=is_game))


def finite(checkpoint: GanCheckpoint) -> bool:
    """Whether every weight of a checkpoint is a number."""
    states = (checkpoint.generator, checkpoint.discriminator, checkpoint.ema, checkpoint.companions)
    return all(bool(tensor.isfinite().all()) for state in states for tensor in state.values())


def spread_within_classes(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> float:
    """Standard deviation of a pixel among the images of one class, mean over the pixels and the classes.

    A class of one image, or of copies of one, tells nothing and is left out.

    Args:
        images: uint8 (N, C, S, S).
        labels: int64 (N,).

    Returns:
        The spread of pixels in [-1, 1], or 0 where no class tells anything.
    """
    # Class by class, because as float32 a whole source set can be too much.
    chosen = (to_unit_range(torch.from_numpy(images[labels == label])) for label in np.unique(labels))
    spreads = [float(members.std(dim=0, correction=0).mean()) for members in chosen]
    telling = [spread for spread in spreads if spread > 0.0]
    return sum(telling) / len(telling) if telling else 0.0


@torch.no_grad()
def drawn_spread(generator: nn.Module, latent: int, classes: int, seed: int, where: torch.device) -> float:
    """Spread within the classes of what a generator draws for the same few latents each time; it is left as it was.

    Args:
        generator: `forward(latent (B, Z), labels (B,))` gives images; in whatever mode.
        latent: numbers in a latent vector.
        classes: number of classes; the first ten are looked at.
        seed: seed of the latents.
        where: the generator's device.
    """
    modes = [(module, module.training) for module in generator.modules()]
    shown = min(classes, _CLASSES)
    latents = torch.randn((_LATENTS, latent), generator=torch.Generator().manual_seed(seed)).repeat(shown, 1).to(where)
    labels = torch.arange(shown, device=where).repeat_interleave(_LATENTS)
    generator.eval()
    with autocast(where):
        images = generator(latents, labels)
    for module, training in modes:
        module.training = training
    # A class of copies counts here: that is what collapse looks like.
    return float(images.unflatten(0, (shown, _LATENTS)).std(dim=1, correction=0).mean())
