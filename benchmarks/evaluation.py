"""Seconds and peak memory of all metrics of synthetic images, beside others' implementations on the same features.

The Fréchet and the kernel distance stand beside those of torchmetrics, precision, recall, density and coverage beside
the plain computation that keeps whole matrices of distances. GTL's own come first, and the peak is read before anything
else is loaded.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from gtl_core.metrics.distribution import compare
from gtl_core.metrics.manifold import NEIGHBOURS
from gtl_core.metrics.memorisation import Seen, memorised

Features = npt.NDArray[np.float32]
Result = TypeVar("Result")
CLUSTERS = 10


def main() -> None:
    """Measures, and prints lines or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000, help="real images, and as many synthetic ones")
    parser.add_argument("--features", type=int, default=128, help="numbers in the features of an image")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.images, options.features)
    if options.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:28} {value}" for name, value in result.items()))


def measure(images: int, features: int) -> dict[str, float | int]:
    """Seconds, peak memory, and the largest relative difference from the others."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLUSTERS, features))
    real, held_out, synthetic = (_cloud(centres, images, shift, rng) for shift in (0.0, 0.0, 0.3))
    distances, seconds = _timed(lambda: compare(real, synthetic, 0))
    seen = Seen(synthetic, real, held_out, real[:0])
    _, seconds_memorisation = _timed(lambda: memorised(seen, 0, 0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    (theirs, seconds_torchmetrics), (plain, seconds_plain) = (
        _timed(lambda: _torchmetrics(real, synthetic)),
        _timed(lambda: _plain_manifold(real, synthetic)),
    )
    others = theirs | plain
    return {
        "images": images,
        "features": features,
        "seconds": round(seconds + seconds_memorisation, 2),
        "seconds_distribution": round(seconds, 2),
        "seconds_memorisation": round(seconds_memorisation, 2),
        "peak_mib": round(peak / 2**20),
        "seconds_torchmetrics": round(seconds_torchmetrics, 2),
        "seconds_plain_manifold": round(seconds_plain, 2),
        **{name: round(value, 6) for name, value in distances.items()},
        **{f"{name}_difference": _relative(distances[name], value) for name, value in others.items()},
    }


def _cloud(centres: npt.NDArray[np.float64], count: int, shift: float, rng: np.random.Generator) -> Features:
    """Points around some centres, as features of classes are."""
    points = centres[rng.integers(len(centres), size=count)] + rng.normal(scale=0.5, size=(count, centres.shape[1]))
    return (points + shift).astype(np.float32)


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def _torchmetrics(real: Features, synthetic: Features) -> dict[str, float]:
    """The two distances by torchmetrics, which is handed features instead of images."""
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    class Identity(torch.nn.Identity):
        num_features = real.shape[1]

    size = min(len(real), len(synthetic))
    metrics = {
        "frechet": FrechetInceptionDistance(feature=Identity()),
        "kernel": KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=size),
    }
    for metric in metrics.values():
        metric.update(torch.from_numpy(real).double(), real=True)
        metric.update(torch.from_numpy(synthetic).double(), real=False)
    return {"frechet": float(metrics["frechet"].compute()), "kernel": float(metrics["kernel"].compute()[0])}


def _plain_manifold(real: Features, synthetic: Features) -> dict[str, float]:
    """Precision, recall, density and coverage as they are defined, with whole matrices of distances."""
    from scipy.spatial.distance import cdist

    def radii(points: Features) -> npt.NDArray[np.float64]:
        # The nearest of all is the point itself.
        found: npt.NDArray[np.float64] = np.partition(cdist(points, points), NEIGHBOURS, axis=1)[:, NEIGHBOURS]
        return found

    real_radii, synthetic_radii = radii(real), radii(synthetic)
    between = cdist(real, synthetic)
    held = between <= real_radii[:, None]
    return {
        "precision": float(held.any(axis=0).mean()),
        "recall": float((between <= synthetic_radii).any(axis=1).mean()),
        "density": float(held.sum() / (NEIGHBOURS * len(synthetic))),
        "coverage": float(held.any(axis=1).mean()),
    }


def _relative(own: float, other: float) -> float:
    return abs(own - other) / max(abs(other), 1e-12)


if __name__ == "__main__":
    main()
