"""Source weights into networks for the target's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from gtl_core.errors import InputError
from gtl_core.networks.registry import (
    build_companions,
    build_discriminator,
    build_generator,
    class_embedding_parameters,
)
from gtl_core.training.checkpoint import GanCheckpoint, State
from gtl_core.training.class_texts import ClassTexts
from gtl_core.training.gan import told


def carried_over(
    source: GanCheckpoint,
    classes: tuple[str, ...],
    seed: int,
    *,
    mapping: bool = False,
    texts: ClassTexts | None = None,
    nearest: Sequence[int] | None = None,
) -> GanCheckpoint:
    """A GAN for the target's classes with the source's weights, at step 0.

    The generator starts from the source's averaged weights, which draw better than those of any one step. A class
    that the source knows by the same name keeps its embeddings; another one gets those of its nearest source class, or
    embeddings drawn from the normal distribution, feature by feature, of all the source's classes.

    Args:
        source: the source GAN.
        classes: names of the target's classes.
        seed: seed of what is newly made.
        mapping: whether the generator gets a mapping of its latents, which begins as the identity; one that the source
            has stays.
        texts: the classes' descriptions, which take the place of embeddings where the source is told classes by texts.
        nearest: for each of the target's classes the index of the source class that it looks most like; None to draw
            embeddings instead.

    Raises:
        InputError: the source is told classes by texts, and there are none, or the other way round.
    """
    if (texts is None) != (source.texts is None):
        knows, has = ("texts", "no texts") if source.texts else ("free embeddings", "texts")
        raise InputError(
            f"the source GAN is told classes by {knows} and the target has {has}; train the source GAN with the same "
            "gan.condition"
        )
    texts = source.texts.of(*texts.texts) if source.texts and texts else None
    spec = replace(source.spec, classes=len(classes), mapping=mapping or source.spec.mapping)
    others: Sequence[int | None] = nearest or [None] * len(classes)
    rows = [
        source.classes.index(name) if name in source.classes else other
        for name, other in zip(classes, others, strict=True)
    ]
    random = torch.Generator().manual_seed(seed)
    generator = _fill(build_generator(spec, seed), source.ema, rows, random, texts)
    return GanCheckpoint(
        spec=spec,
        classes=classes,
        step=0,
        recipe="",
        curves=(),
        generator=generator,
        discriminator=_fill(build_discriminator(spec, seed), source.discriminator, rows, random, texts),
        ema=generator,
        generator_optimiser={},
        discriminator_optimiser={},
        loop={},
        companions={
            f"{name}.{key}": tensor
            for name, network in build_companions(spec, seed).items()
            for key, tensor in _fill(network, source.companion(name), rows, random, texts).items()
        },
        texts=texts,
    )


def _fill(
    network: nn.Module, state: State, rows: list[int | None], random: torch.Generator, texts: ClassTexts | None
) -> State:
    """The state of a new network with the source's values where they fit.

    What the source does not have, and what differs in shape without having a row for each class, such as the singular
    vector of the embeddings, keeps its new value; so does what the texts of the target's classes have told.
    """
    filled = told(network, texts)
    embeddings = set(class_embedding_parameters(network))
    for name, fresh in filled.items():
        if name in embeddings and not texts:
            filled[name] = _embeddings(state[name], rows, random)
        elif name in state and state[name].shape == fresh.shape:
            filled[name] = state[name].clone()
    return filled


def _embeddings(source: torch.Tensor, rows: list[int | None], random: torch.Generator) -> torch.Tensor:
    """Rows (K, F) for the target's classes, of the source's rows (K', F)."""
    deviation, mean = torch.std_mean(source, dim=0, correction=0)
    return torch.stack(
        [mean + deviation * torch.randn(mean.shape, generator=random) if row is None else source[row] for row in rows]
    )
