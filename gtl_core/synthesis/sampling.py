"""Sampling of a class-balanced synthetic set from a trained GAN."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.data.writer import ImageSetWriter
from gtl_core.files import file_sha256
from gtl_core.progress import OnProgress, Progress, silent
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.runtime import device, to_uint8

BATCH = 256
"""Images drawn at once; registered generators use the same, so that they repeat a set to the last bit."""

_FAMILIES: Mapping[str, str] = {"vae": "VAE", "vae_gan": "VAE-GAN"}
"""What has made a set, by architecture, where it is no GAN alone."""
_SAMPLES_A_CLASS = 12
_REPORT_SECONDS = 0.25


def synthesise(
    checkpoint: Path, per_class: int, seed: int, folder: Path, on_progress: OnProgress = silent
) -> SyntheticSet:
    """Draws the same number of images of every class from the averaged generator of a GAN.

    The latents are standard normal, all drawn at once from `seed` in the order of the images: class by class. Weights
    and images are float32, also where training used less.

    Args:
        checkpoint: `gan.safetensors` of a training.
        per_class: images of each class.
        seed: of the latents.
        folder: where `images.npy`, `manifest.parquet`, `card.json` and `samples.png` (a row a class) are put, in the
            place of what is there.
        on_progress: told how many images there are.

    Raises:
        InputError: the checkpoint is missing or damaged.
    """
    gan = GanCheckpoint.load(checkpoint)
    sha256 = file_sha256(checkpoint)
    place = device()
    generator = gan.averaged_generator()

    labels = torch.arange(len(gan.classes)).repeat_interleave(per_class)
    latents = torch.randn((len(labels), gan.spec.latent), generator=torch.Generator().manual_seed(seed))
    family = _FAMILIES.get(gan.spec.architecture, "GAN")
    card = {
        "description": f"Synthetic images, made by a {family}",
        "family": family,
        "generator_sha256": sha256,
        "latent": gan.spec.latent,
        "per_class": per_class,
        "seed": seed,
    }
    reported = time.monotonic()
    with ImageSetWriter(folder, gan.classes, card, {"generator_sha256": str, "seed": int, "class": str}) as writer:
        for images, part_labels in drawn(generator, latents, labels, place):
            for image, label in zip(images, part_labels, strict=True):
                name = gan.classes[label]
                writer.add(
                    image,
                    label=label,
                    source_file=picture_name(name, writer.count % per_class),
                    extra={"generator_sha256": sha256, "seed": seed, "class": name},
                )
            if time.monotonic() - reported >= _REPORT_SECONDS or writer.count == len(labels):
                reported = time.monotonic()
                on_progress(Progress("synthetic images", writer.count, len(labels)))
    made = SyntheticSet.load(folder)
    shown = min(per_class, _SAMPLES_A_CLASS)
    rows = np.concatenate([np.arange(shown) + label * per_class for label in range(len(gan.classes))])
    save_png(folder / "samples.png", contact_sheet(made.images[rows], columns=shown))
    return made


def drawn(
    generator: nn.Module, latents: torch.Tensor, labels: torch.Tensor, place: torch.device
) -> Iterator[tuple[npt.NDArray[np.uint8], list[int]]]:
    """Images of latents, batch by batch.

    Args:
        generator: in evaluation mode.
        latents: float (N, Z).
        labels: int64 (N,).
        place: the generator's device.

    Yields:
        uint8 (B, C, S, S), and their labels.
    """
    for part, part_labels in zip(latents.split(BATCH), labels.split(BATCH), strict=True):
        with torch.inference_mode():
            images = to_uint8(generator(part.to(place), part_labels.to(place)))
        yield images.cpu().contiguous().numpy(), part_labels.tolist()


def picture_name(class_name: str, index: int) -> str:
    """Path of one image among exported class folders, whatever characters the class name holds."""
    folder = quote(class_name, safe=" ()+,=@[]") or "%"
    if not folder.strip("."):
        folder = folder.replace(".", "%2E")
    return f"{folder}/{index:06d}.png"
