"""The decoder of an autoencoder as a registered model: loaded by a fresh process, which has nothing of this project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gtl_core.config import GanConfig
from gtl_core.progress import silent
from gtl_core.registry.gate import Candidate, predict_elsewhere
from gtl_core.registry.packaging import package_generator
from gtl_core.synthesis.sampling import synthesise
from gtl_core.transfer.pretrain import pretrain_source


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of both kinds, of images in colour."""
    images = np.random.default_rng(0).integers(0, 256, (16, 3, 16, 16), dtype=np.uint8)
    return {
        kind: pretrain_source(
            images,
            np.arange(16) % 2,
            ("cat", "dog"),
            GanConfig(architecture=kind, width=8, latent=8, steps=2, batch=8),
            0,
            tmp_path_factory.mktemp(kind),
            silent,
        )
        for kind in ("vae", "vae_gan")
    }


def test_a_fresh_process_draws_from_registered_decoders_and_no_encoder_is_registered_with_them(
    checkpoints: dict[str, Path], tmp_path: Path
):
    packages = {kind: package_generator(path, tmp_path / kind) for kind, path in checkpoints.items()}
    for kind, package in packages.items():
        code = (package.folder / "generator.py").read_text(encoding="utf-8")
        assert "class Generator" in code, kind
        assert "Encoder" not in code, kind
    candidates = [Candidate(kind, package.folder, "generator") for kind, package in packages.items()]
    for answer in predict_elsewhere(candidates, np.zeros((2, 3, 16, 16), np.uint8)):
        assert answer.error == ""
        assert answer.values is not None
        assert answer.values.shape == (2, 3, 16, 16)


def test_a_registered_decoder_repeats_the_synthetic_set_from_its_seed(checkpoints: dict[str, Path], tmp_path: Path):
    import mlflow.pyfunc
    import pandas as pd

    package = package_generator(checkpoints["vae"], tmp_path / "package")
    asked = pd.DataFrame({"label": ["cat", "cat", "dog", "dog"]})
    drawn = mlflow.pyfunc.load_model(str(package.folder)).predict(asked, params={"seed": 5})
    assert np.array_equal(drawn, synthesise(checkpoints["vae"], 2, 5, tmp_path / "set").images)
