"""The backbone `resnet`: a small residual network, for images on which a plain one stops getting better with depth."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from gtl_core.networks.classifier import Classifier


class _Block(nn.Module):
    """Two convolutions beside a shortcut: the basic block of He et al. 2016 (arXiv 1512.03385), figure 5."""

    def __init__(self, incoming: int, outgoing: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(incoming, outgoing, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outgoing)
        self.second = nn.Conv2d(outgoing, outgoing, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outgoing)
        # The block begins as its shortcut alone, so that a deep network learns from its first step on (Goyal et al.
        # 2017, arXiv 1706.02677).
        nn.init.zeros_(self.second_norm.weight)
        self.shortcut = nn.Sequential()
        if stride > 1 or incoming != outgoing:
            self.shortcut.append(nn.Conv2d(incoming, outgoing, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outgoing))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = nn.functional.relu(self.first_norm(self.first(maps)))
        return nn.functional.relu(self.second_norm(self.second(inner)) + self.shortcut(maps))


class Network(Classifier):
    """A convolution, one residual block at each size down to 4 to 7 pixels, means of quarters, and a linear head.

    Each block is a stage; the first convolution belongs to the first. At equal width it costs about five times what
    `cnn` does.
    """

    backbone = "resnet"
    places = 4

    def __init__(self, *, size: int, channels: int, width: int, classes: int) -> None:
        """Makes an untrained classifier.

        Args:
            size: height and width of the images, at least 8.
            channels: 1 or 3.
            width: channels of the first block; the later ones have two and four times as many.
            classes: number of logits.
        """
        stem = [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        stages: list[nn.Module] = [nn.Sequential(*stem, _Block(width, width, stride=1))]
        halvings = (size // 4).bit_length() - 1
        incoming = width
        for halving in range(1, halvings + 1):
            outgoing = width * min(2**halving, 4)
            stages.append(_Block(incoming, outgoing, stride=2))
            incoming = outgoing
        trunk = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        options = {"size": size, "channels": channels, "width": width, "classes": classes}
        super().__init__(options, trunk, 4 * incoming)

    @property
    def stages(self) -> list[nn.Module]:
        """The blocks."""
        return list(cast(nn.Sequential, self.trunk))[:-2]
