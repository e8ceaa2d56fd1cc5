"""Milliseconds of a training step of every architecture of generator, and beside dcgan's, in one run.

Each makes its steps on the same images with the same width and batch. They take turns step by step, so that a busy
moment of the machine does not fall on one alone, and the median step counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import get_args

import numpy as np
import torch

from gtl_core.config import GanConfig
from gtl_core.networks.registry import GanSpec
from gtl_core.training.gan import trainer_of, untrained
from gtl_core.training.gan_trainer import GanTrainer
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import device, keep_memory

CLASSES = tuple("0123456789")
IMAGES = 1000
ARCHITECTURES = get_args(GanConfig.model_fields["architecture"].annotation)
WARM_UP = 3
"""Steps of each before those that count."""


def main() -> None:
    """Measures, and prints lines or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--width", type=int, default=32, help="width of the networks")
    parser.add_argument("--size", type=int, default=28, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=40, help="steps of each architecture")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.width, options.size, options.steps)
    if options.json:
        print(json.dumps(result))
        return
    print(f"images of {options.size} pixels, {torch.get_num_threads()} threads, {device()}")
    for name, milliseconds in result.items():
        print(f"{name:16} {milliseconds:8.1f} ms a step   {milliseconds / result['dcgan']:5.2f}")


def measure(width: int, size: int, steps: int) -> dict[str, float]:
    """Milliseconds a step of each architecture."""
    keep_memory()
    trainers = {name: _trainer(name, width, size) for name in ARCHITECTURES}
    times: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(WARM_UP + steps):
        for name, trainer in trainers.items():
            start = time.perf_counter()
            trainer.advance()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: round(statistics.median(each[WARM_UP:]), 1) for name, each in times.items()}


def _trainer(architecture: str, width: int, size: int) -> GanTrainer:
    """A training on random images that has made no step yet."""
    config = GanConfig(architecture=architecture, width=width)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, 1, size, size), dtype=np.uint8)
    spec = GanSpec(config.architecture, size, 1, width, config.latent, len(CLASSES))
    start, labels = untrained(spec, CLASSES, 0), np.arange(IMAGES) % len(CLASSES)
    return trainer_of(spec)(start, images, labels, config, steps=1, seed=0, plan=Plan(), origin=start)


if __name__ == "__main__":
    main()
