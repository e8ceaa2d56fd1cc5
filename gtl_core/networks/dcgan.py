"""Conditional DCGAN: class-conditional norm in the generator, projection discriminator with spectral norm.

This file is copied whole into registered models, with what it imports of this folder; beside that and the standard
library it imports PyTorch alone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gtl_core.networks.conditions import class_rows, condition, look_up
from gtl_core.networks.mapping import Mapping

SLOPE = 0.1
"""Slope of the leaky ReLUs below zero."""
EMBEDDING_DEVIATION = 0.2
"""Standard deviation of new class embeddings beside the latent's 1."""
WIDEST = 4
"""The deepest layers have at most this many times the width."""


def halvings(size: int) -> int:
    """How often `size` is halved on the way to the smallest map: down to 4 to 7 pixels, or to an odd number above."""
    count = 0
    while size % 2 == 0 and size >= 8:
        size //= 2
        count += 1
    return count


def down_blocks(block: Callable[..., nn.Module], *, size: int, channels: int, width: int) -> nn.ModuleList:
    """Blocks from an image to its smallest maps: one for each halving, and a last one of `WIDEST` times the width.

    Args:
        block: makes one of incoming and outgoing channels, kernel and stride.
        size: height and width of the images.
        channels: of the images.
        width: channels of the largest maps.
    """
    features = [channels, *(width * min(2**depth, WIDEST) for depth in range(halvings(size)))]
    halving = [block(incoming, outgoing, kernel=4, stride=2) for incoming, outgoing in pairwise(features)]
    return nn.ModuleList([*halving, block(features[-1], width * WIDEST, kernel=3, stride=1)])


