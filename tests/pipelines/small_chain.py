"""An experiment that is trained in a second: real handwritten digits, and their negatives as the source."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from gtl_core.config import Experiment
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.homes import Homes

SMALL: dict[str, Any] = {
    "name": "small",
    "source": {"dataset": "turned"},
    "target": {"dataset": "tiny-digits", "labelled_per_class": 3, "validation_per_class": 3},
    "image": {"size": 16, "channels": 1},
    "gan": {"width": 4, "latent": 8, "steps": 2, "batch": 16},
    "transfer": {"strategies": ["finetune"], "steps": 2},
    "synthesis": {"per_class": 3},
    "classifier": {"width": 4, "steps": 4, "source_steps": 8, "batch": 16},
    "evaluation": {"arms": ["real", "best_plus_gan"], "draws": 2, "bootstrap": 100},
}


def small_experiment(**sections: Any) -> dict[str, Any]:
    """The content of its file; what is given of a section replaces just that of it."""
    merged = {
        name: {**SMALL.get(name, {}), **given} if isinstance(given, dict) else given for name, given in sections.items()
    }
    return {**SMALL, **merged}


def as_experiment(**sections: Any) -> Experiment:
    """The experiment itself."""
    return Experiment.model_validate(small_experiment(**sections))


def project_of_digits(root: Path, tiny_digits: Path) -> Homes:
    """Homes below `root` with both sets in the data home."""
    homes = Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", "dagster", "experiments")))
    shutil.copytree(tiny_digits, homes.data / "tiny-digits")
    add_negatives(homes, "turned")
    return homes


def add_negatives(homes: Homes, name: str, classes: tuple[str, ...] | None = None) -> None:
    """Adds the digits' negatives as a set of another name, and of other class names where those are given."""
    digits = ImageSet.load(homes.data / "tiny-digits")
    with ImageSetWriter(homes.data / name, classes=classes or digits.classes) as writer:
        for row in digits.indices("train"):
            writer.add(255 - np.array(digits.images[row]), label=int(digits.labels[row]), source_file=str(row))
