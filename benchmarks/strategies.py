"""Milliseconds a step of every strategy of transfer with its default settings, and beside fine-tuning, in one run.

Each strategy runs as in an experiment, once with few steps and once with more; what the further steps took is counted,
so that what a strategy does beforehand is not. The strategies take turns, and the median round counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter

from gtl_core.config import ClassifierConfig, GanConfig, StrategyConfig, TransferConfig
from gtl_core.progress import silent
from gtl_core.training.classifier import train_source_classifier
from gtl_core.training.runtime import device
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.strategies import transfer

CLASSES = tuple("0123456789")
IMAGES = 1000
STRATEGIES = (
    "finetune",
    "freeze_d",
    "freeze_g_then_partial",
    "scale_shift",
    "singular_values",
    "ewc",
    "l2_sp",
    "mine",
    "correspondence",
    "class_mixing",
    "semi_supervised",
    "translate",
    "contrast",
    "cycle",
    "sgan",
)
FEW = 5


def main() -> None:
    """Measures, and prints lines or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--width", type=int, default=32, help="width of the GAN; translators keep their own")
    parser.add_argument("--size", type=int, default=28, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=20, help="steps that are counted in a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each strategy")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES, choices=STRATEGIES, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.width, options.size, options.steps, options.rounds, options.strategies)
    if options.json:
        print(json.dumps(result))
        return
    print(f"images of {options.size} pixels, {torch.get_num_threads()} threads, {device()}")
    for name, milliseconds in result.items():
        print(f"{name:24} {milliseconds:8.1f} ms a step   {milliseconds / next(iter(result.values())):5.2f}")


def measure(width: int, size: int, steps: int, rounds: int, names: list[str]) -> dict[str, float]:
    """Milliseconds a step of each strategy."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, 1, size, size), dtype=np.uint8)
    labels = np.arange(IMAGES) % len(CLASSES)
    gan = GanConfig(width=width, steps=1)
    times: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="gtl-strategies-") as scratch:
        folder = Path(scratch)
        inputs = TransferInputs(
            images=images[:100],
            labels=labels[:100],
            classes=CLASSES,
            unlabelled=images[100:],
            source_images=images,
            source_labels=labels,
            source_classes=CLASSES,
            source_gan=pretrain_source(images, labels, CLASSES, gan, 0, folder / "gan", silent),
            source_classifier=train_source_classifier(
                images, labels, CLASSES, ClassifierConfig(source_steps=1), 0, folder / "classifier"
            ),
            seed=0,
        )
        for turn in range(rounds):
            for name in names:
                few, more = (
                    _seconds(name, count, inputs, gan, folder / f"{turn}-{name}-{count}")
                    for count in (FEW, FEW + steps)
                )
                times[name].append(1e3 * (more - few) / steps)
    return {name: round(statistics.median(each), 1) for name, each in times.items()}


def _seconds(name: str, steps: int, inputs: TransferInputs, gan: GanConfig, folder: Path) -> float:
    """How long a whole transfer takes."""
    strategy = TypeAdapter(StrategyConfig).validate_python({"name": name, "steps": steps})
    start = time.perf_counter()
    transfer(strategy, inputs, gan, TransferConfig(strategies=(strategy,)), folder, silent)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
