"""Networks by name: what a generator and its discriminator are built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import nn

from gtl_core.networks import (
    dagan,
    dcgan,
    fully_connected,
    pair_discriminator,
    patch_discriminator,
    stylist,
    translator,
    vae,
)
from gtl_core.networks.conditions import TextRows, Texts

Architecture = Literal["dcgan", "fully_connected", "translator", "vae", "vae_gan", "dagan", "stylist"]

_BUILDERS: dict[Architecture, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "dcgan": (dcgan.Generator, dcgan.Discriminator),
    "fully_connected": (fully_connected.Generator, fully_connected.Discriminator),
    "translator": (translator.Generator, patch_discriminator.Discriminator),
    "vae": (dcgan.Generator, vae.Encoder),
    "vae_gan": (dcgan.Generator, dcgan.Discriminator),
    "dagan": (dagan.Generator, pair_discriminator.Discriminator),
    "stylist": (stylist.Generator, patch_discriminator.Discriminator),
}


@dataclass(frozen=True)
class GanSpec:
    """All that the shapes of a generator and its discriminator depend on.

    Attributes:
        architecture: name of the module of networks.
        size: height and width of the images.
        channels: 1 or 3.
        width: how wide the networks are; what it counts is told by the architecture.
        latent: numbers in a latent vector.
        classes: number of classes.
        bank: images of each class that a translator, dagan or stylist carries; 0 for other architectures.
        mapping: whether latents pass a small learned network first; what carries images has none.
        text: numbers in the embedding of a class's description, where classes are told by theirs; else 0.
    """

    architecture: Architecture
    size: int
    channels: int
    width: int
    latent: int
    classes: int
    bank: int = 0
    mapping: bool = False
    text: int = 0

    @property
    def options(self) -> dict[str, int]:
        """The arguments that networks of this architecture are made with."""
        names = ["size", "channels", "width", "latent", "classes"]
        names += ["bank"] if self.architecture in ("translator", "dagan", "stylist") else ["mapping", "text"]
        return {name: getattr(self, name) for name in names}


def build_generator(spec: GanSpec, seed: int) -> nn.Module:
    """An untrained generator: `forward(latent float (B, Z), labels int64 (B,))` gives images (B, C, S, S) in [-1, 1].

    Its `blocks` lead from the latent to the image. The same seed gives the same weights, and the global state of
    random numbers is left as it was.
    """
    return _build(_BUILDERS[spec.architecture][0], spec, seed)


def generator_module(spec: GanSpec) -> str:
    """Name of the file, in this folder, that the generator comes from."""
    return _BUILDERS[spec.architecture][0].__module__.rpartition(".")[2]


def build_discriminator(spec: GanSpec, seed: int) -> nn.Module:
    """An untrained discriminator: `forward(images (B, C, S, S), labels int64 (B,))` gives logits (B,).

    Its `blocks` lead from the image to the features, its `head` from there to the logit. A variational autoencoder has
    none (see `judges`); its encoder, which has `blocks` and a `head` too, stands in this place. The same seed gives the
    same weights, and the global state of random numbers is left as it was.
    """
    return _build(_BUILDERS[spec.architecture][1], spec, seed)


def judges(spec: GanSpec) -> bool:
    """Whether what stands in the discriminator's place is one: it tells real images from generated ones."""
    return spec.architecture != "vae"


def build_companions(spec: GanSpec, seed: int) -> dict[str, nn.Module]:
    """Untrained networks that learn beside the two, by name: the encoder of a VAE-GAN.

    The same seed gives the same weights, and the global state of random numbers is left as it was.
    """
    return {"encoder": _build(vae.Encoder, spec, seed)} if spec.architecture == "vae_gan" else {}


def blocks(network: nn.Module) -> list[nn.Module]:
    """The blocks of a generator or discriminator, in the order in which data pass them."""
    return list(cast(nn.ModuleList, network.blocks))


def beside_blocks(network: nn.Module) -> list[nn.Module]:
    """What a generator or discriminator has beside its blocks, such as its head."""
    return [child for name, child in network.named_children() if name != "blocks"]


def features_of(discriminator: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Features float (B, F) of images (B, C, S, S), which `logits_of` goes on from."""
    return cast("Callable[[torch.Tensor], torch.Tensor]", discriminator.features)(images)


def logits_of(discriminator: nn.Module, features: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """Logits (B,) of features (B, F): for the classes `labels` (B,), or whatever the class may be."""
    return cast("Callable[..., torch.Tensor]", discriminator.head)(features, labels)


def class_embeddings(network: nn.Module) -> list[nn.Embedding | TextRows]:
    """The modules that learn what a class is, in a fixed order: a row for each class, or what makes rows from texts."""
    return [module for module in network.modules() if isinstance(module, (nn.Embedding, TextRows))]


def class_embedding_parameters(network: nn.Module) -> list[str]:
    """Names, as in the state dict, of that in which each class has a row of its own: parameters, or fixed texts."""
    kinds = {nn.Embedding: "weight", Texts: "rows"}
    return [f"{name}.{kinds[type(module)]}" for name, module in network.named_modules() if type(module) in kinds]


def _build(builder: Callable[..., nn.Module], spec: GanSpec, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder(**spec.options)
