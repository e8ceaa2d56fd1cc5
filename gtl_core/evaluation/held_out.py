"""The one place where the test part is looked at, once every choice has been made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.errors import GtlError
from gtl_core.files import atomic_path, canonical_sha256, file_sha256, read_json, write_json
from gtl_core.training.classifier import load_classifier, predict

OPENED = "test_opened.json"
_PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class Choices:
    """What was decided on the validation parts alone.

    Attributes:
        baseline_arm: the best arm without a GAN.
        gan_arm: the best of the arms that a verdict is about.
        best_arm: the best arm of all, whose classifier is kept.
        best_draw: the draw whose classifier of the best arm validation likes most.
        mcnemar_draw: the draw whose classifier of the GAN arm validation likes most.
    """

    baseline_arm: str
    gan_arm: str
    best_arm: str
    best_draw: int
    mcnemar_draw: int


@dataclass(frozen=True, eq=False)
class Predictions:
    """What every classifier said of the test part; every score is computed from this.

    Attributes:
        arms: names.
        labels: int64 (N,), true classes.
        probabilities: float16 (A, D, N, K) by arm, draw, image and class.
    """

    arms: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray

    def predicted(self, arm: str) -> np.ndarray:
        """The likeliest classes: int64 (D, N)."""
        likeliest: np.ndarray = self.probabilities[self.arms.index(arm)].argmax(axis=2)
        return likeliest

    def hits(self, arm: str) -> np.ndarray:
        """Whether the images were recognised: bool (D, N)."""
        recognised: np.ndarray = self.predicted(arm) == self.labels
        return recognised

    def save(self, folder: Path) -> None:
        """Writes `predictions.npz`."""
        with atomic_path(folder / _PREDICTIONS) as temporary, temporary.open("wb") as stream:
            np.savez(stream, arms=np.array(self.arms), labels=self.labels, probabilities=self.probabilities)

    @classmethod
    def load(cls, folder: Path) -> Predictions:
        """Reads `predictions.npz`."""
        with np.load(folder / _PREDICTIONS, allow_pickle=False) as content:
            arms = tuple(str(name) for name in content["arms"])
            return cls(arms, content["labels"], content["probabilities"])


def open_test_part(
    folder: Path,
    choices: Choices,
    target: Path,
    size: int,
    draws: Sequence[Draw],
    classifiers: Mapping[str, Sequence[Path]],
) -> Predictions:
    """Predicts the test part with the saved classifiers, and records in `test_opened.json` that and for what.

    The record is written before the first test image is read. An evaluation that was stopped after it may go on with
    the same choices and classifiers, and with no others.

    Args:
        folder: of the evaluation; the predictions are saved there.
        choices: what was decided without the test part.
        target: folder of the target image set.
        size: height and width that the classifiers see.
        draws: whose test part it is, the same for all.
        classifiers: weight files of each arm, one a draw.

    Raises:
        GtlError: the test part was opened before with other choices or classifiers.
        ValueError: the draws have no test part in common.
    """
    test = draws[0].test
    if any(not np.array_equal(draw.test, test) for draw in draws) or not len(test):
        raise ValueError("all draws need one test part in common")
    record = {
        "images": len(test),
        "rows_sha256": canonical_sha256(test.tolist()),
        "choices": asdict(choices),
        "classifiers": {arm: [file_sha256(path) for path in paths] for arm, paths in classifiers.items()},
    }
    if (folder / OPENED).is_file() and read_json(folder / OPENED) != record:
        raise GtlError(
            f"{folder / OPENED}: the test part was opened before with other choices or classifiers; "
            "begin the evaluation anew in an empty folder"
        )
    write_json(folder / OPENED, record)
    found = ImageSet.load(target)
    images, labels = fitted(found.images[test], size), found.labels[test]
    probabilities = np.stack(
        [
            np.stack([predict(load_classifier(path)[0], images).astype(np.float16) for path in paths])
            for paths in classifiers.values()
        ]
    )
    predictions = Predictions(tuple(classifiers), labels, probabilities)
    predictions.save(folder)
    return predictions
