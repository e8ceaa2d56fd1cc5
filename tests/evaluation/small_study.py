"""A small study on real digits, ready to be evaluated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gtl_core.config import Experiment
from gtl_core.data.draws import Draw, make_draws
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.evaluation.study import evaluate
from gtl_core.progress import silent
from gtl_core.synthesis.sampling import synthesise
from gtl_core.training.classifier import train_source_classifier
from gtl_core.transfer.pretrain import pretrain_source

ARMS = ("source_only", "real_augmented", "joint", "self_trained", "transferred_gan", "best_plus_gan", "synthetic_only")


@dataclass(frozen=True)
class Study:
    """What `evaluate` is called with, and where it wrote."""

    experiment: Experiment
    source: Path
    target: Path
    draws: list[Draw]
    source_classifier: Path
    synthetic: dict[str, list[list[Path]]]
    adapted: dict[str, list[list[Path]]]
    failures: dict[str, str]
    folder: Path

    def run(self, folder: Path | None = None) -> None:
        evaluate(
            self.experiment,
            self.source,
            self.target,
            self.draws,
            self.source_classifier,
            self.synthetic,
            self.adapted,
            self.failures,
            folder or self.folder,
        )

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())


def experiment(arms: tuple[str, ...], labelled: int = 5, **evaluation: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "small",
            "source": {"dataset": "thick"},
            "target": {"dataset": "tiny-digits", "labelled_per_class": labelled, "use_unlabelled": True},
            "image": {"size": 16, "channels": 1},
            "gan": {"width": 8, "latent": 16, "steps": 4, "batch": 16},
            "transfer": {"strategies": ["finetune" if labelled else {"name": "translate", "steps": 40}]},
            "classifier": {"width": 8, "steps": 40, "source_steps": 60, "batch": 32, "learning_rate": 1e-2},
            "evaluation": {"arms": list(arms), "draws": 2, "bootstrap": 200, **evaluation},
        }
    )


def thick_digits(digits: ImageSet, folder: Path, classes: tuple[str, ...]) -> Path:
    """A related source set: the training digits with thicker strokes."""
    from scipy.ndimage import grey_dilation

    with ImageSetWriter(folder, classes=classes) as writer:
        for row in digits.indices("train"):
            image = grey_dilation(digits.images[row], size=(1, 2, 2))
            writer.add(image, label=int(digits.labels[row]), split="", source_file=f"thick/{row}")
    return folder


def prepared(
    tiny_digits: Path,
    folder: Path,
    classes: tuple[str, ...],
    arms: tuple[str, ...],
    labelled: int = 5,
    **evaluation: Any,
) -> Study:
    """All that comes before an evaluation; the source names its classes as told."""
    settings, digits = experiment(arms, labelled, **evaluation), ImageSet.load(tiny_digits)
    thick = thick_digits(digits, folder / "thick", classes)
    source = ImageSet.load(thick)
    classifier = train_source_classifier(
        np.array(source.images), source.labels, source.classes, settings.classifier, 0, folder / "source"
    )
    rows = digits.indices("train")
    gan = pretrain_source(
        np.array(digits.images[rows]),
        digits.labels[rows],
        digits.classes,
        settings.gan,
        0,
        folder / "gan",
        silent,
    )
    seeds = settings.evaluation.gan_seeds
    synthetic = [[folder / "synthetic" / f"{draw}-{seed}" for seed in range(seeds)] for draw in range(2)]
    for number, place in enumerate(place for of_draw in synthetic for place in of_draw):
        synthesise(gan, 6, number, place)
    draws = make_draws(digits, labelled, 10, 0.3, 2, 0)
    made = {settings.transfer.strategies[0].name: synthetic}
    # Where nothing is labelled the strategy is a translation, which has a classifier of its own to show.
    adapted = {} if labelled else {name: [[classifier] * seeds] * 2 for name in made}
    return Study(settings, thick, tiny_digits, draws, classifier, made, adapted, {}, folder / "evaluation")


def copied(
    digits: ImageSet, folder: Path, new: Callable[[int, str], tuple[np.ndarray, int]], classes: tuple[str, ...] = ()
) -> Path:
    """A copy of a set with other images and labels, told by row and split, and perhaps other names of the classes."""
    with ImageSetWriter(folder, classes=classes or digits.classes) as writer:
        for row, split in enumerate(digits.manifest["split"]):
            image, label = new(row, str(split))
            writer.add(image, label=label, split=str(split), source_file=str(row))
    return folder
