"""What the ways to transfer a classifier cost: processor time of one training with few labelled images.

Every way runs on the same images, one after the other, for several rounds with seeds of their own.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict

import numpy as np
import torch

from benchmarks.measures import Measure, record
from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import fitted
from gtl_core.training.batches import Pool
from gtl_core.training.cached_features import VIEWS, cached_features, train_head
from gtl_core.training.classifier import new_classifier, train_classifier

STEPS = 100
PER_CLASS, SIZE = 10, 28
WIDTHS = {"cnn": 32, "resnet": 16}
NAMES = {
    "all of it fine-tuned": "",
    "last stage and head": "",
    "features, once": "",
    "new head on cached features": "seconds",
}
"""Kinds of training, each with its goal."""
RESAMPLES = 2000
PROTOCOL = (
    f"Seconds of one processor core for one training of {STEPS} steps of 64 images at {SIZE} pixels, from {PER_CLASS} "
    f"of scikit-learn's digits a class, augmented. Features are those of {VIEWS} augmented views of each image, and "
    "once there they serve every learning rate that is tried. Intervals: bootstrap over rounds."
)


def main() -> None:
    """Measures, records, and prints lines or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(1)
    measures = [measure for backbone in WIDTHS for measure in _measured(backbone, options.rounds)]
    record(
        "the cost of transferring a classifier",
        measures,
        protocol=PROTOCOL,
        command="python -m benchmarks.classifier_transfer",
    )
    if options.json:
        print(json.dumps([asdict(measure) for measure in measures]))
    else:
        for measure in measures:
            print(f"{measure.what:50} {measure.value:6.2f} s  ({measure.low:.2f} to {measure.high:.2f})")


def _measured(backbone: str, rounds: int) -> list[Measure]:
    """What all of a backbone costs, its last stage, its features, and a head on them."""
    found = [_round(backbone, seed) for seed in range(rounds)]
    rng = np.random.default_rng(0)
    measures = []
    for what, goal in NAMES.items():
        values = [seconds[what] for seconds in found]
        low, high = np.percentile(rng.choice(values, size=(RESAMPLES, rounds)).mean(axis=1), [2.5, 97.5])
        name = f"{backbone}, width {WIDTHS[backbone]}: {what}"
        measures.append(Measure(name, float(np.mean(values)), float(low), float(high), "s", rounds, goal))
    return measures


def _round(backbone: str, seed: int) -> dict[str, float]:
    """Seconds of processor time, which other processes change little, of each kind of training."""
    width = WIDTHS[backbone]
    config, pools = ClassifierConfig(backbone=backbone, width=width), [_few_digits()]
    start = new_classifier(size=SIZE, channels=1, width=width, classes=10, seed=seed, backbone=backbone)
    settings = {"steps": STEPS, "learning_rate": config.learning_rate, "seed": seed}
    times = [time.process_time()]
    train_classifier(start, pools, config, augmented=True, **settings)
    times.append(time.process_time())
    train_classifier(start, pools, config, augmented=True, learns="last_stage", **settings)
    times.append(time.process_time())
    features = cached_features(start, pools, config, steps=STEPS, augmented=True, seed=seed)
    times.append(time.process_time())
    train_head(start, features, config, **settings)
    times.append(time.process_time())
    return dict(zip(NAMES, np.diff(times), strict=True))


def _few_digits() -> Pool:
    """The first images of each class."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = np.concatenate([np.flatnonzero(digits.target == label)[:PER_CLASS] for label in range(10)])
    images = fitted(np.round(digits.images[rows] * 255 / 16).astype(np.uint8)[:, None], SIZE)
    return Pool(images, digits.target[rows].astype(np.int64), 1.0)


if __name__ == "__main__":
    main()
