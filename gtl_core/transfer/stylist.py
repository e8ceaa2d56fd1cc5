"""A stylist for two kinds of pictures without labels: those with the content, and those with the look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.files import canonical_sha256
from gtl_core.networks.registry import GanSpec
from gtl_core.progress import OnProgress
from gtl_core.training.gan import arrays_sha256, untrained
from gtl_core.training.loop import run_training
from gtl_core.training.runtime import device
from gtl_core.training.sampler import BalancedSampler
from gtl_core.training.stylisation import BATCH, StyleImages, StyleTrainer
from gtl_core.transfer.banks import with_bank

KINDS = ("restyled", "style")
_WIDTH, _BANK = 32, 100
_CHECKPOINT_EVERY = 200


def train_stylist(
    content: npt.NDArray[np.uint8],
    style: npt.NDArray[np.uint8],
    *,
    steps: int,
    seed: int,
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Trains a stylist; see `run_training`.

    Args:
        content: uint8 (N, C, S, S), S a multiple of 4.
        style: uint8 (M, C, S, S).
        steps: steps to make.
        seed: seed of all random numbers.
        folder: gets the files of `run_training`.
        on_progress: shows progress.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        Diverged: the training went wrong, and again with smaller learning rates.
    """
    spec = GanSpec(
        "stylist",
        size=content.shape[2],
        channels=content.shape[1],
        width=_WIDTH,
        latent=2,
        classes=len(KINDS),
        bank=_BANK,
    )
    kinds = np.repeat(np.arange(len(KINDS)), [len(content), len(style)])
    start = with_bank(untrained(spec, KINDS, seed), np.concatenate([content, style]), kinds, seed)
    where = device()
    images = StyleImages(*(BalancedSampler(part, np.zeros(len(part), np.int64), where) for part in (content, style)))
    about = {"images": arrays_sha256(content, style), "weights": start.weights_sha256(), "steps": steps, "seed": seed}
    return run_training(
        start,
        lambda checkpoint: StyleTrainer(checkpoint, images, steps=steps, seed=seed),
        steps=steps,
        batch=BATCH,
        checkpoint_every=_CHECKPOINT_EVERY,
        recipe=canonical_sha256({**about, "device": where.type}),
        seed=seed,
        folder=folder,
        on_progress=on_progress,
        task="stylist",
    )
