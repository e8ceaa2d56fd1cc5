"""A registered generator of learned augmentation carries the labelled images that it changes."""

from __future__ import annotations

from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
from safetensors.torch import load_file

from gtl_core.config import DaganConfig, GanConfig, TransferConfig
from gtl_core.progress import silent
from gtl_core.registry.packaging import package_generator
from gtl_core.synthesis.sampling import synthesise
from gtl_core.transfer.dagan import pretrain_dagan
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.strategies import transfer


def test_a_generator_that_makes_images_of_labelled_ones_is_packaged_with_these(tmp_path: Path):
    strategy = DaganConfig(width=8, latent=4, steps=2, batch=8)
    images = np.random.default_rng(0).integers(0, 256, (16, 3, 20, 20), dtype=np.uint8)
    learned = pretrain_dagan(strategy, images, np.arange(16) % 2, ("cat", "dog"), 0, tmp_path / "source", silent)
    few, labels = images[::2] // 2, np.arange(8) % 2
    inputs = TransferInputs(
        few, labels, ("cow", "hen"), few[:0], images, np.arange(16) % 2, ("cat", "dog"), learned, None, 0
    )
    settings = TransferConfig(strategies=(strategy,))
    checkpoint = transfer(strategy, inputs, GanConfig(), settings, tmp_path / "target", silent)
    package = package_generator(checkpoint, tmp_path / "package")
    weights = load_file(package.folder / "artifacts" / "generator.safetensors")
    assert {image.tobytes() for image in weights["bank"].numpy()} == {image.tobytes() for image in few}
    drawn = mlflow.pyfunc.load_model(str(package.folder)).predict(
        pd.DataFrame({"label": ["cow", "cow", "hen", "hen"]}), params={"seed": 5}
    )
    assert np.array_equal(drawn, synthesise(checkpoint, 2, 5, tmp_path / "set").images)
