"""Classical augmentation of a batch: affine and elastic warps in one resampling, and colour where there is colour."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

ROTATION = math.radians(15.0)
"""Largest rotation either way."""
SCALE = 0.15
"""Largest change of each axis's size, as a share."""
SHEAR = 0.2
"""Largest shear, as a share of the height."""
SHIFT = 0.1
"""Largest shift along each axis, as a share of the image."""
ELASTIC = 0.04
"""Standard deviation of the elastic displacement, as a share of the image."""
ELASTIC_KNOTS = 4
"""Knots along each axis of the smooth elastic field."""
COLOUR = 0.3
"""Largest relative change of brightness, contrast and saturation."""


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Warps each image at random, and jitters its colours where it has three channels.

    The label of no common kind of image changes: nothing is flipped and nothing is turned far. Elastic warps are
    those of Simard et al., "Best practices for convolutional neural networks" (ICDAR 2003), with the smooth field
    made by interpolation between a few knots.

    Args:
        images: float (B, C, S, S) in [-1, 1].
        generator: source of all randomness, on the CPU whatever device the images are on.

    Returns:
        float (B, C, S, S) in [-1, 1], in a new tensor.
    """
    warped = functional.grid_sample(
        images, _grid(images, generator), mode="bilinear", padding_mode="border", align_corners=False
    )
    return _jittered(warped, generator) if images.shape[1] == 3 else warped


def _uniform(shape: tuple[int, ...], reach: float, generator: torch.Generator) -> torch.Tensor:
    """Numbers between −reach and reach."""
    return (torch.rand(shape, generator=generator) * 2.0 - 1.0) * reach


def _grid(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Where each output pixel is read from: (B, S, S, 2), in the coordinates of grid_sample, −1 to 1."""
    batch, _, height, width = images.shape
    angle = _uniform((batch,), ROTATION, generator)
    scale = 1.0 + _uniform((batch, 2), SCALE, generator)
    shear = _uniform((batch,), SHEAR, generator)
    shift = _uniform((batch, 2), 2.0 * SHIFT, generator)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(batch, 2, 2)
    zero = torch.zeros(batch)
    stretch = torch.stack([scale[:, 0], shear, zero, scale[:, 1]], dim=1).view(batch, 2, 2)
    affine = torch.cat([rotation @ stretch, shift[:, :, None]], dim=2)
    grid = functional.affine_grid(affine, [batch, 1, height, width], align_corners=False)
    knots = torch.randn((batch, 2, ELASTIC_KNOTS, ELASTIC_KNOTS), generator=generator) * (2.0 * ELASTIC)
    field = functional.interpolate(knots, size=(height, width), mode="bicubic", align_corners=True)
    return (grid + field.permute(0, 2, 3, 1)).to(images.device)


def _jittered(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Changes brightness, contrast and saturation of each image."""
    factors = 1.0 + _uniform((3, images.shape[0], 1, 1, 1), COLOUR, generator).to(images.device)
    bright = (images + 1.0) * factors[0] - 1.0
    middle = bright.mean(dim=(1, 2, 3), keepdim=True)
    contrasted = middle + (bright - middle) * factors[1]
    grey = contrasted.mean(dim=1, keepdim=True)
    return (grey + (contrasted - grey) * factors[2]).clamp(-1.0, 1.0)
