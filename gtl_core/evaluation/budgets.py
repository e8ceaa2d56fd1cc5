"""The learning curve over label counts, and how many real labels a GAN is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gtl_core.config import Experiment
from gtl_core.evaluation.held_out import OPENED, Predictions
from gtl_core.evaluation.statistics import Estimate
from gtl_core.evaluation.verdict import difference, recognised
from gtl_core.files import atomic_path, read_json, write_json

BUDGETS = "budgets.json"
_PLAIN, _GAN = "#33658a", "#c8553d"


@dataclass(frozen=True, eq=False)
class Budget:
    """What the evaluation with one label count gave.

    Attributes:
        labelled_per_class: the count.
        plain: the best arm without a GAN there, chosen on validation.
        gan: the judged arm with a GAN there, chosen on validation.
        rows: their rows of `arms.json`, by arm.
        verdict: `verdict.json`.
        predictions: on the test part, which is the same for every count.
    """

    labelled_per_class: int
    plain: str
    gan: str
    rows: dict[str, dict[str, Any]]
    verdict: dict[str, Any]
    predictions: Predictions

    @classmethod
    def load(cls, labelled_per_class: int, evaluation: Path) -> Budget:
        """Reads the folder of a finished evaluation."""
        choices = read_json(evaluation / OPENED)["choices"]
        rows = {row["arm"]: row for row in read_json(evaluation / "arms.json")}
        verdict, predictions = read_json(evaluation / "verdict.json"), Predictions.load(evaluation)
        return cls(labelled_per_class, choices["baseline_arm"], choices["gan_arm"], rows, verdict, predictions)


@dataclass(frozen=True)
class Worth:
    """How many real labels a class the GAN images are worth at one label count.

    The number is that which the best arm without a GAN would need, beyond the count, to reach the arm with one. It is
    below zero where the arm with a GAN does no better, and infinite where it lies beyond the counts that were measured.

    Attributes:
        labelled_per_class: the count.
        value: the number.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    labelled_per_class: int
    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | int | None]:
        """The worth as JSON, with None for what lies beyond the counts that were measured."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        found = {name: number if math.isfinite(number) else None for name, number in numbers.items()}
        return {"labelled_per_class": self.labelled_per_class, **found}


def worth(experiment: Experiment, budgets: Sequence[Budget], index: int) -> Worth:
    """How many real labels a class the GAN images are worth at one of several label counts.

    The arm with a GAN at this count is compared with the best without one at every count, on the same draws and test
    images. Where the difference falls through zero lies the worth; the counts at which its 95 % interval holds zero
    are those that are not ruled out, and make the interval of the worth. Differences are made to fall as labels are
    added (isotonic regression), because more labels do no harm in truth, and lie on straight lines over the logarithm
    of the count between those that were measured.

    Args:
        experiment: metric, bootstrap and seed.
        budgets: in ascending order of their counts.
        index: of the count in question.

    Raises:
        ValueError: the counts have not the same test part.
    """
    from scipy.optimize import isotonic_regression

    here = budgets[index]
    estimates = [_difference(experiment, here, other) for other in budgets]
    counts = [budget.labelled_per_class for budget in budgets]
    value, low, high = (
        crossing(counts, isotonic_regression([getattr(found, end) for found in estimates], increasing=False).x)
        - here.labelled_per_class
        for end in ("value", "low", "high")
    )
    return Worth(here.labelled_per_class, value, low, high)


def _difference(experiment: Experiment, with_gan: Budget, without: Budget) -> Estimate:
    """The score with a GAN at one count minus the score without at another."""
    labels = with_gan.predictions.labels
    if not np.array_equal(labels, without.predictions.labels):
        raise ValueError("all label counts need one test part in common")
    first, second = recognised(with_gan.predictions, with_gan.gan), recognised(without.predictions, without.plain)
    return difference(experiment, labels, first, second)


def crossing(counts: Sequence[int], values: Sequence[float]) -> float:
    """Where values that fall with the count reach zero, on straight lines over the logarithm of the count.

    Args:
        counts: ascending, above 0.
        values: one a count, none above the one before.

    Returns:
        The count; minus infinity where all are below zero, infinity where all are above.
    """
    if values[0] < 0:
        return -math.inf
    for place in range(1, len(counts)):
        before, after = values[place - 1], values[place]
        if after <= 0:
            share = before / (before - after) if before > after else 0.0
            return float(counts[place - 1] * (counts[place] / counts[place - 1]) ** share)
    return math.inf if values[-1] > 0 else float(counts[-1])


def worth_in_words(worth: Worth, most: int) -> str:
    """The worth of the GAN images in a sentence for people.

    Args:
        worth: at one label count.
        most: the largest count that was measured.
    """
    start = f"With {worth.labelled_per_class} labelled images a class"
    beyond = f"more than {most - worth.labelled_per_class}"
    value, low, high = (f"{end:.1f}" if end < math.inf else beyond for end in (worth.value, worth.low, worth.high))
    if worth.low > 0:
        return f"{start}, GAN images are worth {value} more real labels a class (95 % interval {low} to {high})."
    if worth.high < 0:
        return f"{start}, GAN images are worth no real label: the best without a GAN does better with the same labels."
    limit = f"at most {high} a class" if worth.high < math.inf else f"it may be {beyond} a class"
    return f"{start}, it cannot be told whether GAN images are worth any real label; if so, {limit}."


def write_budgets(experiment: Experiment, budgets: Sequence[Budget], folder: Path) -> dict[str, Any]:
    """Writes `budgets.json` and `budgets.png`: the learning curve with and without a GAN, and what the GAN is worth.

    Args:
        experiment: as it stands in its file; the sentence is about its own label count, or the smallest measured.
        budgets: two at least, in ascending order of their counts.
        folder: where to.

    Returns:
        The content of `budgets.json`: `metric`; `budgets`, at each count a row for the best arm without a GAN (`kind`
        `plain`) and one for the judged arm with one (`gan`), both chosen on validation; `differences`, the verdict of
        each count; `worths`, of each count; `worth`, a sentence.
    """
    counts = [budget.labelled_per_class for budget in budgets]
    worths = [worth(experiment, budgets, index) for index in range(len(budgets))]
    own = experiment.target.labelled_per_class
    told = worths[counts.index(own) if own in counts else 0]
    content = {
        "metric": experiment.promotion.metric,
        "budgets": [_row(budget, kind) for budget in budgets for kind in ("plain", "gan")],
        "differences": [
            {
                "labelled_per_class": budget.labelled_per_class,
                **{key: budget.verdict[key] for key in ("label", "difference", "low", "high")},
            }
            for budget in budgets
        ],
        "worths": [found.to_json() for found in worths],
        "worth": worth_in_words(told, counts[-1]),
    }
    write_json(folder / BUDGETS, content)
    _draw(content, folder / "budgets.png")
    return content


def _row(budget: Budget, kind: Literal["plain", "gan"]) -> dict[str, Any]:
    """The score of one of the two arms of a count."""
    arm = budget.plain if kind == "plain" else budget.gan
    score = {key: budget.rows[arm][key] for key in ("mean", "low", "high")}
    return {"labelled_per_class": budget.labelled_per_class, "arm": arm, **score, "kind": kind}


def _draw(content: dict[str, Any], path: Path) -> None:
    """Draws both curves with their intervals, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(8.0, 4.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    counts = sorted({row["labelled_per_class"] for row in content["budgets"]})
    # Side by side, so that neither interval hides the other.
    for kind, colour, name, shift in (("plain", _PLAIN, "without a GAN", 0.98), ("gan", _GAN, "with GAN images", 1.02)):
        rows = [row for row in content["budgets"] if row["kind"] == kind]
        places = [row["labelled_per_class"] * shift for row in rows]
        means = [100 * row["mean"] for row in rows]
        reach = [[100 * abs(row["mean"] - row[end]) for row in rows] for end in ("low", "high")]
        axes.errorbar(places, means, yerr=reach, color=colour, marker="o", lw=2, elinewidth=1.2, capsize=3, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(count) for count in counts])
    axes.set_xlabel("labelled target images a class")
    axes.set_ylabel(f"{content['metric'].replace('_', ' ')}, in percent")
    axes.grid(axis="y", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", title="best by validation")
    axes.set_title(content["worth"], loc="left", size=9, wrap=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
