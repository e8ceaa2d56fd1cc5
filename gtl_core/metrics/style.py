"""What pictures show and how they look, by fixed filters that have learned from no picture at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from gtl_core.metrics.sliced_wasserstein import sliced_wasserstein

_SCALES = (0.7, 1.4)
"""Standard deviations of the Gaussians, in pixels."""
_SIDE = 9
_BATCH = 512


@dataclass(frozen=True)
class StyleShift:
    """What became of pictures.

    Attributes:
        style_before: distance of the looks of the originals from those wanted (sliced Wasserstein distance of
            `look`, whose numbers are in units of their spread among the wanted ones).
        style_after: that of the changed pictures.
        style_floor: that of one half of the wanted pictures from the other: less than this is not to be had.
        content_kept: how much of the edges of a picture stands where it stood: 1 for all, and 0 for no more than a
            picture has in common with another one.
    """

    style_before: float
    style_after: float
    style_floor: float
    content_kept: float

    @property
    def style_moved(self) -> float:
        """Share of the way to the wanted looks: 1 for all of it, below 0 away from there."""
        way = self.style_before - self.style_floor
        return (self.style_before - self.style_after) / way if way > 0.0 else 0.0


def style_shift(
    originals: npt.NDArray[np.uint8], changed: npt.NDArray[np.uint8], wanted: npt.NDArray[np.uint8], seed: int
) -> StyleShift:
    """Measures what became of the content and of the style of pictures.

    Args:
        originals: uint8 (N, C, S, S), two at least.
        changed: uint8 (N, C, S, S), what was made of each.
        wanted: uint8 (M, C, S, S), four at least, of the style that was wanted.
        seed: of directions and of the halves.
    """
    looks = [look(part) for part in (originals, changed, wanted)]
    spread = looks[2].std(axis=0) + 1e-3 * np.abs(looks[2]).mean() + 1e-9
    before, after, goal = (part / spread for part in looks)
    halves = np.array_split(goal[np.random.default_rng(seed).permutation(len(goal))], 2)
    return StyleShift(
        style_before=sliced_wasserstein(before, goal, seed),
        style_after=sliced_wasserstein(after, goal, seed),
        style_floor=sliced_wasserstein(halves[0], halves[1], seed),
        content_kept=float(content_kept(originals, changed).mean()),
    )


def content_kept(originals: npt.NDArray[np.uint8], changed: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """How much of the edges of each picture stands where it stood, (N,): see `StyleShift.content_kept`.

    The edges are gradients at both scales, without their sign, so that a negative keeps them; what is compared is the
    cosine of the angle between two pictures' edges, less what it is on average between two different originals.
    """
    before, after = _edges(originals), _edges(changed)
    alike = (before * after).sum(axis=1)
    total, count = before.sum(axis=0), len(before)
    # The mean over all pairs of different pictures, whatever their order: of the squared sum the own pairs are 1 each.
    by_chance = float(total @ total - (before * before).sum()) / (count * (count - 1))
    kept: npt.NDArray[np.float64] = (alike - by_chance) / max(1.0 - by_chance, 1e-9)
    return kept


def look(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Means, deviations and correlations of what fixed filters see in each image: (N, F).

    The filters are a Gaussian, its derivatives in four directions and its Laplacian at two scales, the bank that
    textures were told apart by before networks (Leung & Malik 2001); the statistics are those by which style is told
    in networks: means and deviations (Huang & Belongie 2017) and a Gram matrix (Gatys et al. 2016).
    """
    parts = []
    for start in range(0, len(images), _BATCH):
        seen = _responses(images[start : start + _BATCH]).flatten(2)
        centred = seen - seen.mean(dim=2, keepdim=True)
        gram = centred @ centred.transpose(1, 2) / seen.shape[2]
        deviation = gram.diagonal(dim1=1, dim2=2).clamp(min=0.0).sqrt()
        rows, columns = torch.triu_indices(gram.shape[1], gram.shape[1], offset=1)
        pairs = gram[:, rows, columns]
        parts.append(torch.cat([seen.mean(dim=2), deviation, pairs.sign() * pairs.abs().sqrt()], dim=1).numpy())
    return np.concatenate(parts)


def _responses(images: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Responses (N, C · K, H, W) of every channel to every filter; those of derivatives without their sign."""
    planes = torch.from_numpy(np.array(images)).double() / 255.0
    count, channels, height, width = planes.shape
    padded = F.pad(planes.flatten(0, 1)[:, None], (_SIDE // 2,) * 4, mode="reflect")
    seen = F.conv2d(padded, _filters())
    seen = torch.where(_signed()[None, :, None, None], seen, seen.abs())
    return seen.reshape(count, channels * seen.shape[1], height, width)


def _edges(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Strengths of the derivatives at every place, as vectors (N, F) of length 1."""
    parts = []
    per_scale = len(_signed()) // len(_SCALES)
    for start in range(0, len(images), _BATCH):
        part = images[start : start + _BATCH]
        seen = _responses(part).unflatten(1, (part.shape[1], len(_SCALES), per_scale))[:, :, :, 1:5]
        vectors = seen.flatten(1)
        parts.append((vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-9)).numpy())
    return np.concatenate(parts)


def _signed() -> torch.Tensor:
    """Which filters' responses keep their sign: the Gaussians."""
    return torch.tensor([True, False, False, False, False, False] * len(_SCALES))


def _filters() -> torch.Tensor:
    """For each scale a Gaussian, its derivatives in four directions, and its Laplacian: (K, 1, 9, 9)."""
    places = torch.arange(_SIDE, dtype=torch.float64) - _SIDE // 2
    down, right = torch.meshgrid(places, places, indexing="ij")
    made = []
    for scale in _SCALES:
        gaussian = torch.exp(-(down**2 + right**2) / (2 * scale**2))
        gaussian = gaussian / gaussian.sum()
        made.append(gaussian)
        for turn in range(4):
            angle = turn * math.pi / 4
            slope = (right * math.cos(angle) + down * math.sin(angle)) * gaussian
            made.append(slope / slope.abs().sum())
        bump = ((down**2 + right**2) / scale**2 - 2.0) * gaussian
        bump = bump - bump.mean()
        made.append(bump / bump.abs().sum())
    return torch.stack(made)[:, None]
