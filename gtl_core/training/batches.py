"""Batches that mix images of several origins in fixed shares, drawn evenly over classes, with no loader in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Pool:
    """Labelled images of one origin, which make a fixed share of every batch.

    Attributes:
        images: uint8 (N, C, S, S).
        labels: int64 (N,), rows of the classifier's head.
        weight: what an image of this pool counts beside the other pools' weights.
        columns: the logits that compete for these images, or None for all: images of another label set say
            nothing about classes that this set does not have.
        from_source: whether these are images of the source.
    """

    images: np.ndarray
    labels: np.ndarray
    weight: float
    columns: tuple[int, ...] | None = None
    from_source: bool = False


class Batches:
    """The indices of every batch, drawn beforehand, over images that stay on the training device as uint8.

    Attributes:
        from_source: bool (B,), which images of every batch are the source's.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        *,
        batch: int,
        steps: int,
        classes: int,
        rng: np.random.Generator,
        place: torch.device,
    ) -> None:
        """Draws the indices.

        Args:
            pools: where the images come from; every batch is shared out among them by weight.
            batch: images in a batch.
            steps: number of batches.
            classes: number of logits.
            rng: source of the draws.
            place: the training device.
        """
        counts = shared_out(batch, [pool.weight for pool in pools])
        parts, labels, columns, offset = [], [], [], 0
        for pool, count in zip(pools, counts, strict=True):
            parts.append(offset + _class_balanced(pool.labels, (steps, count), rng))
            labels.append(pool.labels)
            columns.append((pool.columns, count))
            offset += len(pool.images)
        self._indices = torch.from_numpy(np.concatenate(parts, axis=1)).to(place)
        self._images = torch.from_numpy(np.concatenate([pool.images for pool in pools])).to(place)
        self._labels = torch.from_numpy(np.concatenate(labels)).to(place)
        self._forbidden = _forbidden(columns, classes).to(place)
        origins = np.repeat([pool.from_source for pool in pools], counts)
        self.from_source = torch.from_numpy(origins).to(place)

    def at(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Images uint8 (B, C, S, S), labels int64 (B,), and what to add to the logits."""
        rows = self._indices[step]
        return self._images[rows], self._labels[rows], self._forbidden


class UnlabelledBatches:
    """The unlabelled images of every step, drawn beforehand, each as likely as any other."""

    def __init__(
        self, images: np.ndarray, *, batch: int, steps: int, rng: np.random.Generator, place: torch.device
    ) -> None:
        """Draws the indices.

        Args:
            images: uint8 (N, C, S, S).
            batch: images in a batch.
            steps: number of batches.
            rng: source of the draws.
            place: the training device.
        """
        self._indices = torch.from_numpy(rng.integers(len(images), size=(steps, batch))).to(place)
        self._images = torch.from_numpy(np.array(images)).to(place)

    def at(self, step: int) -> torch.Tensor:
        """Images uint8 (B, C, S, S)."""
        return self._images[self._indices[step]]


def shared_out(batch: int, weights: Sequence[float]) -> list[int]:
    """Shares out a batch by weight in whole images, to the largest remainders, at least one for each.

    Raises:
        ValueError: fewer images than weights, or a weight that is not positive.
    """
    if batch < len(weights) or min(weights) <= 0:
        raise ValueError(f"cannot share out {batch} images by weights {list(weights)}")
    exact = np.asarray(weights) / sum(weights) * batch
    counts = np.maximum(np.floor(exact), 1).astype(int)
    while counts.sum() < batch:
        counts[np.argmax(exact - counts)] += 1
    while counts.sum() > batch:
        counts[np.argmin(np.where(counts > 1, exact - counts, np.inf))] -= 1
    return [int(count) for count in counts]


def _class_balanced(labels: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Random positions in `labels`, every class that occurs as often as any other."""
    _, positions, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return rng.choice(len(labels), size=shape, p=1.0 / (len(counts) * counts[positions]))


def _forbidden(columns: Sequence[tuple[tuple[int, ...] | None, int]], classes: int) -> torch.Tensor:
    """Minus infinity at the logits that an image of the batch has no say in: (B, K), or (1, 1) where there are none."""
    if all(allowed is None for allowed, _ in columns):
        return torch.zeros(1, 1)
    rows = []
    for allowed, count in columns:
        row = torch.zeros(classes)
        if allowed is not None:
            row[:] = float("-inf")
            row[list(allowed)] = 0.0
        rows.append(row.expand(count, -1))
    return torch.cat(rows)
