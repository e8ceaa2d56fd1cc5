"""The whole evaluation: arms × draws × seeds, choices on validation, one look at the test part, the verdict."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gtl_core.config import ArmName, Experiment
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.evaluation.arms import (
    JUDGED_ARMS,
    LABELLED_ARMS,
    PLAIN_ARMS,
    POOL_ARMS,
    SCRATCH,
    Arm,
    gan_arms,
    plain_arms,
)
from gtl_core.evaluation.cells import CellResult, CellSeed, Materials, source_images, train_cell
from gtl_core.evaluation.forest import draw_forest
from gtl_core.evaluation.held_out import Choices, open_test_part
from gtl_core.evaluation.judging import Judge
from gtl_core.evaluation.verdict import arm_rows, give_verdict
from gtl_core.files import atomic_path, write_json
from gtl_core.progress import OnProgress, silent
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.classifier import load_classifier
from gtl_core.training.parallel import run_cells

_Cells = dict[str, list[CellResult]]
"""The finished cells of each arm, one a draw."""
Made = Mapping[str, Sequence[Sequence[Path]]]
"""What each GAN has made: for every draw a path for each GAN seed."""


def evaluate(
    experiment: Experiment,
    source: Path,
    target: Path,
    draws: Sequence[Draw],
    source_classifier: Path,
    synthetic: Made,
    adapted: Made,
    failures: Mapping[str, str],
    folder: Path,
    on_progress: OnProgress = silent,
) -> None:
    """Trains every arm on every draw, makes all choices on validation, opens the test part once, and judges the GAN.

    Written into `folder`: `arms.json`, `verdict.json`, `predictions.npz`, `test_opened.json`, `arms.png`, the best
    classifier in `best/`, and every cell in `cells/ARM/DRAW/`. Finished cells of an evaluation that was stopped are
    used again.

    Where GANs or classifiers are repeated with other seeds, trials and arms are chosen by the mean over the seeds,
    and the draw stays the unit of every statistic.

    Where no target image is labelled, arms that need labels are left out, and every choice is made by the mutual
    information between the validation images and the classes predicted for them.

    Args:
        experiment: arms, budgets, metric and seed.
        source: folder of the source image set.
        target: folder of the target image set.
        draws: few-shot draws of the target, with one test part.
        source_classifier: weight file of the source classifier.
        synthetic: folders of synthetic sets, for each strategy, and under `SCRATCH` those of the GANs without one.
        adapted: weight files of the classifiers that learned beside a generator, for each strategy that trains any.
        failures: strategies that made no set, or `SCRATCH`, with the reason; their arms are left out.
        folder: where everything is put.
        on_progress: told how many of the cells are done.

    Raises:
        InputError: no arm without a GAN can take part, or none that a verdict could be about, or the synthetic set of
            a draw or of a seed is missing.
    """
    _check(synthetic, failures, len(draws), experiment.evaluation.gan_seeds)
    judge = Judge.of(experiment)
    names, left_out = _possible(experiment, source_classifier, ImageSet.load(target), draws)
    left_out |= _without_images(names, synthetic, adapted, failures)
    with tempfile.TemporaryDirectory(prefix="gtl-source-") as temporary:
        materials = Materials(
            target=target,
            size=experiment.image.size,
            source_classifier=source_classifier,
            source_images=source_images(source, experiment.image.size, Path(temporary)),
            source=source,
            copies_per_class=experiment.synthesis.per_class,
        )
        trials = experiment.evaluation.trials
        plain = plain_arms(names, len(draws), trials, labelled=experiment.target.has_labels)
        cells = _train(experiment, plain, draws, materials, {}, {}, folder, on_progress, "arms without a GAN")
        baseline = _best(cells, list(cells))
        best_plain = [cell.recipe for cell in cells[baseline]]
        able = gan_arms(names, list(synthetic), list(adapted), best_plain, trials)
        with_gan = [arm for arm in able if arm.name not in left_out]
        cells |= _train(
            experiment, with_gan, draws, materials, synthetic, adapted, folder, on_progress, "arms with a GAN"
        )
    judged = _best(cells, [arm.name for arm in with_gan if arm.kind in JUDGED_ARMS])
    choices = _choices(cells, baseline, judged)
    files = {arm: [cell.classifiers for cell in results] for arm, results in cells.items()}
    predictions = open_test_part(folder, choices, target, experiment.image.size, draws, files)
    validation = {arm: _mean_validation(results)[0] for arm, results in cells.items()}
    rows = arm_rows(experiment, predictions, validation, judge, ImageSet.load(target).classes)
    verdict = give_verdict(experiment, predictions, choices, judge, left_out)
    write_json(folder / "arms.json", rows)
    write_json(folder / "verdict.json", asdict(verdict))
    draw_forest(rows, verdict, folder / "arms.png")
    best = cells[choices.best_arm][choices.best_draw]
    _keep_best(best, choices, experiment.evaluation.gan_seeds, judge, folder / "best")


def _check(synthetic: Made, failures: Mapping[str, str], draws: int, seeds: int) -> None:
    for strategy, folders in synthetic.items():
        if len(folders) != draws:
            raise InputError(f"{strategy}: {len(folders)} synthetic sets for {draws} draws; make one for each draw")
        for draw, of_draw in enumerate(folders):
            if len(of_draw) != seeds:
                raise InputError(f"{strategy}: {len(of_draw)} synthetic sets of draw {draw} for {seeds} GAN seeds")
    if not set(synthetic) - {SCRATCH}:
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
        unable = {"source_only", "adda"} if labelled else {"source_only", *POOL_ARMS}
        left_out |= {name: reason for name in names if name in unable}
    if any(not len(draw.unlabelled) for draw in draws):
        left_out |= {name: "the draws leave no unlabelled target image" for name in names if name in POOL_ARMS}
    possible = [name for name in names if name not in left_out]
    if not set(possible) & set(PLAIN_ARMS):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        remedy = "add real_augmented to evaluation.arms" if labelled else "label some target images"
        raise InputError(f"no arm without a GAN can take part ({reasons}); {remedy}")
    return possible, left_out


def _without_images(
    names: Sequence[ArmName], synthetic: Made, adapted: Made, failures: Mapping[str, str]
) -> dict[str, str]:
    """The arms whose GANs have not made what they need, with the reason."""
    left_out = {arm.name: failures[arm.gan] for arm in gan_arms(names, list(failures), [], [], 0) if arm.gan}
    if "adapted" in names and not adapted:
        left_out["adapted"] = "no strategy trains a classifier beside its generator; those of translation do, and sgan"
    if SCRATCH in names and SCRATCH not in {*synthetic, *failures}:
        left_out[SCRATCH] = "no GAN was trained on the target alone"
    arms = gan_arms(names, list(synthetic), list(adapted), [], 0)
    for arm in arms:
        if arm.kind == "filtered_plus_gan" and arm.gan and not _filtered(synthetic[arm.gan]):
            left_out[arm.name] = "its synthetic images were not filtered"
    if not any(arm.kind in JUDGED_ARMS for arm in arms if arm.name not in left_out):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(f"no arm that a verdict is about can take part ({reasons}); add best_plus_gan")
    return left_out


def _filtered(folders: Sequence[Sequence[Path]]) -> bool:
    """Whether a selection has looked at every one of some synthetic sets."""
    return all(SyntheticSet.load(folder).filtered for of_draw in folders for folder in of_draw)


def _train(
    experiment: Experiment,
    arms: Sequence[Arm],
    draws: Sequence[Draw],
    materials: Materials,
    synthetic: Made,
    adapted: Made,
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
            "seeds": _seeds(arm, index, draw, experiment.evaluation.classifier_seeds, synthetic, adapted),
            "materials": materials,
            "config": experiment.classifier,
            "judge": Judge.of(experiment),
        }
        for arm in arms
        for index, draw in enumerate(draws)
    ]
    results = run_cells(train_cell, cells, on_progress, task=task)
    return {arm.name: results[row * len(draws) : (row + 1) * len(draws)] for row, arm in enumerate(arms)}


def _seeds(arm: Arm, index: int, draw: Draw, repetitions: int, synthetic: Made, adapted: Made) -> list[CellSeed]:
    """GAN seeds times classifier seeds of an arm on a draw, those of one GAN beside each other.

    Arms share the classifier seeds, which makes their differences smaller than their scores. A classifier that is
    taken as it is has none.
    """
    trained = any(recipe.trained for recipe in arm.trials[index])
    seeds = [draw.repetition_seed(repetition) for repetition in range(repetitions if trained else 1)]
    if arm.gan is None:
        return [CellSeed(seed) for seed in seeds]
    if arm.kind == "adapted":
        return [CellSeed(seed, adapted=file) for file in adapted[arm.gan][index] for seed in seeds]
    return [CellSeed(seed, synthetic=made) for made in synthetic[arm.gan][index] for seed in seeds]


def _mean_validation(results: Sequence[CellResult]) -> tuple[float, ...]:
    """Mean over draws of an arm's values on validation, item by item."""
    return tuple(float(mean) for mean in np.mean([cell.validation for cell in results], axis=0))


