"""An experiment with sgan, from its sets to a verdict on the classifier that is the discriminator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from gtl_core.files import read_json
from gtl_core.registry.packaging import package_classifier, package_generator
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import load_classifier
from pipelines.stages import Chain
from tests.pipelines.small_chain import as_experiment, project_of_digits


@pytest.fixture
def one_core() -> Iterator[None]:
    """One core, on which cells are trained in this process: no time is spent on starting others."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def test_the_discriminator_is_judged_and_kept_as_any_classifier_and_no_source_gan_is_asked_for(
    tiny_digits: Path, tmp_path: Path, one_core: None
) -> None:
    experiment = as_experiment(
        target={"use_unlabelled": True},
        transfer={"strategies": [{"name": "sgan", "steps": 4, "batch": 8}]},
        evaluation={"arms": ["real_augmented", "adapted"]},
    )
    chain = Chain(experiment, project_of_digits(tmp_path, tiny_digits))
    chain.data_validation()
    chain.draws()
    chain.source_classifier()
    made = chain.transferred_gans()
    chain.synthetic_images()
    folder = chain.evaluation().path
    assert not chain.needs_source_gan
    assert [row["arm"] for row in read_json(folder / "arms.json")] == ["real_augmented", "adapted/sgan"]
    for stage in made:
        model, classes = load_classifier(stage.path / "classifier.safetensors")
        assert model.head.out_features == len(classes) == 10
        assert GanCheckpoint.load(stage.path / "gan.safetensors").classes == classes
    images = np.array(chain.sets[1].images[:3])
    kept = package_classifier(folder / "best" / "classifier.safetensors", images, tmp_path / "classifier")
    assert len(mlflow.pyfunc.load_model(str(kept.folder)).predict(images)) == 3
    drawing = package_generator(made[0].path / "gan.safetensors", tmp_path / "generator")
    asked = pd.DataFrame({"label": ["7", "3"]})
    assert mlflow.pyfunc.load_model(str(drawing.folder)).predict(asked).shape == (2, 1, 16, 16)
    cell = read_json(folder / "cells" / "adapted" / "sgan" / "0" / "cell.json")
    assert cell["recipe"]["initial"] == "strategy"
    assert set(read_json(chain.synthetic_quality().path / "quality.json")["strategies"]) == {"sgan"}
