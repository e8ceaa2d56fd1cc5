"""Small image sets with known faults, made of real handwritten digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gtl_core.data.image_set import ImageSet, ImageSetWriter

MakeSet = Callable[..., ImageSet]


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 handwritten digits, uint8 (N, 1, 8, 8), and their labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.round(bunch.images * 255 / 16).astype(np.uint8)[:, None], bunch.target


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """Writes and loads an image set: images, labels, splits (one for all, or one each), groups, classes."""

    def make(
        images: np.ndarray,
        labels: Sequence[int],
        splits: str | Sequence[str] = "",
        groups: Sequence[str] | None = None,
        classes: Sequence[str] = tuple("0123456789"),
        name: str = "some-set",
        original: tuple[int, int, int] | None = None,
    ) -> ImageSet:
        folder = tmp_path / "data" / name
        with ImageSetWriter(folder, classes=classes) as writer:
            for row, image in enumerate(images):
                writer.add(
                    image,
                    label=int(labels[row]),
                    split=splits if isinstance(splits, str) else splits[row],
                    group=groups[row] if groups else "",
                    source_file=f"{name}/{row}.png",
                    original=original,
                )
        return ImageSet.load(folder)

    return make
