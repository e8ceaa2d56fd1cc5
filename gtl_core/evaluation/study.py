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
from gtl_core.evaluation.arms import JUDGED_ARMS, PLAIN_ARMS, Arm, gan_arms, plain_arms
from gtl_core.evaluation.cells import WEIGHTS, CellResult, Materials, train_cell
from gtl_core.evaluation.forest import draw_forest
from gtl_core.evaluation.held_out import Choices, open_test_part
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
    folder: Path,
    on_progress: OnProgress = silent,
) -> None:
    """Trains every arm on every draw, makes all choices on validation, opens the test part once, and judges the GAN.

    Written into `folder`: `arms.json`, `verdict.json`, `predictions.npz`, `test_opened.json`, `arms.png`, the best
    classifier in `best/`, and every cell in `cells/ARM/DRAW/`. Finished cells of an evaluation that was stopped are
    used again.

    Args:
        experiment: arms, budgets, metric and seed.
        source: folder of the source image set.
        target: folder of the target image set.
        draws: few-shot draws of the target, with one test part.
        source_classifier: weight file of the source classifier.
        synthetic: for each strategy the synthetic sets' folders, one a draw.
        folder: where everything is put.
        on_progress: told how many of the cells are done.

    Raises:
        InputError: no arm without a GAN can take part, or a strategy lacks the synthetic set of a draw.
    """
    _check(synthetic, len(draws))
    names, left_out = _possible(experiment.evaluation.arms, source_classifier, ImageSet.load(target), draws)
    with tempfile.TemporaryDirectory(prefix="gtl-source-") as temporary:
        materials = Materials(
            target=target,
            size=experiment.image.size,
            source_classifier=source_classifier,
            source_images=_source_images(source, experiment.image.size, Path(temporary)),
            source=source,
        )
        plain = plain_arms(names, len(draws))
        cells = _train(experiment, plain, draws, materials, {}, folder, on_progress, "arms without a GAN")
        baseline = _best(cells, list(cells))
        best_plain = [cell.recipe for cell in cells[baseline]]
        with_gan = gan_arms(names, list(synthetic), best_plain)
        cells |= _train(experiment, with_gan, draws, materials, synthetic, folder, on_progress, "arms with a GAN")
    judged = _best(cells, [arm.name for arm in with_gan if arm.kind in JUDGED_ARMS])
    best = _best(cells, list(cells))
    choices = Choices(baseline, judged, best, _best_draw(cells[best]), _best_draw(cells[judged]))
    files = {arm: [cell.folder / WEIGHTS for cell in results] for arm, results in cells.items()}
    predictions = open_test_part(folder, choices, target, experiment.image.size, draws, files)
    validation = {arm: _mean_validation(results)[0] for arm, results in cells.items()}
    rows = arm_rows(experiment, predictions, validation, ImageSet.load(target).classes)
    verdict = give_verdict(experiment, predictions, choices, left_out)
    write_json(folder / "arms.json", rows)
    write_json(folder / "verdict.json", asdict(verdict))
    draw_forest(rows, verdict, folder / "arms.png")
    _keep_best(cells[best][choices.best_draw], best, choices.best_draw, folder / "best")


def _check(synthetic: Mapping[str, Sequence[Path]], draws: int) -> None:
    for strategy, folders in synthetic.items():
        if len(folders) != draws:
            raise InputError(f"{strategy}: {len(folders)} synthetic sets for {draws} draws; make one for each draw")
    if not synthetic:
        raise InputError("there are no synthetic sets to judge; name a transfer strategy")


def _possible(
    names: Sequence[ArmName], source_classifier: Path, target: ImageSet, draws: Sequence[Draw]
) -> tuple[list[ArmName], dict[str, str]]:
    """The arms that these data allow, and why the others are left out."""
    left_out: dict[str, str] = {}
    known = load_classifier(source_classifier)[1]
    unknown = [name for name in target.classes if name not in known]
    if "source_only" in names and unknown:
        left_out["source_only"] = f"the source has no class {', '.join(unknown)}, so its classifier cannot name it"
    if "self_trained" in names and any(not len(draw.unlabelled) for draw in draws):
        left_out["self_trained"] = "the draws leave no unlabelled target image"
    possible = [name for name in names if name not in left_out]
    if not set(possible) & set(PLAIN_ARMS):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(f"no arm without a GAN can take part ({reasons}); add real_augmented to evaluation.arms")
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
            "config": experiment.classifier,
            "metric": experiment.promotion.metric,
        }
        for arm in arms
        for index, draw in enumerate(draws)
    ]
    results = run_cells(train_cell, cells, on_progress, task=task)
    return {arm.name: results[row * len(draws) : (row + 1) * len(draws)] for row, arm in enumerate(arms)}


def _mean_validation(results: Sequence[CellResult]) -> tuple[float, float]:
    """Mean over draws of an arm's validation scores, and of minus its cross-entropies."""
    means = np.mean([cell.validation for cell in results], axis=0)
    return float(means[0]), float(means[1])


def _best(cells: _Cells, names: Sequence[str]) -> str:
    """The arm with the best mean validation; the first of equals."""
    return max(names, key=lambda name: _mean_validation(cells[name]))


def _best_draw(results: Sequence[CellResult]) -> int:
    """The draw whose classifier has the best validation; the first of equals."""
    return max(range(len(results)), key=lambda index: results[index].validation)


def _keep_best(cell: CellResult, arm: str, draw: int, folder: Path) -> None:
    """Puts the classifier to be registered, and where it comes from, into a folder of its own."""
    with atomic_path(folder / WEIGHTS) as temporary:
        shutil.copyfile(cell.folder / WEIGHTS, temporary)
    strategy = arm.split("/")[1] if "/" in arm else None
    about = {"arm": arm, "strategy": strategy, "draw": draw, "validation": cell.validation[0]}
    write_json(folder / "best.json", {**about, "recipe": asdict(cell.recipe)})
