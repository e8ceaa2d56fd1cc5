"""The one classifier of every arm: a small convolutional network that a few hundred steps on two cores can train.

This file is copied whole into registered models, so it imports PyTorch and nothing else.
"""

from __future__ import annotations

import torch
from torch import nn


class Classifier(nn.Module):
    """Convolution, BatchNorm and ReLU at each halving down to 4 to 7 pixels, means of quarters, and a linear head.

    The means are of the four quarters of the image, because one mean of the whole forgets where a stroke was: with
    few labelled images that cost one to six points.

    Attributes:
        options: the arguments that it was made with: what a weight file says beside the weights.
        trunk: image (B, C, S, S) to features (B, F).
        head: features to logits, one row a class; the part that changes when the classes do.
    """

    def __init__(self, *, size: int, channels: int, width: int, classes: int) -> None:
        """Makes an untrained classifier.

        Args:
            size: height and width of the images, at least 8.
            channels: 1 or 3.
            width: channels of the first convolution; the later ones have two and four times as many.
            classes: number of logits.
        """
        super().__init__()
        self.options = {"size": size, "channels": channels, "width": width, "classes": classes}
        blocks: list[nn.Module] = []
        halvings = (size // 4).bit_length() - 1
        incoming = channels
        for block in range(halvings + 1):
            outgoing = width * min(2**block, 4)
            if block:
                blocks.append(nn.MaxPool2d(2))
            blocks += [nn.Conv2d(incoming, outgoing, 3, padding=1, bias=False), nn.BatchNorm2d(outgoing), nn.ReLU()]
            incoming = outgoing
        self.trunk = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(4 * incoming, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of images (B, C, S, S) in [-1, 1]."""
        logits: torch.Tensor = self.head(self.trunk(images))
        return logits
