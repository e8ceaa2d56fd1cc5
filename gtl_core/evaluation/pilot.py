"""Early verdicts: a strategy whose short transfer clearly harms on validation is stopped before its long one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from gtl_core.config import Metric
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.evaluation.cells import CellResult
from gtl_core.evaluation.judging import Judge
from gtl_core.evaluation.statistics import Estimate, two_level_bootstrap
from gtl_core.evaluation.usefulness import Comparison, train_with_and_without
from gtl_core.files import write_json
from gtl_core.progress import OnProgress, silent
from gtl_core.training.classifier import load_classifier, predict

PILOT = "pilot.json"


@dataclass(frozen=True)
class PilotOutcome:
    """What a strategy's short transfer showed.

    Attributes:
        strategy: its name.
        difference: validation with its images minus validation without, mean over draws: a share, or where no target
            image is labelled what the study's `Judge` measures.
        low: lower end of the 95 % interval.
        high: upper end.
        losing: whether the whole interval is below zero.
        reason: why the strategy is stopped; None where it goes on.
    """

    strategy: str
    difference: float
    low: float
    high: float
    losing: bool
    reason: str | None


def judge_pilots(
    comparison: Comparison, failures: Mapping[str, str], folder: Path, on_progress: OnProgress = silent
) -> None:
    """Compares, on every draw's validation part, one classifier with the images of a short transfer and one without.

    They are those of `usefulness.train_with_and_without`. `pilot.json` is written into `folder`. The test part is not
    looked at.

    Args:
        comparison: what is compared, with the images of each strategy whose short transfer worked.
        failures: the strategies whose short transfer went wrong, with the reason; they go on unjudged.
        folder: where the classifiers and the record are put; finished ones are used again.
        on_progress: told how many classifiers are trained.
    """
    experiment, draws = comparison.experiment, comparison.draws
    judge, size = Judge.of(experiment), experiment.image.size
    trained = train_with_and_without(comparison, folder, on_progress, "classifiers of the pilot")
    by_arm = [trained.without, *trained.with_images.values()]
    classes, seen = None, [np.array([[cell.validation[0]] for cell in of_arm]) for of_arm in by_arm]
    if judge.labelled:
        # Every validation part holds as many images of each class as any other, so balanced accuracy is accuracy.
        images = ImageSet.load(comparison.target)
        rows = [_by_class(images, draw) for draw in draws]
        classes, seen = images.labels[rows[0]], [_hits(of_arm, images, rows, size) for of_arm in by_arm]
    resamples, seed = experiment.evaluation.bootstrap, experiment.seed
    values = {
        label: compared(found, seen[0], classes, resamples=resamples, seed=seed)
        for label, found in zip(trained.with_images, seen[1:], strict=True)
    }
    outcomes = stopped(values, judge.measure)
    write_json(
        folder / PILOT,
        {
            "share": experiment.transfer.pilot,
            "base": trained.base,
            "measure": judge.measure,
            "validation_images": [len(draw.validation) for draw in draws],
            "strategies": [asdict(outcome) for outcome in outcomes],
            "unjudged": dict(failures),
            "note": note(outcomes),
        },
    )


def stopped(estimates: Mapping[str, Estimate], measure: str) -> list[PilotOutcome]:
    """Which strategies are stopped: those with the whole 95 % interval below zero; where that is all, all but the best.

    A strategy that makes no difference is stopped in at most 2.5 % of cases, in which a 95 % interval misses the truth
    on this side: in 0.1 to 2.1 % of 1,000 simulated experiments with two to ten draws. Each of several such strategies
    may be. What is judged is the short transfer: that the long one would have been as bad is a guess which this does
    not prove.

    Args:
        estimates: for each strategy the difference on validation.
        measure: what the difference is in, as `Judge.measure` names it.
    """
    losing = [label for label, estimate in estimates.items() if estimate.high < 0]
    spared = max(losing, key=lambda label: estimates[label].value) if losing and len(losing) == len(estimates) else None
    return [
        PilotOutcome(
            label,
            estimate.value,
            estimate.low,
            estimate.high,
            label in losing,
            f"stopped after its pilot: {_in_words(estimate, measure)}" if label in losing and label != spared else None,
        )
        for label, estimate in estimates.items()
    ]


def note(outcomes: Sequence[PilotOutcome]) -> str | None:
    """What is to be said where a strategy goes on although its pilot was losing; None where there is none."""
    spared = [outcome.strategy for outcome in outcomes if outcome.losing and outcome.reason is None]
    if not spared:
        return None
    return f"every strategy was losing in its pilot; {spared[0]}, the best of them, goes on so that there is a verdict"


def _in_words(estimate: Estimate, measure: str) -> str:
    """A difference with its interval: in points of a metric, else in what it is measured by."""
    ends = (estimate.value, estimate.low, estimate.high)
    if measure in get_args(Metric):
        value, low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in ends)
        return f"{value} points on validation ({low} to {high})"
    value, low, high = (f"{end:+.3f}".replace("-", "−") for end in ends)
    return f"{value} in {measure.replace('_', ' ')} on validation ({low} to {high})"


def compared(
    with_images: np.ndarray, without: np.ndarray, classes: np.ndarray | None, *, resamples: int, seed: int
) -> Estimate:
    """Mean difference on validation, with its 95 % interval over draws and validation images.

    Where draws have validation images of their own rather than all the same, the differences between their means hold
    what the images add, and the interval is about that of Student's t over the draws. Where there is one value a draw,
    it is just that.

    Args:
        with_images: float or bool (D, V), with synthetic images; a row a draw, a column a validation image or, where
            these have no labels, the one value of all.
        without: (D, V), the same without.
        classes: int64 (V,), the class of every column, the same in all draws; None for one value a draw.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    differences = with_images.astype(np.float64) - without.astype(np.float64)
    count = differences.shape[1]
    bounds = (-1.0, 1.0) if classes is not None else (-np.inf, np.inf)
    weights = np.full(count, 1.0 / count)
    return two_level_bootstrap(differences, weights, classes, resamples=resamples, seed=seed, bounds=bounds)


def _by_class(target: ImageSet, draw: Draw) -> np.ndarray:
    """The validation rows of a draw in the order of their classes, of which each has as many in every draw."""
    rows: np.ndarray = draw.validation[np.argsort(target.labels[draw.validation], kind="stable")]
    return rows


def _hits(cells: Sequence[CellResult], target: ImageSet, rows: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Whether the classifiers of one arm recognised the validation images: bool (D, V)."""
    said = [
        predict(load_classifier(cell.classifiers[0])[0], fitted(target.images[of_draw], size)).argmax(axis=1)
        for cell, of_draw in zip(cells, rows, strict=True)
    ]
    found: np.ndarray = np.stack(said) == target.labels[np.stack(rows)]
    return found
