"""What the tests of every room share: real images, and a way to the shared ones where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gtl_core.homes import Homes
from gtl_core.registry.tracking import TrackingStore, open_store

# Tests share the cores among processes, where torch's threads would wait for each other. Started commands inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the minutes of the whole chain first where tests share the cores, so that nothing waits for them at last."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("end_to_end") is None)


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


def homes_in(root: Path) -> Homes:
    """The homes of a project whose root is `root`."""
    return Homes(
        root=root,
        data=root / "data",
        mlruns=root / "mlruns",
        artifacts=root / "artifacts",
        dagster=root / ".dagster",
        experiments=root / "experiments",
    )


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new MLflow database; making one takes seconds, copying one nothing."""
    homes = homes_in(tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_store(homes)
    return homes.mlruns / "mlflow.db"


@pytest.fixture(scope="session")
def new_project(empty_store: Path) -> Callable[[Path], Homes]:
    """Makes a project with an empty MLflow store: a git checkout with one commit that holds a lock file."""

    def make(root: Path) -> Homes:
        homes = homes_in(root)
        homes.mlruns.mkdir(parents=True)
        shutil.copy(empty_store, homes.mlruns / "mlflow.db")
        (root / "requirements.lock").write_text("torch==2.13.0\n")
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        for command in (["init", "-q"], ["add", "requirements.lock"], [*identity, "commit", "-q", "-m", "start"]):
            subprocess.run(["git", *command], cwd=root, check=True)
        return homes

    return make


@pytest.fixture
def homes(tmp_path: Path, new_project: Callable[[Path], Homes], monkeypatch: pytest.MonkeyPatch) -> Homes:
    """A project of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return new_project(tmp_path / "project")


@pytest.fixture
def store(homes: Homes) -> TrackingStore:
    """The MLflow store of that project."""
    return open_store(homes)
