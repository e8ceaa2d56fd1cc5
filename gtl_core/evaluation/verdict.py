"""From predictions on the test part to the scores of the arms and the verdict on the GAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gtl_core.config import Experiment, Metric
from gtl_core.evaluation.arms import JUDGED_ARMS
from gtl_core.evaluation.held_out import Choices, Predictions
from gtl_core.evaluation.judging import Judge
from gtl_core.evaluation.scorecard import scorecard
from gtl_core.evaluation.scores import image_weights
from gtl_core.evaluation.statistics import (
    Estimate,
    detectable_difference,
    holm,
    mcnemar_exact,
    needed_draws,
    needed_images,
    two_level_paired_bootstrap,
)

Label = Literal["helps", "harms", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """Whether the GAN earned its cost against the best that was done without one; shares, not points.

    Attributes:
        label: what the interval says of the difference: see `label_of`.
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
        min_gain: the gain that the experiment asks for.
        needed_draws: fewest draws with which the same test part finds, in 80 % of cases, a true difference as large as
            the one that was found, or as `min_gain` if that is larger; None where no number does.
        needed_images: fewest test images with which as many draws do.
        p_mcnemar: McNemar's exact test of the one fitted pair of `mcnemar_draw`.
        mcnemar_draw: index of that draw.
        draws: number of draws.
        test_images: number of test images.
        comparisons: every judged arm against the baseline, with p-values adjusted after Holm.
        left_out: arms that could not take part, with the reason.
        scope: what the verdict holds for, in a sentence.
        sentence: the verdict, for people.
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
    min_gain: float
    needed_draws: int | None
    needed_images: int | None
    p_mcnemar: float
    mcnemar_draw: int
    draws: int
    test_images: int
    comparisons: tuple[dict[str, Any], ...]
    left_out: Mapping[str, str]
    scope: str
    sentence: str


def label_of(estimate: Estimate, detectable: float, min_gain: float) -> Label:
    """What an interval of the difference says.

    `helps` where the whole interval is above zero, `harms` where it is below, else `inconclusive`. A gain that is
    wanted asks for more: a study too blunt to show `min_gain`, whose interval holds it, has not told whether there is
    that gain, and so is `inconclusive` even where all of its interval is above zero.

    Args:
        estimate: of the difference.
        detectable: smallest difference that the study could have shown.
        min_gain: that is wanted; 0 or less asks for nothing more than a gain.
    """
    if estimate.high < 0:
        return "harms"
    untold = detectable > min_gain and estimate.low <= min_gain <= estimate.high
    return "helps" if estimate.low > 0 and not untold else "inconclusive"


def give_verdict(
    experiment: Experiment, predictions: Predictions, choices: Choices, judge: Judge, left_out: Mapping[str, str]
) -> Verdict:
    """Compares the chosen GAN arm with the chosen baseline.

    The label rests on one comparison, which was fixed before the test part was opened, so it needs no adjustment;
    the table of all strategies does, and has it.
    """
    baseline = recognised(predictions, choices.baseline_arm)
    judged = [arm for arm in predictions.arms if arm.split("/")[0] in JUDGED_ARMS]
    estimates = {
        arm: difference(experiment, predictions.labels, recognised(predictions, arm), baseline) for arm in judged
    }
    adjusted = holm([estimates[arm].p for arm in judged])
    chosen, min_gain = estimates[choices.gan_arm], experiment.promotion.min_gain
    draw = choices.mcnemar_draw
    draws, images = baseline.shape
    detectable = detectable_difference(chosen, images)
    wanted = max(min_gain, abs(chosen.value))
    verdict = Verdict(
        label=label_of(chosen, detectable, min_gain),
        strategy=choices.gan_arm.split("/")[1],
        arm=choices.gan_arm,
        baseline_arm=choices.baseline_arm,
        chosen_by=judge.rule,
        metric=experiment.promotion.metric,
        difference=chosen.value,
        low=chosen.low,
        high=chosen.high,
        p=chosen.p,
        detectable=detectable,
        min_gain=min_gain,
        needed_draws=needed_draws(chosen.parts, draws, images, wanted),
        needed_images=needed_images(chosen.parts, draws, images, wanted),
        p_mcnemar=mcnemar_exact(
            predictions.hits(choices.gan_arm)[draw, choices.mcnemar_seed],
            predictions.hits(choices.baseline_arm)[draw, choices.mcnemar_baseline_seed],
        ),
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
        scope=_scope(experiment, predictions, judge),
        sentence="",
    )
    return replace(verdict, sentence=sentence_of(verdict))


