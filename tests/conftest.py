"""What the tests of every room share: real images, and a way to the shared ones where they are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

# Tests share the cores among processes, where torch's threads would wait for each other. Started commands inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of MNIST, USPS and CIFAR-10 images beside the checkout; a test that needs it is skipped without."""
    folder = Path(os.environ.get("GTL_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "usps.npz").is_file():
        pytest.skip("the shared real images are not beside this checkout; set GTL_SHARED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def tiny_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 16×16 image set of real handwritten digits: 40 a class to train on, 20 a class to test."""
    from sklearn.datasets import load_digits

    from gtl_core.data.image_set import ImageSetWriter, fitted

    bunch = load_digits()
    images = np.round(bunch.images * 255 / 16).astype(np.uint8)[:, None]
    images = fitted(images, 16)
    folder = tmp_path_factory.mktemp("sets") / "tiny-digits"
    with ImageSetWriter(folder, classes=tuple("0123456789")) as writer:
        for label in range(10):
            for rank, index in enumerate(np.flatnonzero(bunch.target == label)[:60]):
                split = "train" if rank < 40 else "test"
                writer.add(images[index], label=label, split=split, source_file=f"digits/{index}")
    return folder
