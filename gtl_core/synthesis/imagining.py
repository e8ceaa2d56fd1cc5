"""Images of a text: of a class that a generator never saw, asked for by its description."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from gtl_core.config.descriptions import words_of
from gtl_core.errors import InputError
from gtl_core.networks.registry import build_generator, class_embedding_parameters
from gtl_core.synthesis.sampling import drawn
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.runtime import device, placed


def imagine(gan: GanCheckpoint, text: str, count: int, seed: int) -> npt.NDArray[np.uint8]:
    """Draws images of a text with the averaged generator, as if it were the description of its only class.

    Args:
        gan: a GAN that is told classes by their descriptions.
        text: what shall be drawn.
        count: how many images.
        seed: of the latents.

    Returns:
        uint8 (N, C, S, S).

    Raises:
        InputError: the GAN knows classes by free rows, or the text has no word in it.
    """
    if gan.texts is None:
        raise InputError(
            "this generator was not told its classes by texts, so it cannot draw what a text says; set gan.condition "
            "to text, give descriptions, and run the experiment again"
        )
    if not words_of(text):
        raise InputError(f"there is no word in the text {text!r}; say what shall be drawn")
    network = build_generator(replace(gan.spec, classes=1), seed=0)
    rows = dict.fromkeys(class_embedding_parameters(network), gan.texts.of(text).rows)
    network.load_state_dict(gan.ema | rows)
    latents = torch.randn((count, gan.spec.latent), generator=torch.Generator().manual_seed(seed))
    labels = torch.zeros(count, dtype=torch.int64)
    place = device()
    parts = [images for images, _ in drawn(placed(network, place).eval(), latents, labels, place)]
    return np.concatenate(parts)


def unknown_words(gan: GanCheckpoint, text: str) -> list[str]:
    """Words of a text that are in no description that the GAN has learned from, which say little to it."""
    known = {
        word for described in (gan.texts.learned + gan.texts.texts if gan.texts else ()) for word in words_of(described)
    }
    return [word for word in dict.fromkeys(words_of(text)) if word not in known]
