"""The backbone of a checkpoint: a ResNet, ConvNeXt or ViT as the library `transformers` builds it, with a new head."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import nn

from gtl_core.networks.classifier import Classifier

MODELS = {
    "resnet": ("ResNetConfig", "ResNetModel"),
    "convnext": ("ConvNextConfig", "ConvNextModel"),
    "vit": ("ViTConfig", "ViTModel"),
}
"""By `model_type`: the classes of `transformers`. No other is ever built, and no code of a checkpoint is run."""
_VIT_STAGES = 4
"""A ViT has layers and no stages, so equal shares of its layers stand for them."""


class Trunk(nn.Module):
    """Images as GTL has them to the features of a checkpoint's network.

    Grey becomes three equal colours, the image gets the size that the network was trained on, and its pixels the mean
    and the deviation. Features are what the network's own head would read: the mean over the image, or a ViT's class
    token.

    Attributes:
        model: the network of `transformers`.
        kind: its `model_type`.
    """

    _mean: torch.Tensor
    _std: torch.Tensor

    def __init__(self, checkpoint: dict[str, Any], side: int, mean: list[float], std: list[float]) -> None:
        """Makes an untrained trunk.

        Args:
            checkpoint: what the checkpoint's `config.json` says of the network.
            side: height and width that it was trained on.
            mean: of each channel, of pixels from 0 to 1.
            std: standard deviation of each channel.
        """
        super().__init__()
        import transformers

        config_class, model_class = (getattr(transformers, name) for name in MODELS[checkpoint["model_type"]])
        self.kind = checkpoint["model_type"]
        options = {"add_pooling_layer": False} if self.kind == "vit" else {}
        self.model = model_class(config_class.from_dict(checkpoint), **options)
        self._side = side
        self.register_buffer("_mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("_std", torch.tensor(std)[:, None, None], persistent=False)

    @property
    def features(self) -> int:
        """How many features an image has."""
        config = self.model.config
        return int(config.hidden_size if self.kind == "vit" else config.hidden_sizes[-1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (B, F) of images (B, C, S, S) in [-1, 1]."""
        pixels = images.expand(-1, self.model.config.num_channels, -1, -1) * 0.5 + 0.5
        if pixels.shape[2] != self._side:
            pixels = nn.functional.interpolate(pixels, (self._side, self._side), mode="bilinear", antialias=True)
        found = self.model((pixels - self._mean) / self._std)
        features: torch.Tensor = found.last_hidden_state[:, 0] if self.kind == "vit" else found.pooler_output.flatten(1)
        return features


class Network(Classifier):
    """A checkpoint's network with a head of its own. Its stages are the network's, or shares of a ViT's layers."""

    backbone = "pretrained"
    places = 1
    requires = ("transformers",)

    def __init__(
        self,
        *,
        size: int,
        channels: int,
        classes: int,
        checkpoint: dict[str, Any],
        side: int,
        mean: list[float],
        std: list[float],
        sha256: str,
    ) -> None:
        """Makes an untrained classifier.

        Args:
            size: height and width of the images.
            channels: 1 or 3.
            classes: number of logits.
            checkpoint: as of a `Trunk`.
            side: as of a `Trunk`.
            mean: as of a `Trunk`.
            std: as of a `Trunk`.
            sha256: of the checkpoint that the weights began as.
        """
        trunk = Trunk(checkpoint, side, mean, std)
        options = {
            "size": size,
            "channels": channels,
            "classes": classes,
            "checkpoint": checkpoint,
            "side": side,
            "mean": mean,
            "std": std,
            "sha256": sha256,
        }
        super().__init__(options, trunk, trunk.features)

    @property
    def stages(self) -> list[nn.Module]:
        """The network's stages; what comes before the first and after the last belongs to these."""
        trunk = cast(Trunk, self.trunk)
        model: Any = trunk.model
        if trunk.kind == "resnet":
            first, parts, last = model.embedder, [[stage] for stage in model.encoder.stages], []
        elif trunk.kind == "convnext":
            first, parts, last = model.embeddings, [[stage] for stage in model.encoder.stages], [model.layernorm]
        else:
            layers = list(model.layers)
            count = min(_VIT_STAGES, len(layers))
            bounds = [len(layers) * stage // count for stage in range(count + 1)]
            parts = [layers[start:end] for start, end in pairwise(bounds)]
            first, last = model.embeddings, [model.layernorm]
        parts[0] = [first, *parts[0]]
        parts[-1] = [*parts[-1], *last]
        return [nn.ModuleList(part) for part in parts]
