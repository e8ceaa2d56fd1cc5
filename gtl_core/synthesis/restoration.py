"""Restoration: what is missing of pictures is drawn, or noise taken away, by a generator that knows such pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from gtl_core.progress import OnProgress, Progress, silent
from gtl_core.synthesis.inversion import TOTAL_STEPS, Inversion, invert
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.runtime import device, suitable_threads, to_uint8, to_unit_range

BATCH = 64
"""Pictures in one optimisation."""
_REACH = 8
"""Pixels over which what the generator misses at the edge of a hole fades away inside of it."""
_FADE = 0.8
_MEDIAN_OF_NORMAL = 0.6745
"""Median of the absolute value of a standard normal number."""


@dataclass(frozen=True, eq=False)
class Restored:
    """Pictures as they were restored.

    Attributes:
        images: uint8 (N, C, S, S).
        labels: int64 (N,), the class that each was drawn as.
        before: float (N,), root mean squared error over the known pixels, as a share of the range, of the nearest
            picture that the generator drew at random.
        after: float (N,), that of what it draws now.
        noise: standard deviation of the noise that was taken away, as a share of the range; 0 where holes were filled.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]
    noise: float


def fill_holes(
    gan: GanCheckpoint,
    images: npt.NDArray[np.uint8],
    missing: npt.NDArray[np.bool_],
    allowed: Sequence[Sequence[int]],
    *,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> Restored:
    """Draws what is missing; all other pixels stay as they are.

    What the generator misses at the edge of a hole is made up for inside of it, less and less from pixel to pixel, so
    that no seam shows.

    Args:
        gan: whose averaged generator draws.
        images: uint8 (N, C, S, S) of the generator's size; missing pixels may hold anything.
        missing: bool (N, S, S).
        allowed: for each picture the labels that it may have; all of them where nothing is known.
        seed: of the starts.
        on_progress: told how far it is.
    """
    found, drawn = _inverted(gan, images, ~missing, 0.0, allowed, seed, on_progress)
    wanted, hole = to_unit_range(torch.from_numpy(np.array(images))), torch.from_numpy(missing)[:, None]
    filled = torch.where(hole, drawn + _faded(torch.where(hole, 0.0, wanted - drawn), hole), wanted)
    return _restored(filled, found, 0.0)


def remove_noise(
    gan: GanCheckpoint,
    images: npt.NDArray[np.uint8],
    sigma: float | None,
    allowed: Sequence[Sequence[int]],
    *,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> Restored:
    """Draws pictures without their noise.

    Args:
        gan: whose averaged generator draws.
        images: uint8 (N, C, S, S) of the generator's size.
        sigma: standard deviation of the noise as a share of the range, 0 to 1; None to estimate it, from all pictures
            together.
        allowed: for each picture the labels that it may have; all of them where nothing is known.
        seed: of the starts.
        on_progress: told how far it is.
    """
    noise = estimate_noise(images) if sigma is None else sigma
    everything = np.ones((len(images), *images.shape[2:]), np.bool_)
    found, drawn = _inverted(gan, images, everything, noise, allowed, seed, on_progress)
    return _restored(drawn, found, noise)


def estimate_noise(images: npt.NDArray[np.uint8]) -> float:
    """Standard deviation of the noise on images (N, C, H, W), as a share of the range.

    Immerkær 1996 ("Fast noise variance estimation"), with the median in the place of the mean, so that edges and lines
    count less: a difference of two Laplacians sees nothing of a plane, and noise six times as strong. Where noise was
    cut off at black or white the estimate is too small.
    """
    kernel = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])[None, None]
    planes = torch.from_numpy(np.array(images)).float().flatten(0, 1)[:, None]
    strength = F.conv2d(planes, kernel).abs().median()
    return float(strength) / (_MEDIAN_OF_NORMAL * 6.0 * 255.0)


def _inverted(
    gan: GanCheckpoint,
    images: npt.NDArray[np.uint8],
    known: npt.NDArray[np.bool_],
    noise: float,
    allowed: Sequence[Sequence[int]],
    seed: int,
    on_progress: OnProgress,
) -> tuple[list[Inversion], torch.Tensor]:
    """Inverts the generator, `BATCH` pictures at a time; what was found, and float (N, C, S, S) of all."""
    where, total = device(), TOTAL_STEPS * -(-len(images) // BATCH)
    generator, found = gan.averaged_generator(), []
    with suitable_threads(gan.spec.size):
        for first in range(0, len(images), BATCH):
            rows, made = slice(first, first + BATCH), TOTAL_STEPS * (first // BATCH)

            def tell(step: int, made: int = made) -> None:
                on_progress(Progress("restoration", made + step, total))

            found.append(
                invert(
                    generator,
                    gan.spec.latent,
                    to_unit_range(torch.from_numpy(np.array(images[rows]))).to(where),
                    torch.from_numpy(known[rows]).float()[:, None].to(where),
                    allowed[rows],
                    noise=2.0 * noise,
                    seed=seed,
                    on_step=tell,
                )
            )
    return found, torch.cat([part.images for part in found]).cpu()


def _restored(images: torch.Tensor, found: Sequence[Inversion], noise: float) -> Restored:
    """Everything in its stored form."""
    labels, before, after = (
        torch.cat([getattr(part, name) for part in found]).cpu().numpy() for name in ("labels", "before", "after")
    )
    # Half: the range of the networks' images is 2 wide.
    return Restored(to_uint8(images).numpy(), labels, before**0.5 / 2.0, after**0.5 / 2.0, noise)


def _faded(difference: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    """What differs at the edges of holes, carried on into them and weaker from pixel to pixel.

    Args:
        difference: float (N, C, S, S), 0 inside of holes.
        hole: bool (N, 1, S, S).
    """
    spread, reached = difference, (~hole).float()
    for _ in range(_REACH):
        weight = F.avg_pool2d(reached, 3, stride=1, padding=1)
        mean = F.avg_pool2d(spread * reached, 3, stride=1, padding=1) / weight.clamp(min=1e-6)
        new = (reached == 0.0) & (weight > 0.0)
        spread = torch.where(new, _FADE * mean, spread)
        reached = torch.maximum(reached, new.float())
    return torch.where(hole, spread, 0.0)
