"""DiffAugment (Zhao et al. 2020, arXiv 2006.10738): differentiable augmentation, for GANs on few images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from gtl_core.config import Augmentation as Policy

TRANSLATION = 1 / 8
"""Largest shift along each axis, as a share of the image."""
CUTOUT = 1 / 2
"""Side of the square that is cut out, as a share of the image."""


def diff_augment(images: torch.Tensor, policies: Sequence[Policy], generator: torch.Generator) -> torch.Tensor:
    """Changes each image at random by each policy; real and generated images must both pass through.

    Args:
        images: float (B, C, H, W) in [-1, 1].
        policies: which changes, in their order.
        generator: the source of all randomness, on the images' device.

    Returns:
        float (B, C, H, W), differentiable with respect to `images`; colour may leave [-1, 1], and what shifts in or
        is cut out is 0.
    """
    for policy in policies:
        images = _POLICIES[policy](images, generator)
    return images


def _colour(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Brightness ±0.5, saturation ×0 to 2, contrast ×0.5 to 1.5."""
    brightness, saturation, contrast = torch.rand(
        (3, images.shape[0], 1, 1, 1), generator=generator, device=images.device
    )
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (saturation * 2.0)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    contrasted: torch.Tensor = middle + (images - middle) * (contrast + 0.5)
    return contrasted


def _translation(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shifts by whole pixels, as two products with shifted unit matrices: both ways fast, unlike an index."""
    batch, _, height, width = images.shape
    rows = _shifts(batch, height, images, generator)
    columns = _shifts(batch, width, images, generator)
    return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def _shifts(batch: int, side: int, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A matrix (B, side, side) for each image that shifts a vector by a random number of places."""
    reach = int(side * TRANSLATION + 0.5)
    shift = torch.randint(-reach, reach + 1, (batch, 1, 1), generator=generator, device=images.device)
    place = torch.arange(side, device=images.device)
    moved: torch.Tensor = place[None, :, None] - place[None, None, :] == shift
    return moved.to(images.dtype)


def _cutout(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cuts out a square whose centre may be anywhere, so that it may lie partly outside."""
    batch, _, height, width = images.shape
    rows = _inside(batch, height, images.device, generator)
    columns = _inside(batch, width, images.device, generator)
    keep = ~(rows[:, :, None] & columns[:, None, :])
    return images * keep[:, None].to(images.dtype)


def _inside(batch: int, side: int, device: torch.device, generator: torch.Generator) -> torch.Tensor:
    """Which places (B, side) of one axis lie in a stretch of half the side at a random place."""
    length = int(side * CUTOUT + 0.5)
    centre = torch.randint(0, side + (1 - length % 2), (batch, 1), generator=generator, device=device)
    place = torch.arange(side, device=device)[None, :]
    first = centre - length // 2
    return (place >= first) & (place < first + length)


_POLICIES: dict[Policy, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "colour": _colour,
    "translation": _translation,
    "cutout": _cutout,
}
