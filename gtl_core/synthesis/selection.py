"""Selection among the images of a synthetic set: none is thrown away, but each is told whether it is worth using."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtl_core.config import ClassifierConfig, FilterRule
from gtl_core.data.pictures import class_sheet, save_png
from gtl_core.errors import InputError
from gtl_core.files import atomic_path, read_json, write_json
from gtl_core.metrics.features import Extractor
from gtl_core.networks.classifier import Classifier
from gtl_core.progress import OnProgress, silent
from gtl_core.synthesis.filtering import (
    COPY,
    DISAGREES,
    REASONS,
    SPARSE,
    Flags,
    copied,
    counted,
    disagreeing,
    neighbours_for,
    outcome,
    sparse,
)
from gtl_core.synthesis.synthetic_set import FILTER_COLUMN, SyntheticSet
from gtl_core.training.batches import Pool
from gtl_core.training.classifier import carry_over, load_classifier, predict, train_classifier
from gtl_core.training.runtime import suitable_threads

DROPPED = "dropped.png"
_SHOWN = 20
_SEED_STREAM = 5


@dataclass(frozen=True, eq=False)
class KnownImages:
    """Real target images that the selection may look at: those that the generator learned from, and no others.

    Attributes:
        images: uint8 (N, C, S, S), the labelled ones; there may be none.
        labels: int64 (N,).
        unlabelled: uint8 (U, C, S, S); none where the experiment may not use them.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    unlabelled: npt.NDArray[np.uint8]

    def all(self) -> npt.NDArray[np.uint8]:
        """Labelled and unlabelled ones: uint8 (N + U, C, S, S)."""
        return np.concatenate([self.images, self.unlabelled])

    def described(self) -> str:
        """What they are, in words."""
        kinds = [("labelled", self.images), ("unlabelled", self.unlabelled)]
        return f"{' and '.join(kind for kind, images in kinds if len(images))} target images"


def select(
    folder: Path,
    rules: Sequence[FilterRule],
    known: KnownImages,
    source_classifier: Path,
    config: ClassifierConfig,
    seed: int,
    on_progress: OnProgress = silent,
) -> SyntheticSet:
    """Adds the column `filter` to the manifest of a synthetic set: why an image is left out, empty where it is kept.

    The card says how many were left out and why, and `dropped.png` shows some, a row a reason. Validation and test
    images are not looked at.

    Agreement asks the source classifier, fine-tuned on the labelled images where there are some; no arm is judged by
    it. Distances are between features of the source classifier as it was: it has seen none of the images, so the
    labelled ones lie no closer together for it than new ones would. A class that would lose all its images keeps them.

    Args:
        folder: of the synthetic set.
        rules: which rules.
        known: real images.
        source_classifier: weight file of the source classifier.
        config: how it is fine-tuned.
        seed: of the fine-tuning.
        on_progress: shows its progress.

    Returns:
        The set with its new column.

    Raises:
        InputError: there are too few real images to compare with, or no labelled ones and the source classifier does
            not know all classes.
    """
    made = SyntheticSet.load(folder)
    if len(known.all()) < 2:
        raise InputError(f"synthesis.filter compares with real images and there are {len(known.all())}; take it out")
    flags = _flags(made, rules, known, source_classifier, config, seed, on_progress)
    reasons, spared = outcome(flags, made.labels, len(made.classes))
    _write_column(folder, reasons)
    card = read_json(folder / "card.json")
    write_json(folder / "card.json", card | {"filter": _about(made, rules, known, reasons, spared)})
    lost = np.flatnonzero(reasons != "")
    if len(lost):
        order = np.array([REASONS.index(reason) for reason in reasons[lost]], dtype=np.int64)
        save_png(folder / DROPPED, class_sheet(made.images[lost], order, _SHOWN))
    return SyntheticSet.load(folder)


def _flags(
    made: SyntheticSet,
    rules: Sequence[FilterRule],
    known: KnownImages,
    source_classifier: Path,
    config: ClassifierConfig,
    seed: int,
    on_progress: OnProgress,
) -> Mapping[str, Flags]:
    """The images that each rule speaks of."""
    source, names = load_classifier(source_classifier)
    flags: dict[str, Flags] = {}
    if "agreement" in rules:
        asked = _asked(source, names, made.classes, known, config, seed, on_progress)
        flags[DISAGREES] = disagreeing(predict(asked, made.images), made.labels)
    if {"density", "copies"} & set(rules):
        extractor = Extractor(source, "the source set")
        features, real = extractor.features(made.images), extractor.features(known.all())
        if "density" in rules:
            flags[SPARSE] = sparse(features, real, neighbours_for(len(real), len(made.classes)))
        if "copies" in rules:
            flags[COPY] = copied(features, real)
    return flags


def _asked(
    source: Classifier,
    names: Sequence[str],
    classes: Sequence[str],
    known: KnownImages,
    config: ClassifierConfig,
    seed: int,
    on_progress: OnProgress,
) -> Classifier:
    """The classifier that must agree."""
    own = int(np.random.SeedSequence([seed, _SEED_STREAM]).generate_state(1)[0])
    start = carry_over(source, names, classes, own)
    if not len(known.images):
        unknown = [name for name in classes if name not in names]
        if unknown:
            raise InputError(
                f"synthesis.filter: agreement asks the source classifier, which does not know {', '.join(unknown)}; "
                "label some target images, or leave agreement out"
            )
        return start
    with suitable_threads(known.images.shape[2]):
        return train_classifier(
            start,
            [Pool(known.images, known.labels, 1.0)],
            config,
            steps=config.steps,
            learning_rate=config.learning_rate,
            augmented=True,
            seed=own,
            on_progress=on_progress,
            task="classifier of the selection",
        )


def _write_column(folder: Path, reasons: npt.NDArray[np.str_]) -> None:
    """Puts the reasons into the manifest, in the place of those of an earlier call."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "manifest.parquet"
    table = pq.read_table(path)
    if FILTER_COLUMN in table.column_names:
        table = table.drop_columns([FILTER_COLUMN])
    with atomic_path(path) as temporary:
        pq.write_table(table.append_column(FILTER_COLUMN, pa.array(reasons.tolist(), pa.string())), temporary)


def _about(
    made: SyntheticSet,
    rules: Sequence[FilterRule],
    known: KnownImages,
    reasons: npt.NDArray[np.str_],
    spared: Sequence[int],
) -> dict[str, object]:
    """What the card says of the selection."""
    return {
        "rules": list(rules),
        "kept": int(np.sum(reasons == "")),
        "dropped": {reason: int(np.sum(reasons == reason)) for reason in REASONS},
        "dropped_per_class": counted(reasons, made.labels, made.classes),
        "kept_whole": [made.classes[label] for label in spared],
        "reference": {"images": len(known.all()), "what": known.described()},
    }
