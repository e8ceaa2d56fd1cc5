"""The outputs of the stages that a registration needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gtl_core.config import ClassifierConfig, Experiment
from gtl_core.data.image_set import ImageSet
from gtl_core.files import write_json

CLASSES = tuple("0123456789")


@pytest.fixture(scope="session")
def experiment() -> Experiment:
    """An experiment file's content, tiny."""
    return Experiment.model_validate(
        {
            "name": "digits",
            "source": {"dataset": "typeset"},
            "target": {"dataset": "tiny-digits", "labelled_per_class": 5},
            "image": {"size": 16, "channels": 1},
            "gan": {"width": 8, "latent": 16, "steps": 4, "batch": 16},
            "transfer": {"strategies": ["finetune"]},
            "promotion": {"approval": "automatic"},
        }
    )


@pytest.fixture(scope="session")
def gan(tmp_path_factory: pytest.TempPathFactory, tiny_digits: Path, experiment: Experiment) -> Path:
    """The checkpoint of a GAN that was trained for a few steps."""
    from gtl_core.progress import silent
    from gtl_core.transfer.pretrain import pretrain_source

    digits = ImageSet.load(tiny_digits)
    rows = digits.indices("train")
    folder = tmp_path_factory.mktemp("gan")
    return pretrain_source(
        np.array(digits.images[rows]), digits.labels[rows], CLASSES, experiment.gan, 0, folder, silent
    )


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory, gan: Path) -> Path:
    """A synthetic set of that GAN."""
    from gtl_core.synthesis.sampling import synthesise

    return synthesise(gan, 30, 7, tmp_path_factory.mktemp("made") / "set").folder


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory: pytest.TempPathFactory, tiny_digits: Path) -> Path:
    """What an evaluation leaves: a verdict and the best classifier, really trained, for a few steps."""
    from gtl_core.training.classifier import train_source_classifier

    digits = ImageSet.load(tiny_digits)
    rows = digits.indices("train")
    folder = tmp_path_factory.mktemp("evaluation")
    train_source_classifier(
        np.array(digits.images[rows]),
        digits.labels[rows],
        CLASSES,
        ClassifierConfig(width=8, source_steps=60, batch=32),
        0,
        folder / "best",
    )
    write_json(
        folder / "verdict.json",
        {
            "label": "inconclusive",
            "difference": 0.01,
            "low": -0.02,
            "high": 0.04,
            "metric": "balanced_accuracy",
            "draws": 2,
            "test_images": 200,
            "sentence": "Inconclusive whether GAN transfer helps.",
            "scope": "Holds for tiny digits only.",
        },
    )
    write_json(folder / "arms.json", [{"arm": "real_augmented", "mean": 0.85, "low": 0.8, "high": 0.9}])
    chosen_by = "balanced accuracy on the labelled validation part"
    write_json(folder / "best" / "best.json", {"arm": "real_augmented", "draw": 0, "chosen_by": chosen_by})
    return folder
