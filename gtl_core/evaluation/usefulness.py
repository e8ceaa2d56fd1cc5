"""How useful synthetic images are to a classifier, told by the validation part alone."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gtl_core.config import ArmName, Experiment
from gtl_core.data.draws import Draw
from gtl_core.evaluation.arms import gan_arms, plain_arms
from gtl_core.evaluation.cells import CellResult, CellSeed, Materials, source_images, train_cell
from gtl_core.evaluation.judging import Judge
from gtl_core.files import write_json
from gtl_core.progress import OnProgress
from gtl_core.training.parallel import run_cells

USEFULNESS = "usefulness.json"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Synthetic images that are to be compared with none, and all else that the classifiers learn from.

    Attributes:
        experiment: the experiment.
        source: folder of the source image set.
        target: folder of the target image set.
        draws: few-shot draws of the target.
        source_classifier: weight file of the source classifier.
        synthetic: for each strategy the folders of its synthetic sets, one a draw.
    """

    experiment: Experiment
    source: Path
    target: Path
    draws: Sequence[Draw]
    source_classifier: Path
    synthetic: Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Trained:
    """Classifiers that differ in nothing but the synthetic images that they learned from.

    Attributes:
        base: the arm whose first trial they are trained by.
        without: the cells without synthetic images, one a draw.
        with_images: for each strategy the cells with its images, one a draw.
    """

    base: ArmName
    without: list[CellResult]
    with_images: dict[str, list[CellResult]]


def train_with_and_without(comparison: Comparison, folder: Path, on_progress: OnProgress, task: str) -> Trained:
    """Trains, on every draw, one classifier without synthetic images and one with those of each strategy.

    All are trained by the first trial of an arm: `source_finetuned`, or `self_trained` where no target image is
    labelled. The test part is not looked at.

    Args:
        comparison: what is compared.
        folder: where the classifiers are put, in `cells/`; finished ones are used again.
        on_progress: told how many classifiers are trained.
        task: name of the work in the progress.
    """
    experiment, draws, synthetic = comparison.experiment, comparison.draws, comparison.synthetic
    judge = Judge.of(experiment)
    base: ArmName = "source_finetuned" if judge.labelled else "self_trained"
    plain = plain_arms([base], len(draws), 1, labelled=judge.labelled)
    recipes = [trials[0] for trials in plain[0].trials]
    arms = [*plain, *gan_arms(["best_plus_gan"], list(synthetic), [], recipes, 1)]
    size = experiment.image.size
    with tempfile.TemporaryDirectory(prefix="gtl-source-") as temporary:
        materials = Materials(
            target=comparison.target,
            size=size,
            source_classifier=comparison.source_classifier,
            source_images=source_images(comparison.source, size, Path(temporary)),
            source=comparison.source,
            copies_per_class=experiment.synthesis.per_class,
        )
        cells = [
            {
                "folder": folder / "cells" / arm.name / str(index),
                "trials": arm.trials[index],
                "draw": draw,
                "seeds": [CellSeed(draw.seed, synthetic[arm.gan][index] if arm.gan else None)],
                "materials": materials,
                "config": experiment.classifier,
                "judge": judge,
            }
            for arm in arms
            for index, draw in enumerate(draws)
        ]
        results: list[CellResult] = run_cells(train_cell, cells, on_progress, task=task)
    by_arm = [results[start : start + len(draws)] for start in range(0, len(results), len(draws))]
    return Trained(base, by_arm[0], dict(zip(synthetic, by_arm[1:], strict=True)))


def measure_usefulness(comparison: Comparison, folder: Path, on_progress: OnProgress) -> None:
    """Writes `usefulness.json`: the base, what is measured, and its value on each draw, without and with images.

    The arguments are those of `train_with_and_without`.
    """
    trained = train_with_and_without(comparison, folder, on_progress, "classifiers")
    write_json(
        folder / USEFULNESS,
        {
            "base": trained.base,
            "measure": Judge.of(comparison.experiment).measure,
            "validation_images": [len(draw.validation) for draw in comparison.draws],
            "without": [cell.validation[0] for cell in trained.without],
            "with": {label: [cell.validation[0] for cell in cells] for label, cells in trained.with_images.items()},
        },
    )
