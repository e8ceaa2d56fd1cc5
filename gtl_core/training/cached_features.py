"""Feature extraction: a new head on a trunk that stays as it is, whose features are computed once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from gtl_core.config import ClassifierConfig
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress, silent
from gtl_core.training.augment import augment
from gtl_core.training.batches import Batches, Pool
from gtl_core.training.fitting import fit
from gtl_core.training.runtime import autocast, device, keep_memory, placed, to_unit_range

VIEWS = 16
"""Augmented views of each image at most."""
_BATCH = 256


def cached_features(
    start: Classifier, pools: Sequence[Pool], config: ClassifierConfig, *, steps: int, augmented: bool, seed: int
) -> list[Pool]:
    """The pools with the trunk's features in the place of the images.

    Augmentation happens before the trunk, so of each image several augmented views are kept: `VIEWS`, or fewer where
    the pool is so big that the training would not see that many of each.

    Args:
        start: whose trunk is used, in evaluation mode; it stays as it is.
        pools: what the head is to learn from.
        config: batch size, and the kind of augmentation.
        steps: optimiser steps of the training to come.
        augmented: whether the views are augmented; else there is one of each image.
        seed: of the augmentation.

    Returns:
        Pools of float32 (N · views, F), whose labels are repeated likewise.
    """
    keep_memory()
    place = device()
    trunk = placed(copy.deepcopy(start.trunk), place).eval()
    generator = torch.Generator().manual_seed(seed)

    def features(images: np.ndarray) -> torch.Tensor:
        inputs = to_unit_range(torch.from_numpy(np.array(images)).to(place))
        if augmented:
            inputs = augment(inputs, generator, photometric=config.photometric)
        with torch.no_grad(), autocast(place):
            found: torch.Tensor = trunk(inputs.contiguous(memory_format=torch.channels_last))
        return found.float().cpu()

    cached = []
    for pool in pools:
        views = max(1, min(VIEWS, steps * config.batch // len(pool.images))) if augmented else 1
        parts = [
            features(pool.images[first : first + _BATCH])
            for _ in range(views)
            for first in range(0, len(pool.images), _BATCH)
        ]
        cached.append(replace(pool, images=torch.cat(parts).numpy(), labels=np.tile(pool.labels, views)))
    return cached


def train_head(
    start: Classifier,
    features: Sequence[Pool],
    config: ClassifierConfig,
    *,
    steps: int,
    learning_rate: float,
    seed: int,
    judge: Callable[[Classifier], tuple[float, ...]] | None = None,
    on_progress: OnProgress = silent,
) -> Classifier:
    """Trains the head of a copy of `start` as `train_classifier` trains all of it; the trunk stays as it is.

    Args:
        start: the classifier to begin with; it stays as it is.
        features: from `cached_features` of the same classifier.
        config: batch size and weight decay.
        steps: number of optimiser steps.
        learning_rate: the highest of the cycle.
        seed: of sampling.
        judge: as in `train_classifier`.
        on_progress: told the loss and the images a second.

    Returns:
        The classifier, on the training device and in evaluation mode.
    """
    place = device()
    model = placed(copy.deepcopy(start), place).eval()
    average = copy.deepcopy(model)
    model.trunk.requires_grad_(False)
    rng = np.random.default_rng([seed, 1])
    classes = start.head.out_features
    batches = Batches(features, batch=config.batch, steps=steps, classes=classes, rng=rng, place=place)

    def loss_at(step: int) -> torch.Tensor:
        inputs, labels, forbidden = batches.at(step)
        return functional.cross_entropy(model.head(inputs) + forbidden, labels)

    return fit(
        model,
        average,
        loss_at,
        list(model.head.parameters()),
        config,
        steps=steps,
        learning_rate=learning_rate,
        judge=judge,
        on_progress=on_progress,
        task="classifier",
    )
