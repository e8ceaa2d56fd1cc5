"""What an image looks like in four numbers that need no network: brightness, contrast, sharpness, entropy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
"""One number an image: float64 (N,)."""

TITLES: Mapping[str, str] = {
    "mean": "brightness",
    "contrast": "contrast",
    "sharpness": "sharpness",
    "entropy": "entropy",
}
"""What people call each property."""

UNITS: Mapping[str, str] = {
    "mean": "mean of the pixels, 0 black to 1 white",
    "contrast": "standard deviation of the pixels, 0 to 0.5",
    "sharpness": "variance of the Laplacian",
    "entropy": "entropy of the grey levels, bits",
}

_LUMINANCE = np.array([0.299, 0.587, 0.114])
"""ITU-R 601, by which colour images are made grey on import too."""
_LEVELS = 256


def image_properties(images: npt.NDArray[np.uint8]) -> dict[str, Values]:
    """The properties of images, of colour ones those of their luminance.

    Sharpness is the variance of the Laplacian over the inner pixels (Pech-Pacheco et al., 2000,
    doi:10.1109/ICPR.2000.903548): blur lowers it, noise raises it. Entropy is Shannon's, over 256 levels.

    Args:
        images: uint8 (N, C, H, W), grey or colour, at least 3 pixels high and wide.

    Returns:
        For each name in `TITLES`, float64 (N,).
    """
    if images.shape[1] == 3:
        # Rounded to levels again, so that a grey image that is stored in colour keeps its entropy.
        levels = np.round(np.tensordot(_LUMINANCE, images, axes=(0, 1))).astype(np.uint8)
    else:
        levels = np.asarray(images[:, 0])
    grey = levels / 255.0
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    laplacian = around - 4.0 * grey[:, 1:-1, 1:-1]
    return {
        "mean": grey.mean(axis=(1, 2)),
        "contrast": grey.std(axis=(1, 2)),
        "sharpness": laplacian.var(axis=(1, 2)),
        "entropy": _entropy(levels),
    }


def _entropy(levels: npt.NDArray[np.uint8]) -> Values:
    """Shannon entropy in bits of the grey levels of each image, uint8 (N, H, W)."""
    count, pixels = len(levels), levels[0].size if len(levels) else 1
    places = np.arange(count)[:, None] * _LEVELS + levels.reshape(count, -1)
    shares = np.bincount(places.ravel(), minlength=count * _LEVELS).reshape(count, _LEVELS) / pixels
    logarithms = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: Values = -(shares * logarithms).sum(axis=1)
    return entropy
