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
_ARM = "probabilities/"
"""In front of an arm's name in that file."""


@dataclass(frozen=True)
class Choices:
    """What was decided on the validation parts alone.

    Attributes:
        baseline_arm: the best arm without a GAN.
        gan_arm: the best of the arms that a verdict is about.
        best_arm: the best arm of all, whose classifier is kept.
        best_draw: the draw of that classifier of the best arm which validation likes most.
        best_seed: its seed, as an index into the seeds of the arm.
        mcnemar_draw: the draw of that classifier of the GAN arm which validation likes most.
        mcnemar_seed: its seed, as an index into the seeds of the arm.
        mcnemar_baseline_seed: the seed of the baseline's classifier beside it, the same seed where it has one.
    """

    baseline_arm: str
    gan_arm: str
    best_arm: str
    best_draw: int
    best_seed: int
    mcnemar_draw: int
    mcnemar_seed: int
    mcnemar_baseline_seed: int


@dataclass(frozen=True, eq=False)
class Predictions:
    """What every classifier said of the test part; every score is computed from this.

    Attributes:
        labels: int64 (N,), true classes.
        groups: str (N,), what each image belongs to (patient, lot, device); empty where that is not known.
        probabilities: for each arm float16 (D, S, N, K) by draw, seed, image and class. The seeds of an arm with a GAN
            are its GAN seeds times the classifier seeds, those of one GAN beside each other; an arm has one seed where
            no random number moves it.
    """

    labels: np.ndarray
    groups: np.ndarray
    probabilities: Mapping[str, np.ndarray]

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(self.probabilities)

    def of(self, arm: str) -> np.ndarray:
        """What an arm's classifiers said: float16 (D, S, N, K)."""
        return self.probabilities[arm]

    def predicted(self, arm: str) -> np.ndarray:
        """The likeliest classes: int64 (D, S, N)."""
        likeliest: np.ndarray = self.of(arm).argmax(axis=-1)
        return likeliest

    def hits(self, arm: str) -> np.ndarray:
        """Whether the images were recognised: bool (D, S, N)."""
        recognised: np.ndarray = self.predicted(arm) == self.labels
        return recognised

    def save(self, folder: Path) -> None:
        """Writes `predictions.npz`: `labels`, `groups`, and an array `probabilities/ARM` for each arm."""
        arrays = {f"{_ARM}{arm}": said for arm, said in self.probabilities.items()}
        with atomic_path(folder / _PREDICTIONS) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, labels=self.labels, groups=self.groups, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Predictions:
        """Reads `predictions.npz`."""
        with np.load(folder / _PREDICTIONS, allow_pickle=False) as content:
            said = {name.removeprefix(_ARM): content[name] for name in content.files if name.startswith(_ARM)}
            return cls(content["labels"], content["groups"], said)


def open_test_part(
    folder: Path,
    choices: Choices,
    target: Path,
    size: int,
    draws: Sequence[Draw],
    classifiers: Mapping[str, Sequence[Sequence[Path]]],
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
        classifiers: weight files of each arm, for every draw one a seed.

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
        "draw_seeds": [draw.seed for draw in draws],
        "seeds": {arm: len(of_draws[0]) for arm, of_draws in classifiers.items()},
        "classifiers": {
            arm: [[file_sha256(path) for path in paths] for paths in of_draws] for arm, of_draws in classifiers.items()
        },
    }
    if (folder / OPENED).is_file() and read_json(folder / OPENED) != record:
        raise GtlError(
            f"{folder / OPENED}: the test part was opened before with other choices or classifiers; "
            "begin the evaluation anew in an empty folder"
        )
    write_json(folder / OPENED, record)
    found = ImageSet.load(target)
    images = fitted(found.images[test], size)
    groups = found.manifest["group"].to_numpy(dtype=str)[test]
    said = {
        arm: np.stack([np.stack([_said(path, images) for path in paths]) for paths in of_draws])
        for arm, of_draws in classifiers.items()
    }
    predictions = Predictions(found.labels[test], groups, said)
    predictions.save(folder)
    return predictions


def _said(classifier: Path, images: np.ndarray) -> np.ndarray:
    """Probabilities float16 (N, K) by a saved classifier."""
    return predict(load_classifier(classifier)[0], images).astype(np.float16)