class ConditionalNorm(nn.Module):
    """Batch norm whose gain and offset belong to the class (de Vries et al. 2017; Miyato & Koyama 2018)."""

    def __init__(self, features: int, classes: int, text: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.gain = class_rows(classes, features, text, mean=1.0)
        self.offset = class_rows(classes, features, text)

    def forward(self, maps: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Normalised maps (B, F, H, W) of classes, labels (B,) or texts (B, T)."""
        gain = self.gain(classes)[:, :, None, None].to(maps.dtype)
        offset = self.offset(classes)[:, :, None, None].to(maps.dtype)
        return torch.addcmul(offset, self.norm(maps), gain)


class First(nn.Module):
    """Latent and class to the smallest maps."""

    def __init__(self, latent: int, features: int, side: int, classes: int, text: int) -> None:
        super().__init__()
        self.shape = (features, side, side)
        # Small beside the latent, or the norm that follows is taken up by the class, and a class gets one picture:
        # after 900 steps on MNIST the pixel spread within a class, beside that of real images, was 0.5 with 1 and 0.9
        # with 0.2.
        self.embedding = class_rows(classes, latent, text, deviation=EMBEDDING_DEVIATION)
        self.linear = nn.Linear(2 * latent, features * side * side, bias=False)
        self.norm = ConditionalNorm(features, classes, text)

    def forward(self, latent: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Maps (B, F, side, side) of latent (B, Z) and classes, labels (B,) or texts (B, T)."""
        maps = self.linear(torch.cat([latent, self.embedding(classes)], dim=1)).unflatten(1, self.shape)
        return F.relu(self.norm(maps.contiguous(memory_format=torch.channels_last), classes))


class Up(nn.Module):
    """Doubles the size of the maps; 4×4 kernels with stride 2 cover every pixel equally often."""

    def __init__(self, incoming: int, outgoing: int, classes: int, text: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(incoming, outgoing, 4, stride=2, padding=1, bias=False)
        self.norm = ConditionalNorm(outgoing, classes, text)

    def forward(self, maps: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Maps (B, outgoing, 2H, 2W) of maps (B, incoming, H, W) and classes, labels (B,) or texts (B, T)."""
        return F.relu(self.norm(self.convolution(maps), classes))


class Last(nn.Module):
    """Maps to pixels."""

    def __init__(self, incoming: int, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(incoming, channels, 3, padding=1)

    def forward(self, maps: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Pixels (B, C, S, S) in [-1, 1]; the class has had its say before."""
        return torch.tanh(self.convolution(maps).float())


class Generator(nn.Module):
    """Latent and class to image.

    Attributes:
        mapping: what latents pass first, where the generator was made with it.
        condition: what labels pass first: where the generator was made for texts, it gives those of the classes.
        blocks: from the latent to the image; each takes what the one before gave, and the classes.
    """

    def __init__(
        self, *, size: int, channels: int, width: int, latent: int, classes: int, mapping: bool = False, text: int = 0
    ) -> None:
        """Makes an untrained generator.

        Args:
            size: height and width of the images, a multiple of 4 from 16 on.
            channels: 1 or 3.
            width: channels of the largest maps; smaller maps have up to four times as many.
            latent: numbers in a latent vector.
            classes: number of classes.
            mapping: whether latents pass a mapping first.
            text: numbers in the embedding of a class's description; 0 where each class learns rows of its own.
        """
        super().__init__()
        self.condition = condition(classes, text)
        doublings = halvings(size)
        features = [width * min(2**depth, WIDEST) for depth in reversed(range(doublings))]
        features.insert(0, features[0])
        self.blocks = nn.ModuleList([First(latent, features[0], size >> doublings, classes, text)])
        for incoming, outgoing in pairwise(features):
            self.blocks.append(Up(incoming, outgoing, classes, text))
        self.blocks.append(Last(width, channels))
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.orthogonal_(module.weight)
        self.mapping = Mapping(latent) if mapping else nn.Identity()

    def forward(self, latent: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Images (B, C, S, S) in [-1, 1] of latents (B, Z) and labels int64 (B,)."""
        maps: torch.Tensor = self.mapping(latent)
        classes = self.condition(labels)
        for block in self.blocks:
            maps = block(maps, classes)
        return maps


class SpectralNorm(nn.Module):
    """A weight divided by its largest singular value (Miyato et al. 2018), found by power iteration.

    The iteration goes one round on in training mode and rests in evaluation mode.
    """

    direction: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("direction", F.normalize(torch.randn(weight.shape[0]), dim=0))
        for _ in range(10):
            self._iterate(weight.detach().flatten(1))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The normalised weight; its gradient takes the singular vectors as constants."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training:
                self._iterate(matrix.detach())
            # With u unchanging, the derivative of |Wᵀu| is u vᵀ, as that of uᵀWv is.
            normalised: torch.Tensor = weight / torch.linalg.vector_norm(self.direction @ matrix)
            return normalised

    def _iterate(self, matrix: torch.Tensor) -> None:
        right = F.normalize(self.direction @ matrix, dim=0)
        # A new tensor, because the graph of an earlier pass may still hold the old one.
        self.direction = F.normalize(matrix @ right, dim=0)


class Down(nn.Module):
    """A spectrally normalised convolution and a leaky ReLU."""

    def __init__(self, incoming: int, outgoing: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(incoming, outgoing, kernel, stride=stride, padding=1)
        nn.init.orthogonal_(self.convolution.weight)
        self.spectral = SpectralNorm(self.convolution.weight)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (B, outgoing, H / stride, W / stride) of maps (B, incoming, H, W)."""
        layer = self.convolution
        weight = self.spectral(layer.weight)
        return F.leaky_relu(F.conv2d(maps, weight, layer.bias, layer.stride, layer.padding), SLOPE)


class Head(nn.Module):
    """Features to a logit, by a linear layer and a projection on the class (Miyato & Koyama 2018)."""

    def __init__(self, features: int, classes: int, text: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.condition = condition(classes, text)
        self.embedding = class_rows(classes, features, text)
        nn.init.orthogonal_(self.linear.weight)
        nn.init.orthogonal_(self.embedding.weight)
        self.spectral = SpectralNorm(self.linear.weight)
        self.spectral_embedding = SpectralNorm(self.embedding.weight)

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """Logits (B,) of features (B, F) and labels (B,); without labels, of images of whatever class."""
        weight = self.spectral(self.linear.weight)
        if labels is not None:
            weight = weight + look_up(self.condition(labels), self.spectral_embedding(self.embedding.weight))
        logits: torch.Tensor = (features * weight).sum(dim=1) + self.linear.bias
        return logits


class Discriminator(nn.Module):
    """Image and class to a logit: high for real images of that class.

    Attributes:
        blocks: from the image to the features.
        head: features and labels to logits.
    """

    def __init__(
        self, *, size: int, channels: int, width: int, latent: int, classes: int, mapping: bool = False, text: int = 0
    ) -> None:
        """Makes an untrained discriminator.

        Args:
            size: height and width of the images, a multiple of 4 from 16 on.
            channels: 1 or 3.
            width: channels of the largest maps; smaller maps have up to four times as many.
            latent: unused here; both networks take the same arguments.
            classes: number of classes.
            mapping: unused here.
            text: numbers in the embedding of a class's description; 0 where each class learns rows of its own.
        """
        super().__init__()
        self.blocks = down_blocks(Down, size=size, channels=channels, width=width)
        self.head = Head(width * WIDEST, classes, text)

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits (B,) of images (B, C, S, S) in [-1, 1] and labels int64 (B,)."""
        logits: torch.Tensor = self.head(self.features(images), labels)
        return logits

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What the head judges of images (B, C, S, S): float (B, F)."""
        maps = images
        for block in self.blocks:
            maps = block(maps)
        return maps.float().sum(dim=(2, 3))
