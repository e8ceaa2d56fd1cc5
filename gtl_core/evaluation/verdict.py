"""From predictions on the test part to the scores of the arms and the verdict on the GAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gtl_core.config import Experiment, Metric
from gtl_core.evaluation.arms import JUDGED_ARMS
from gtl_core.evaluation.held_out import Choices, Predictions
from gtl_core.evaluation.judging import Judge
from gtl_core.evaluation.scores import image_weights, per_class_recall
from gtl_core.evaluation.statistics import (
    Estimate,
    detectable_difference,
    holm,
    mcnemar_exact,
    two_level_bootstrap,
    two_level_paired_bootstrap,
)

Label = Literal["helps", "harms", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """Whether the GAN earned its cost against the best that was done without one; shares, not points.

    Attributes:
        label: `helps` where the whole interval is above zero, `harms` where it is below, else `inconclusive`.
        strategy: transfer strategy of the judged arm.
        arm: the judged arm, picked on validation.
        baseline_arm: the best arm without a GAN, picked on validation.
        chosen_by: by what validation picked, in words that follow "by".
        metric: what the difference is in.
        difference: score of the arm minus that of the baseline, mean over draws.
        low: lower end of the 95 % interval.
        high: upper end.
        p: two-sided p-value to which the interval belongs.
        detectable: smallest true difference that a study like this finds in 80 % of cases.
        p_mcnemar: McNemar's exact test of the one fitted pair of `mcnemar_draw`.
        mcnemar_draw: index of that draw.
        draws: number of draws.
        test_images: number of test images.
        comparisons: every judged arm against the baseline, with p-values adjusted after Holm.
        left_out: arms that could not take part, with the reason.
        scope: what the verdict holds for, in a sentence.
    """

    label: Label
    strategy: str
    arm: str
    baseline_arm: str
    chosen_by: str
    metric: Metric
    difference: float
    low: float
    high: float
    p: float
    detectable: float
    p_mcnemar: float
    mcnemar_draw: int
    draws: int
    test_images: int
    comparisons: tuple[dict[str, Any], ...]
    left_out: Mapping[str, str]
    scope: str


def label_of(estimate: Estimate) -> Label:
    """What an interval of the difference says."""
    if estimate.low > 0:
        return "helps"
    return "harms" if estimate.high < 0 else "inconclusive"


def give_verdict(
    experiment: Experiment, predictions: Predictions, choices: Choices, judge: Judge, left_out: Mapping[str, str]
) -> Verdict:
    """Compares the chosen GAN arm with the chosen baseline.

    The label rests on one comparison, which was fixed before the test part was opened, so it needs no adjustment;
    the table of all strategies does, and has it.
    """
    baseline = predictions.hits(choices.baseline_arm)
    judged = [arm for arm in predictions.arms if arm.split("/")[0] in JUDGED_ARMS]
    estimates = {arm: _difference(experiment, predictions.labels, predictions.hits(arm), baseline) for arm in judged}
    adjusted = holm([estimates[arm].p for arm in judged])
    chosen = estimates[choices.gan_arm]
    draw = choices.mcnemar_draw
    draws, images = baseline.shape
    return Verdict(
        label=label_of(chosen),
        strategy=choices.gan_arm.split("/")[1],
        arm=choices.gan_arm,
        baseline_arm=choices.baseline_arm,
        chosen_by=judge.rule,
        metric=experiment.promotion.metric,
        difference=chosen.value,
        low=chosen.low,
        high=chosen.high,
        p=chosen.p,
        detectable=detectable_difference(chosen, images),
        p_mcnemar=mcnemar_exact(predictions.hits(choices.gan_arm)[draw], baseline[draw]),
        mcnemar_draw=draw,
        draws=draws,
        test_images=images,
        comparisons=tuple(
            {
                "arm": arm,
                "difference": estimates[arm].value,
                "low": estimates[arm].low,
                "high": estimates[arm].high,
                "p": estimates[arm].p,
                "p_holm": p_holm,
            }
            for arm, p_holm in zip(judged, adjusted, strict=True)
        ),
        left_out=dict(left_out),
        scope=_scope(experiment, images, judge),
    )


def _difference(experiment: Experiment, labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Estimate:
    weights, strata = _weighting(labels, experiment.promotion.metric)
    return two_level_paired_bootstrap(
        first, second, weights, strata, resamples=experiment.evaluation.bootstrap, seed=experiment.seed
    )


def _weighting(labels: np.ndarray, metric: Metric) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights of the images, and the strata of resampling that belong to a metric."""
    return image_weights(labels, metric), (labels if metric == "balanced_accuracy" else None)


def _scope(experiment: Experiment, images: int, judge: Judge) -> str:
    target = experiment.target
    labels, how = f"{target.labelled_per_class} labelled images a class", ""
    if not target.has_labels:
        labels, how = "no labelled target images", f" Arms and settings were chosen without labels, by {judge.rule}."
    return (
        f"Holds for {experiment.source.dataset} → {target.dataset} with {labels}, over {experiment.evaluation.draws} "
        f"draws and {images} test images, with this classifier and these training budgets; other data, label counts or "
        f"budgets can give another answer.{how}"
    )


def arm_rows(
    experiment: Experiment,
    predictions: Predictions,
    validation: Mapping[str, float],
    judge: Judge,
    classes: Sequence[str],
) -> list[dict[str, Any]]:
    """Every arm's score on the test part: mean over draws with its 95 % interval, recalls, and the draws' scores.

    Args:
        experiment: its metric and bootstrap count.
        predictions: on the test part.
        validation: mean over draws of each arm's value on validation.
        judge: says what that value is.
        classes: names.

    Returns:
        One row an arm: `arm, mean, low, high, validation_mean, validation_measure, per_class_recall, draws`; the recall
        of a class without a test image is None.
    """
    weights, strata = _weighting(predictions.labels, experiment.promotion.metric)
    rows = []
    for arm in predictions.arms:
        hits = predictions.hits(arm)
        estimate = two_level_bootstrap(
            hits.astype(np.float64),
            weights,
            strata,
            resamples=experiment.evaluation.bootstrap,
            seed=experiment.seed,
            bounds=(0.0, 1.0),
        )
        recalls = np.mean(
            [per_class_recall(predictions.labels, p, len(classes)) for p in predictions.predicted(arm)], 0
        )
        rows.append(
            {
                "arm": arm,
                "mean": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "validation_mean": validation[arm],
                "validation_measure": judge.measure,
                "per_class_recall": {
                    name: None if np.isnan(recall) else float(recall)
                    for name, recall in zip(classes, recalls, strict=True)
                },
                "draws": [float(weights[row].sum()) for row in hits],
            }
        )
    return rows
