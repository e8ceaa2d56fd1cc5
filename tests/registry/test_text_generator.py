"""Registered generators that were told their classes by texts."""

from __future__ import annotations

import json

import mlflow.pyfunc
import numpy as np
import pytest
from safetensors import safe_open

from gtl_core.config import GanConfig
from gtl_core.progress import silent
from gtl_core.registry.gate import Candidate, predict_elsewhere
from gtl_core.registry.packaging import Package, package_generator
from gtl_core.synthesis.sampling import synthesise
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.class_texts import ClassTexts
from gtl_core.transfer.pretrain import pretrain_source

TOLD = ClassTexts(("a sleeping cat", "a barking dog"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Package, SyntheticSet]:
    """A packaged generator, and what its GAN draws."""
    folder = tmp_path_factory.mktemp("told")
    config = GanConfig(width=8, latent=8, steps=3, batch=8)
    images = np.random.default_rng(0).integers(0, 256, (16, 3, 16, 16), dtype=np.uint8)
    checkpoint = pretrain_source(images, np.arange(16) % 2, ("cat", "dog"), config, 0, folder, silent, TOLD)
    return package_generator(checkpoint, folder / "package"), synthesise(checkpoint, 3, 5, folder / "set")


def test_it_draws_by_the_names_of_the_classes_what_its_gan_draws(told: tuple[Package, SyntheticSet]):
    package, made = told
    labels = made.manifest[["class"]].rename(columns={"class": "label"})
    again = mlflow.pyfunc.load_model(str(package.folder)).predict(labels, params={"seed": 5})
    assert np.array_equal(again, made.images)
    assert not np.array_equal(made.images[0], made.images[3])


def test_a_fresh_process_that_has_nothing_of_this_project_can_load_it(told: tuple[Package, SyntheticSet]):
    package, made = told
    (seen,) = predict_elsewhere([Candidate("told", package.folder, "generator")], made.images)
    assert seen.error == ""
    assert seen.values is not None
    assert "class TextRows" in (package.folder / "generator.py").read_text(encoding="utf-8")


def test_its_weights_say_by_which_texts_it_was_told(told: tuple[Package, SyntheticSet]):
    package, _ = told
    with safe_open(package.folder / "artifacts" / "generator.safetensors", framework="np") as weights:
        about = json.loads(weights.metadata()["gtl"])
    assert about["texts"] == list(TOLD.texts)