def sentence_of(verdict: Verdict) -> str:
    """The verdict in a sentence or two for people, in points with the interval."""
    numbers = (
        f"{verdict.arm} is {_points(verdict.difference)} points of {verdict.metric.replace('_', ' ')} "
        f"(95 % interval {_points(verdict.low)} to {_points(verdict.high)}) from {verdict.baseline_arm}, "
        f"the best without a GAN by {verdict.chosen_by}"
    )
    if verdict.label == "inconclusive":
        could = f"could have shown a difference of {100 * verdict.detectable:.1f} points"
        # No difference of shares is larger than 1.
        power = could if verdict.detectable < 1.0 else "was too small to show any difference"
        return (
            f"Inconclusive whether GAN transfer helps{_asked_for(verdict)}: {numbers}. This study {power}."
            f"{_needed(verdict)}"
        )
    less = verdict.label == "helps" and verdict.high < verdict.min_gain
    return (
        f"GAN transfer {verdict.label}: {numbers}"
        f"{f'; that is less than the {100 * verdict.min_gain:.1f} points asked for' if less else ''}."
    )


def _asked_for(verdict: Verdict) -> str:
    """What an open question is about, where a gain is asked for."""
    if verdict.min_gain <= 0:
        return ""
    points = f"{100 * verdict.min_gain:.1f} points"
    return f" at all, but the {points} asked for are ruled out" if verdict.high < verdict.min_gain else f" by {points}"


def _roughly(count: int) -> str:
    """A count with two digits that say something: more would claim more than an estimate from few draws knows."""
    return f"{float(f'{count:.1e}'):,.0f}"


def _needed(verdict: Verdict) -> str:
    """What would have been enough, as a sentence that follows another; empty where the study was big enough."""
    wanted = max(verdict.min_gain, abs(verdict.difference))
    if verdict.detectable <= wanted or not round(1000 * wanted):
        return ""
    draws = f"{_roughly(verdict.needed_draws)} draws" if verdict.needed_draws else ""
    images = f"{_roughly(verdict.needed_images)} test images" if verdict.needed_images else ""
    if not draws and not images:
        return f" Neither more draws nor more test images alone would be enough to show one of {100 * wanted:.1f}."
    alone = "" if draws and images else f"; more {'test images' if draws else 'draws'} alone would not be enough"
    return f" To show one of {100 * wanted:.1f} takes about {' or '.join(filter(None, (draws, images)))}{alone}."


def _points(share: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def recognised(predictions: Predictions, arm: str) -> np.ndarray:
    """Share of an arm's seeds that recognised the image: float64 (D, N), because the draw is the unit."""
    shares: np.ndarray = predictions.hits(arm).mean(axis=1)
    return shares


def difference(experiment: Experiment, labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Estimate:
    """Score of one arm minus that of another in the experiment's metric, over draws and test images.

    Args:
        experiment: metric, bootstrap and seed.
        labels: int (N,), true classes.
        first: float (D, N), the share of the first arm's seeds that recognised the image.
        second: the same for the second arm.
    """
    metric = experiment.promotion.metric
    # A metric that gives each class its own weight is resampled within the classes.
    strata = labels if metric == "balanced_accuracy" else None
    resamples, seed = experiment.evaluation.bootstrap, experiment.seed
    weights = image_weights(labels, metric)
    return two_level_paired_bootstrap(first, second, weights, strata, resamples=resamples, seed=seed)


def _scope(experiment: Experiment, predictions: Predictions, judge: Judge) -> str:
    target, images = experiment.target, len(predictions.labels)
    labels, how = f"{target.labelled_per_class} labelled images a class", ""
    if not target.has_labels:
        labels, how = "no labelled target images", f" Arms and settings were chosen without labels, by {judge.rule}."
    named = predictions.groups[predictions.groups != ""]
    if len(np.unique(named)) < len(named):
        how += (
            " Test images of one group count as independent, so the interval is too narrow where they are much alike."
        )
    trials, tried = experiment.evaluation.trials, experiment.tuned_trials
    if tried and tried > trials:
        how += (
            f" The settings are the best of {tried} trials of gtl tune, where each arm without a GAN had {trials} on a "
            "draw, so that a gain may be the tuning's."
        )
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
    """Everything that the test part says of every arm.

    Args:
        experiment: its metric and bootstrap count.
        predictions: on the test part.
        validation: mean over draws of each arm's value on validation.
        judge: says what that value is.
        classes: names.

    Returns:
        One row an arm: `arm`; `mean, low, high` of the experiment's metric over draws and test images, and `draws`, its
        value on each; `validation_mean, validation_measure`; `per_class_recall`, None for a class without a test image;
        and the keys of `scorecard`.
    """
    metric = experiment.promotion.metric
    weights = image_weights(predictions.labels, metric)
    rows = []
    for arm in predictions.arms:
        card = scorecard(
            predictions.labels,
            predictions.groups,
            predictions.of(arm),
            classes,
            resamples=experiment.evaluation.bootstrap,
            seed=experiment.seed,
        )
        rows.append(
            {
                "arm": arm,
                **card["scores"][metric],
                "validation_mean": validation[arm],
                "validation_measure": judge.measure,
                "per_class_recall": {name: row["recall"] for name, row in card["per_class"].items()},
                "draws": [float(row @ weights) for row in recognised(predictions, arm)],
                **card,
            }
        )
    return rows
