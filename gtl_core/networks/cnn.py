"""The backbone `cnn`: a small convolutional network that a few hundred steps on two cores can train."""

from __future__ import annotations

from typing import cast

from torch import nn

from gtl_core.networks.classifier import Classifier


class Network(Classifier):
    """Convolution, BatchNorm and ReLU at each halving down to 4 to 7 pixels, means of quarters, and a linear head.

    The means are of the four quarters of the image, because one mean of the whole forgets where a stroke was: with
    few labelled images that cost one to six points. Each size of the maps is a stage.
    """

    backbone = "cnn"
    places = 4

    def __init__(self, *, size: int, channels: int, width: int, classes: int) -> None:
        """Makes an untrained classifier.

        Args:
            size: height and width of the images, at least 8.
            channels: 1 or 3.
            width: channels of the first convolution; the later ones have two and four times as many.
            classes: number of logits.
        """
        blocks: list[nn.Module] = []
        halvings = (size // 4).bit_length() - 1
        incoming = channels
        for block in range(halvings + 1):
            outgoing = width * min(2**block, 4)
            if block:
                blocks.append(nn.MaxPool2d(2))
            blocks += [nn.Conv2d(incoming, outgoing, 3, padding=1, bias=False), nn.BatchNorm2d(outgoing), nn.ReLU()]
            incoming = outgoing
        trunk = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        options = {"size": size, "channels": channels, "width": width, "classes": classes}
        super().__init__(options, trunk, 4 * incoming)

    @property
    def stages(self) -> list[nn.Module]:
        """A convolution with its BatchNorm each."""
        layers = list(cast(nn.Sequential, self.trunk))
        starts = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
        return [nn.Sequential(*layers[start : start + 3]) for start in starts]