def _best(cells: _Cells, names: Sequence[str]) -> str:
    """The arm with the best mean validation; the first of equals."""
    return max(names, key=lambda name: _mean_validation(cells[name]))


def _best_fit(results: Sequence[CellResult]) -> tuple[int, int]:
    """The draw and the seed whose classifier has the best validation; the first of equals."""
    fits = [(draw, seed) for draw, cell in enumerate(results) for seed in range(len(cell.seeds))]
    return max(fits, key=lambda fit: results[fit[0]].seeds[fit[1]])


def _choices(cells: _Cells, baseline: str, judged: str) -> Choices:
    """What validation decides once everything is trained."""
    best = _best(cells, list(cells))
    best_draw, best_seed = _best_fit(cells[best])
    draw, seed = _best_fit(cells[judged])
    beside = seed % len(cells[baseline][draw].seeds)
    return Choices(baseline, judged, best, best_draw, best_seed, draw, seed, beside)


def _keep_best(cell: CellResult, choices: Choices, gan_seeds: int, judge: Judge, folder: Path) -> None:
    """Puts the classifier to be registered, and where it comes from, into a folder of its own.

    `best.json` says of the GAN, where there is one, the strategy (or `SCRATCH`) and the index of its seed.
    """
    with atomic_path(folder / "classifier.safetensors") as temporary:
        shutil.copyfile(cell.classifiers[choices.best_seed], temporary)
    arm, _, strategy = choices.best_arm.partition("/")
    gan = strategy or (SCRATCH if arm == SCRATCH else None)
    gan_seed = choices.best_seed * gan_seeds // len(cell.seeds) if gan else None
    about = {"arm": choices.best_arm, "strategy": gan, "draw": choices.best_draw, "gan_seed": gan_seed}
    validation = {
        "validation": cell.seeds[choices.best_seed][0],
        "validation_measure": judge.measure,
        "chosen_by": judge.rule,
    }
    write_json(folder / "best.json", {**about, **validation, "recipe": asdict(cell.recipe)})
