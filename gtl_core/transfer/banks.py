"""Images into the bank of a generator that draws by changing images it carries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from gtl_core.training.checkpoint import GanCheckpoint


def with_bank(
    start: GanCheckpoint, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], seed: int
) -> GanCheckpoint:
    """The checkpoint with images of every class in its generator's bank: all where there is room, or else some.

    Args:
        start: of a generator with a bank.
        images: uint8 (N, C, S, S).
        labels: int64 (N,), indices of `start.classes`.
        seed: of which images, where a class has more than places.
    """
    random = np.random.default_rng([seed, 0])
    state = dict(start.generator)
    bank, counts = torch.zeros_like(state["bank"]), torch.ones_like(state["counts"])
    for label in range(start.spec.classes):
        own = np.flatnonzero(labels == label)
        chosen, first = np.sort(random.permutation(own)[: start.spec.bank]), label * start.spec.bank
        bank[first : first + len(chosen)] = torch.from_numpy(np.array(images[chosen]))
        counts[label] = len(chosen)
    state |= {"bank": bank, "counts": counts}
    return replace(start, generator=state, ema=state)
