"""The whole evaluation: arms × draws, choices on validation, one look at the test part, the verdict."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gtl_core.config import ArmName, Experiment
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.errors import InputError
from gtl_core.evaluation.arms import JUDGED_ARMS, LABELLED_ARMS, PLAIN_ARMS, POOL_ARMS, Arm, gan_arms, plain_arms
from gtl_core.evaluation.cells import WEIGHTS, CellResult, Materials, train_cell
from gtl_core.evaluation.forest import draw_forest
from gtl_core.evaluation.held_out import Choices, open_test_part
from gtl_core.evaluation.judging import Judge
from gtl_core.evaluation.verdict import arm_rows, give_verdict
from gtl_core.files import atomic_path, write_json
from gtl_core.progress import OnProgress, silent
from gtl_core.training.classifier import load_classifier
from gtl_core.training.parallel import run_cells

_Cells = dict[str, list[CellResult]]
"""The finished cells of each arm, one a draw."""


def evaluate(
    experiment: Experiment,
    source: Path,
    target: Path,
    draws: Sequence[Draw],
    source_classifier: Path,
    synthetic: Mapping[str, Sequence[Path]],
    adapted: Mapping[str, Sequence[Path]],
    failures: Mapping[str, str],
    folder: Path,
    on_progress: OnProgress = silent,
) -> None:
    """Trains every arm on every draw, makes all choices on validation, opens the test part once, and judges the GAN.

    Written into `folder`: `arms.json`, `verdict.json`, `predictions.npz`, `test_opened.json`, `arms.png`, the best
    classifier in `best/`, and every cell in `cells/ARM/DRAW/`. Finished cells of an evaluation that was stopped are
    used again.

    Where no target image is labelled, arms that need labels are left out, and every choice is made by the mutual
    information between the validation images and the classes predicted for them.

    Args:
        experiment: arms, budgets, metric and seed.
        source: folder of the source image set.
        target: folder of the target image set.
        draws: few-shot draws of the target, with one test part.
        source_classifier: weight file of the source classifier.
        synthetic: for each strategy the synthetic sets' folders, one a draw.
        adapted: for each strategy that trains a classifier beside its generator those classifiers' weight files, one a
            draw.
        failures: strategies that made no set, with the reason; their arms are left out.
        folder: where everything is put.
        on_progress: told how many of the cells are done.

    Raises:
        InputError: no arm without a GAN can take part, or a strategy lacks the synthetic set of a draw.
    """
    _check(synthetic, failures, len(draws))
    judge = Judge.of(experiment)
    names, left_out = _possible(experiment, source_classifier, ImageSet.load(target), draws)
    lost = gan_arms(names, list(failures), [], [])
    left_out |= {arm.name: failures[arm.strategy] for arm in lost if arm.strategy}
    if "adapted" in names and not adapted:
        left_out["adapted"] = "no strategy trains a classifier beside its generator; those of translation do"
    with tempfile.TemporaryDirectory(prefix="gtl-source-") as temporary:
        materials = Materials(
            target=target,
            size=experiment.image.size,
            source_classifier=source_classifier,
            source_images=_source_images(source, experiment.image.size, Path(temporary)),
            source=source,
        )
        plain = plain_arms(names, len(draws), labelled=experiment.target.has_labels)
        cells = _train(experiment, plain, draws, materials, {}, {}, folder, on_progress, "arms without a GAN")
        baseline = _best(cells, list(cells))
        best_plain = [cell.recipe for cell in cells[baseline]]
        with_gan = gan_arms(names, list(synthetic), list(adapted), best_plain)
        cells |= _train(
            experiment, with_gan, draws, materials, synthetic, adapted, folder, on_progress, "arms with a GAN"
        )
    judged = _best(cells, [arm.name for arm in with_gan if arm.kind in JUDGED_ARMS])
    best = _best(cells, list(cells))
    choices = Choices(baseline, judged, best, _best_draw(cells[best]), _best_draw(cells[judged]))
    files = {arm: [cell.folder / WEIGHTS for cell in results] for arm, results in cells.items()}
    predictions = open_test_part(folder, choices, target, experiment.image.size, draws, files)
    validation = {arm: _mean_validation(results)[0] for arm, results in cells.items()}
    rows = arm_rows(experiment, predictions, validation, judge, ImageSet.load(target).classes)
    verdict = give_verdict(experiment, predictions, choices, judge, left_out)
    write_json(folder / "arms.json", rows)
    write_json(folder / "verdict.json", asdict(verdict))
    draw_forest(rows, verdict, folder / "arms.png")
    _keep_best(cells[best][choices.best_draw], best, choices.best_draw, judge, folder / "best")


def _check(synthetic: Mapping[str, Sequence[Path]], failures: Mapping[str, str], draws: int) -> None:
    for strategy, folders in synthetic.items():
        if len(folders) != draws:
            raise InputError(f"{strategy}: {len(folders)} synthetic sets for {draws} draws; make one for each draw")
    if not synthetic:
        reasons = "; ".join(f"{strategy}: {reason}" for strategy, reason in failures.items())
        raise InputError(f"there are no synthetic sets to judge ({reasons}); name another transfer strategy")


def _possible(
    experiment: Experiment, source_classifier: Path, target: ImageSet, draws: Sequence[Draw]
) -> tuple[list[ArmName], dict[str, str]]:
    """The arms that these data allow, and why the others are left out."""
    names, labelled = experiment.evaluation.arms, experiment.target.has_labels
    left_out: dict[str, str] = {}
    if not labelled:
        left_out = {name: "there are no labelled target images" for name in names if name in LABELLED_ARMS}
        if "transferred_gan" in names:
            left_out["transferred_gan"] = "without labelled target images it is the same as synthetic_only"
    known = load_classifier(source_classifier)[1]
    unknown = [name for name in target.classes if name not in known]
    if unknown:
        reason = f"the source has no class {', '.join(unknown)}, so its classifier cannot name it"
        unable = {"source_only"} if labelled else {"source_only", *POOL_ARMS}
        left_out |= {name: reason for name in names if name in unable}
    if any(not len(draw.unlabelled) for draw in draws):
        left_out |= {name: "the draws leave no unlabelled target image" for name in names if name in POOL_ARMS}
    possible = [name for name in names if name not in left_out]
    if not set(possible) & set(PLAIN_ARMS):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        remedy = "add real_augmented to evaluation.arms" if labelled else "label some target images"
        raise InputError(f"no arm without a GAN can take part ({reasons}); {remedy}")
    return possible, left_out


def _source_images(source: Path, size: int, temporary: Path) -> Path:
    """File of the source's training images at the experiment's size, which every cell maps into memory."""
    found = ImageSet.load(source)
    rows = found.training_rows()
    if found.size == size and len(rows) == len(found):
        return source / "images.npy"
    np.save(temporary / "source.npy", fitted(found.images[rows], size), allow_pickle=False)
    return temporary / "source.npy"


def _train(
    experiment: Experiment,
    arms: Sequence[Arm],
    draws: Sequence[Draw],
    materials: Materials,
    synthetic: Mapping[str, Sequence[Path]],
    adapted: Mapping[str, Sequence[Path]],
    folder: Path,
    on_progress: OnProgress,
    task: str,
) -> _Cells:
    """Trains the cells of some arms side by side."""
    cells = [
        {
            "folder": folder / "cells" / arm.name / str(index),
            "trials": arm.trials[index],
            "draw": draw,
            "materials": materials,
            "synthetic": synthetic[arm.strategy][index] if arm.strategy else None,
            "adapted": adapted[arm.strategy][index] if arm.kind == "adapted" and arm.strategy else None,
            "config": experiment.classifier,
            "judge": Judge.of(experiment),
        }
        for arm in arms
        for index, draw in enumerate(draws)
    ]
    results = run_cells(train_cell, cells, on_progress, task=task)
    return {arm.name: results[row * len(draws) : (row + 1) * len(draws)] for row, arm in enumerate(arms)}


def _mean_validation(results: Sequence[CellResult]) -> tuple[float, ...]:
    """Mean over draws of an arm's values on validation, item by item."""
    return tuple(float(mean) for mean in np.mean([cell.validation for cell in results], axis=0))


def _best(cells: _Cells, names: Sequence[str]) -> str:
    """The arm with the best mean validation; the first of equals."""
    return max(names, key=lambda name: _mean_validation(cells[name]))


def _best_draw(results: Sequence[CellResult]) -> int:
    """The draw whose classifier has the best validation; the first of equals."""
    return max(range(len(results)), key=lambda index: results[index].validation)


def _keep_best(cell: CellResult, arm: str, draw: int, judge: Judge, folder: Path) -> None:
    """Puts the classifier to be registered, and where it comes from, into a folder of its own."""
    with atomic_path(folder / WEIGHTS) as temporary:
        shutil.copyfile(cell.folder / WEIGHTS, temporary)
    strategy = arm.split("/")[1] if "/" in arm else None
    about = {"arm": arm, "strategy": strategy, "draw": draw}
    validation = {"validation": cell.validation[0], "validation_measure": judge.measure, "chosen_by": judge.rule}
    write_json(folder / "best.json", {**about, **validation, "recipe": asdict(cell.recipe)})
