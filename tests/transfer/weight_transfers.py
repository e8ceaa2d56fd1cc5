"""How the tests of the weight strategies run one, and what they ask of the outcome."""

from __future__ import annotations

import torch

from gtl_core.config import ClassifierConfig, GanConfig, TransferConfig
from gtl_core.progress import silent
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.strategies import transfer

CLASSES = tuple("0123456789")
CONFIG = GanConfig(width=4, latent=8, batch=16, steps=15, checkpoint_every=4)


def run(
    strategy,
    source,
    few,
    folder,
    steps=12,
    on_progress=silent,
    config=CONFIG,
    classes=CLASSES,
    pool=None,
    classifier=None,
):
    images, labels = few
    inputs = TransferInputs(
        images=images,
        labels=labels,
        classes=classes,
        unlabelled=images[:0] if pool is None else pool,
        source_images=images[:0],
        source_labels=labels[:0],
        source_classes=CLASSES,
        source_gan=source,
        source_classifier=classifier,
        seed=5,
        classifier=ClassifierConfig(steps=5),
    )
    settings = TransferConfig(strategies=(strategy,), steps=steps, augmentation=())
    return transfer(strategy, inputs, config, settings, folder, on_progress)


def learned(state):
    """What training changes: all but the singular vector of a single row, which is always 1 or -1."""
    return {name for name, tensor in state.items() if tensor.shape != (1,) or "direction" not in name}


def moved(before, after, prefix=""):
    """Names of what is not bit-identical."""
    return {name for name in before if name.startswith(prefix) and not torch.equal(before[name], after[name])}
