"""The rule by which classifiers are chosen on validation images: with their labels, or without any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtl_core.config import Experiment, Metric
from gtl_core.data.image_set import ImageSet
from gtl_core.evaluation.scores import judgement, mutual_information


@dataclass(frozen=True)
class Judge:
    """Makes every choice of a study: of trials, arms, strategies, draws and the classifier that is kept.

    Attributes:
        metric: what counts where the validation images are labelled.
        labelled: whether they are. Where they are not, their labels are not read.
    """

    metric: Metric
    labelled: bool

    @classmethod
    def of(cls, experiment: Experiment) -> Judge:
        """The judge of an experiment."""
        return cls(experiment.promotion.metric, experiment.target.has_labels)

    @property
    def measure(self) -> str:
        """What the first item of a value is: a metric, or `mutual_information` in nats."""
        return self.metric if self.labelled else "mutual_information"

    @property
    def rule(self) -> str:
        """By what is chosen, in words that follow "by"."""
        if self.labelled:
            return f"{self.metric.replace('_', ' ')} on the labelled validation part"
        return "mutual information on unlabelled validation images"

    def value(self, target: ImageSet, rows: np.ndarray, probabilities: np.ndarray) -> tuple[float, ...]:
        """What a classifier is worth; bigger is better, item by item.

        Args:
            target: the target set.
            rows: int64 (V,), the validation images.
            probabilities: float (V, K), what the classifier says of them.
        """
        if self.labelled:
            return judgement(target.labels[rows], probabilities, self.metric)
        return (mutual_information(probabilities),)
