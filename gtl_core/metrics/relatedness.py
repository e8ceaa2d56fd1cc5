"""How related a source and a target are, before anything is trained on the target: measures, a light, a sentence.

All features are those of the source classifier. Nothing here decides: the light describes, and what comes after it
runs whatever its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.errors import InputError
from gtl_core.metrics.features import Extractor, LabelledImages
from gtl_core.metrics.gap_measures import Labels, Measure, distances, label_measures, nearest_classes
from gtl_core.metrics.light import domain_gap, light, sentence
from gtl_core.networks.classifier import Classifier
from gtl_core.training.classifier import load_classifier, predict

NUMBERS = "gap.json"

SAMPLE = 500
"""Images of each set that the distances look at."""
SAMPLE_PER_CLASS = 50
"""Images of each source class that its mean is taken over."""


def gap_of_draw(
    source: ImageSet,
    target: ImageSet,
    draw: Draw,
    classifier: Path,
    *,
    size: int,
    use_labels: bool,
    seed: int,
) -> dict[str, Any]:
    """Measures the gap between two sets by what a draw may see of the target; never its test part.

    Args:
        source: the source set.
        target: the target set.
        draw: whose labelled, validation and unlabelled rows are looked at, and the labels of the first two.
        classifier: weight file of the source classifier.
        size: height and width that the classifier takes.
        use_labels: whether the target's labels may be looked at.
        seed: of samples, folds and resamples.

    Returns:
        What `measure_gap` gives.

    Raises:
        InputError: as for `measure_gap`; or the weight file is damaged.
    """
    rng = np.random.default_rng([seed, 0])
    rows = source.training_rows()
    first = _some(rows, SAMPLE, rng)
    chosen = np.concatenate([first, np.setdiff1d(_some_of_each(rows, source.labels[rows], rng), first)])
    seen = _some(np.concatenate([draw.labelled, draw.validation, draw.unlabelled]), SAMPLE, rng)
    known = np.concatenate([draw.labelled, draw.validation])
    model, _ = load_classifier(classifier)
    return measure_gap(
        model,
        LabelledImages(fitted(source.images[chosen], size), source.labels[chosen], source.classes),
        fitted(target.images[seen], size),
        LabelledImages(fitted(target.images[known], size), target.labels[known], target.classes)
        if use_labels
        else None,
        seed=seed,
    )


def measure_gap(
    classifier: Classifier,
    source: LabelledImages,
    target: npt.NDArray[np.uint8],
    labelled: LabelledImages | None,
    *,
    seed: int,
) -> dict[str, Any]:
    """Measures how related a source and a target are.

    Args:
        classifier: the source classifier.
        source: images of the source: `SAMPLE` in random order, and after them more of whichever class has few there.
        target: uint8 (M, C, S, S), images of the target in random order.
        labelled: images of the target with labels; None where no label may be looked at.
        seed: of samples, folds and resamples.

    Returns:
        JSON-able: `light`, `sentence`, `gap` and its `parts`, `measures`, `nearest_class`, `extractor`, `what`, and
        `missing` with a reason for every part that could not be measured.

    Raises:
        InputError: the images are not of the classifier's size, or the target has fewer than two.
    """
    extractor = Extractor(classifier, "the source")
    missing: dict[str, str] = {}
    features = extractor.features(source.images)
    measures = distances(features[:SAMPLE], extractor.features(target), seed, missing)
    looks = _named("mmd", measures).value
    nearest: dict[str, Any] = {}
    doubt = None
    if labelled is None:
        reason = "no label of the target is looked at, because labelled_per_class is 0"
        missing |= dict.fromkeys(("leep", "logme", "h_score", "nearest_class"), reason)
    else:
        own = extractor.features(labelled.images)
        probabilities = predict(classifier, labelled.images)
        of_labels = label_measures(probabilities, own, labelled.labels, seed, missing)
        doubt = _doubt(of_labels, labelled.labels, missing)
        measures += of_labels
        try:
            nearest, agreement = nearest_classes(features, source, own, labelled, seed)
            if isinstance(agreement, str):
                missing["nearest_class_agrees"] = agreement
            else:
                measures.append(agreement)
        except InputError as error:
            missing["nearest_class"] = str(error)
    gap = domain_gap(looks, doubt)
    return {
        "light": light(gap),
        "sentence": sentence(looks, doubt),
        "gap": gap,
        "parts": {"looks": looks, "labels": doubt},
        "measures": [vars(measure) for measure in measures],
        "nearest_class": nearest,
        "missing": missing,
        "extractor": extractor.describe(),
        "what": f"{len(features[:SAMPLE])} images of the source and {len(target)} of the target's training part"
        + (f", {len(labelled.labels)} of its images with their labels" if labelled else "")
        + "; no test image",
    }


def _doubt(measures: Sequence[Measure], labels: Labels, missing: dict[str, str]) -> float | None:
    """Share of the doubt about the labels that the source classifier leaves; None where there are too few to tell.

    LEEP fits the labels that it is told of, and the fewer they are the better. What it makes of the same labels dealt
    at random says how much of its value is that.
    """
    of_leep = _named("leep", measures)
    if np.bincount(labels).max() < 2 or not of_leep.reference:
        missing["doubt"] = "the labels are so few that any dealing of them fits as well; label two or more a class"
        return None
    return of_leep.value / of_leep.reference


def _named(name: str, measures: Sequence[Measure]) -> Measure:
    return next(measure for measure in measures if measure.name == name)


def _some(rows: Labels, count: int, rng: np.random.Generator) -> Labels:
    """At most `count` of the rows, in random order."""
    return rng.permutation(rows)[:count]


def _some_of_each(rows: Labels, labels: Labels, rng: np.random.Generator) -> Labels:
    """At most `SAMPLE_PER_CLASS` rows of every class."""
    return np.concatenate([_some(rows[labels == label], SAMPLE_PER_CLASS, rng) for label in np.unique(labels)])
