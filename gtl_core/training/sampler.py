"""Real images for a training: the whole set in the device's memory, every class equally often."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from gtl_core.training.runtime import to_device, to_unit_range


class BalancedSampler:
    """Draws batches with replacement: first a class, then one of its images.

    Attributes:
        classes: int64 (K,), the labels that occur, on the device.
    """

    def __init__(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], where: torch.device) -> None:
        """Takes the set into memory.

        Args:
            images: uint8 (N, C, S, S).
            labels: int64 (N,).
            where: the training device.
        """
        order = np.argsort(labels, kind="stable")
        classes, first, count = np.unique(labels[order], return_index=True, return_counts=True)
        self._images = to_device(images, where)
        self._order = torch.from_numpy(order).to(where)
        self._first = torch.from_numpy(first).to(where)
        self._count = torch.from_numpy(count).to(where)
        self.classes = torch.from_numpy(classes.astype(np.int64)).to(where)

    def labels(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Labels int64 (B,), each class as likely as any other."""
        return self.classes[self._ranks(batch, generator)]

    def draw(self, batch: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float (B, C, S, S) in [-1, 1], channels last, and their labels int64 (B,)."""
        ranks = self._ranks(batch, generator)
        places = torch.rand(batch, generator=generator, device=ranks.device, dtype=torch.float64)
        chosen = self._order[self._first[ranks] + (places * self._count[ranks]).to(torch.int64)]
        return to_unit_range(self._images[chosen]), self.classes[ranks]

    def pairs(
        self, batch: int, each: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Images, and beside each another one of its class, never itself; every class has at least two images.

        Args:
            batch: number of images, a multiple of `each`.
            each: how often an image stands in a row, beside others drawn anew.
            generator: source of randomness.

        Returns:
            Two times float (B, C, S, S) in [-1, 1], channels last, and their labels int64 (B,).
        """
        ranks = self._ranks(batch // each, generator).repeat_interleave(each)
        first, step = torch.rand((2, batch), generator=generator, device=ranks.device, dtype=torch.float64)
        own = (first[::each].repeat_interleave(each) * self._count[ranks]).to(torch.int64)
        further = 1 + (step * (self._count[ranks] - 1)).to(torch.int64)
        images, others = (
            to_unit_range(self._images[self._order[self._first[ranks] + place % self._count[ranks]]])
            for place in (own, own + further)
        )
        return images, others, self.classes[ranks]

    def _ranks(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randint(len(self.classes), (batch,), generator=generator, device=self.classes.device)
