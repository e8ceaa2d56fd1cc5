"""Stylisation: pictures keep what they show and take on the look of others, by one of two methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from gtl_core.config import ContrastConfig
from gtl_core.networks import stylist, translator
from gtl_core.progress import OnProgress
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import new_classifier, save_classifier
from gtl_core.training.runtime import device, suitable_threads, to_uint8, to_unit_range
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.stylist import train_stylist
from gtl_core.transfer.translation import transfer_by_translation

Method = Literal["adain", "translate"]

STEPS = 600
"""Steps of a stylist."""
TRANSLATION = ContrastConfig(steps=600, batch=32, pseudo_labels=False, information=0.0)
"""One-sided translation where nobody has labels: what a picture shows is kept by the contrast of its patches alone."""
_ONE_CLASS = ("pictures",)
_BATCH = 128


@dataclass(frozen=True, eq=False)
class Stylised:
    """What was made.

    Attributes:
        images: uint8 (N, C, S, S), one of each content.
        styles: int64 (N,), which style image each took its look from; -1 where it took that of all.
    """

    images: npt.NDArray[np.uint8]
    styles: npt.NDArray[np.int64]


def train(
    method: Method,
    content: npt.NDArray[np.uint8],
    style: npt.NDArray[np.uint8],
    *,
    seed: int,
    folder: Path,
    on_progress: OnProgress,
) -> Path:
    """Trains what `apply` needs; see `run_training`.

    Args:
        method: `adain`, a stylist that takes the look of one picture; or `translate`, a translator (CUT) to the look of
            all of them together.
        content: uint8 (N, C, S, S), S a multiple of 4.
        style: uint8 (M, C, S, S).
        seed: seed of all random numbers.
        folder: gets the training's files.
        on_progress: shows progress.

    Returns:
        Path of `gan.safetensors`.

    Raises:
        Diverged: the training went wrong, and again with smaller learning rates.
    """
    size, channels = content.shape[2], content.shape[1]
    with suitable_threads(size):
        if method == "adain":
            return train_stylist(content, style, steps=STEPS, seed=seed, folder=folder, on_progress=on_progress)
        # With one class there is nothing to tell apart: this classifier's loss is 0, and it costs next to nothing.
        classifier = folder / "one_class.safetensors"
        save_classifier(
            classifier, new_classifier(size=size, channels=channels, width=4, classes=1, seed=seed), _ONE_CLASS
        )
        inputs = TransferInputs(
            images=style[:0],
            labels=np.zeros(0, np.int64),
            classes=_ONE_CLASS,
            unlabelled=style,
            source_images=content,
            source_labels=np.zeros(len(content), np.int64),
            source_classes=_ONE_CLASS,
            source_gan=None,
            source_classifier=classifier,
            seed=seed,
        )
        return transfer_by_translation(TRANSLATION, inputs, (), folder, on_progress)


def apply(
    checkpoint: Path,
    content: npt.NDArray[np.uint8],
    style: npt.NDArray[np.uint8],
    *,
    strength: float = 1.0,
    seed: int,
) -> Stylised:
    """Stylises pictures with what `train` made.

    Args:
        checkpoint: from `train`.
        content: uint8 (N, C, S, S), pictures of the size that it was trained for, these or others.
        style: uint8 (M, C, S, S), where the look is taken from; a translator has it already.
        strength: from 0 to 1, how far a stylist goes from the picture's own look; a translator goes all the way.
        seed: of which style image each picture gets, or of what else a translator leaves open.
    """
    gan = GanCheckpoint.load(checkpoint)
    network, where = gan.averaged_generator(), device()
    random = torch.Generator().manual_seed(seed)
    change: Callable[[torch.Tensor, slice], torch.Tensor]
    if gan.spec.architecture == "stylist":
        restyle = cast(stylist.Generator, network).stylised
        styles = torch.randint(len(style), (len(content),), generator=random)

        def change(images: torch.Tensor, rows: slice) -> torch.Tensor:
            return restyle(images, _in_range(style[styles[rows].numpy()], where), strength)
    else:
        translate = cast(translator.Generator, network).translator
        styles = torch.full((len(content),), -1)
        noise = torch.randn((len(content), gan.spec.latent - 1), generator=random).to(where)

        def change(images: torch.Tensor, rows: slice) -> torch.Tensor:
            translated: torch.Tensor = translate(images, noise[rows])
            return translated

    changed = []
    with torch.inference_mode(), suitable_threads(gan.spec.size):
        for first in range(0, len(content), _BATCH):
            rows = slice(first, first + _BATCH)
            changed.append(to_uint8(change(_in_range(content[rows], where), rows)).cpu().contiguous().numpy())
    return Stylised(np.concatenate(changed), styles.numpy())


def _in_range(images: npt.NDArray[np.uint8], where: torch.device) -> torch.Tensor:
    return to_unit_range(torch.from_numpy(np.array(images)).to(where))
