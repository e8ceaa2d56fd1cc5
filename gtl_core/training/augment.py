"""Classical augmentation of a batch: warps in one resampling, colour where there is colour, light and sharpness."""

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
TONE_CONTRAST = 0.3
"""Photometric: largest relative change of contrast."""
TONE_BRIGHTNESS = 0.1
"""Photometric: largest change of brightness, as a share of the range from black to white."""
BLUR = 1.5
"""Photometric: largest standard deviation of the Gaussian blur, in pixels; half of the images stay sharp."""

_BLUR_REACH = 2


def augment(images: torch.Tensor, generator: torch.Generator, *, photometric: bool = False) -> torch.Tensor:
    """Warps each image at random, and jitters its colours where it has three channels.

    The label of no common kind of image changes: nothing is flipped and nothing is turned far. Elastic warps are
    those of Simard et al., "Best practices for convolutional neural networks" (ICDAR 2003), with the smooth field
    made by interpolation between a few knots.

    Args:
        images: float (B, C, S, S) in [-1, 1].
        generator: source of all randomness, on the CPU whatever device the images are on.
        photometric: whether contrast, brightness and sharpness vary too, for sources and targets that come from
            different cameras or scanners.

    Returns:
        float (B, C, S, S) in [-1, 1], in a new tensor.
    """
    warped = functional.grid_sample(
        images, _grid(images, generator), mode="bilinear", padding_mode="border", align_corners=False
    )
    coloured = _jittered(warped, generator) if images.shape[1] == 3 else warped
    return _blurred(_toned(coloured, generator), generator) if photometric else coloured


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


def _toned(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Changes contrast about the mean, and brightness, of each image."""
    one = (images.shape[0], 1, 1, 1)
    contrast = 1.0 + _uniform(one, TONE_CONTRAST, generator).to(images.device)
    brightness = _uniform(one, 2.0 * TONE_BRIGHTNESS, generator).to(images.device)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    return (middle + (images - middle) * contrast + brightness).clamp(-1.0, 1.0)


def _blurred(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Blurs half of the images, each by a Gaussian of its own width."""
    batch, channels, _, _ = images.shape
    width = torch.rand((batch, 1), generator=generator) * BLUR + 1e-2
    offsets = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1)
    weights = (-(offsets**2) / (2.0 * width**2)).exp()
    weights = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0).to(images.device)
    chosen = (torch.rand((batch, 1, 1, 1), generator=generator) < 0.5).to(images.device)
    # One convolution with a group for each image and channel, first down and then across.
    planes = functional.pad(images, (_BLUR_REACH,) * 4, mode="replicate").flatten(0, 1)[None]
    planes = functional.conv2d(planes, weights[:, None, :, None], groups=batch * channels)
    planes = functional.conv2d(planes, weights[:, None, None, :], groups=batch * channels)
    return torch.where(chosen, planes.view_as(images), images)
