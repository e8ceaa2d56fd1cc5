"""What every classifier is made of: a trunk that gives an image's features, and a head that names its class.

Files of networks are copied whole into registered models, so they import PyTorch and nothing of this project but others
of their kind.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn


class Classifier(nn.Module):
    """A backbone with a linear head; each backbone is a file with a `Network` that fills this in.

    Attributes:
        backbone: name of the backbone; a weight file says it.
        places: how many places of an image the trunk tells of. Its features are grouped by what they tell, and each
            group has one number for each place.
        requires: packages that it needs beside PyTorch.
        options: the arguments that it was made with: what a weight file says beside the weights.
        trunk: image (B, C, S, S) in [-1, 1] to features (B, F).
        head: features to logits, one row a class; the part that changes when the classes do.
    """

    backbone: ClassVar[str]
    places: ClassVar[int]
    requires: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: dict[str, Any], trunk: nn.Module, features: int) -> None:
        """Puts a head on a trunk.

        Args:
            options: of the network, `classes` among them.
            trunk: image to features.
            features: how many it gives.
        """
        super().__init__()
        self.options = options
        self.trunk = trunk
        self.head = nn.Linear(features, options["classes"])

    @property
    def stages(self) -> list[nn.Module]:
        """The parts of the trunk that have weights, in the order in which an image passes them; together all of it."""
        raise NotImplementedError

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of images (B, C, S, S) in [-1, 1]."""
        logits: torch.Tensor = self.head(self.trunk(images))
        return logits
