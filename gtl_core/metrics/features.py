"""The features that images are compared by: those of a frozen classifier which knows the source and the target."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gtl_core.config import ClassifierConfig
from gtl_core.errors import InputError
from gtl_core.networks.classifier import Classifier
from gtl_core.training.batches import Pool
from gtl_core.training.classifier import carry_over, train_classifier
from gtl_core.training.runtime import device, placed, to_unit_range

STEPS = 100
"""Steps that the source classifier learns on, from both sets, to become an extractor."""
_BATCH = 512


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images to learn from.

    Attributes:
        images: uint8 (N, C, S, S).
        labels: int64 (N,), indices of `classes`.
        classes: names.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]


class Extractor:
    """The trunk of a classifier, its maps averaged over the whole image.

    A distance on these features is no "FID": that name belongs to one Inception network, whose features of 16 grey
    pixels say little. The hash says which network a number belongs to.

    Attributes:
        sha256: hash of the trunk's weights.
        width: numbers in the features of one image.
    """

    def __init__(self, classifier: Classifier, learned_from: str) -> None:
        """Freezes a classifier.

        Args:
            classifier: whose trunk is used.
            learned_from: what it was trained on, in words.
        """
        self._options, self._places = classifier.options, classifier.places
        self.width = classifier.head.in_features // classifier.places
        self._trunk = placed(classifier.trunk, device()).eval()
        self._learned_from = learned_from
        digest = hashlib.sha256()
        for name, tensor in sorted(self._trunk.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        self.sha256 = digest.hexdigest()

    def features(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features (N, F) of images uint8 (N, C, S, S), in float32 on whatever device.

        Raises:
            InputError: the images have another size or number of channels than the extractor was trained for.
        """
        _check_size(self._options, images)
        parts = [np.empty((0, self.width), np.float32)]
        where = next(self._trunk.parameters()).device
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.array(images[start : start + _BATCH])).to(where)
            with torch.inference_mode():
                maps = self._trunk(to_unit_range(batch).contiguous(memory_format=torch.channels_last))
            parts.append(maps.float().unflatten(1, (-1, self._places)).mean(dim=2).cpu().numpy())
        return np.concatenate(parts)

    def describe(self) -> dict[str, Any]:
        """What a reader of a number must know of the extractor."""
        return {
            "sha256": self.sha256,
            "features": self.width,
            "size": self._options["size"],
            "channels": self._options["channels"],
            "learned_from": self._learned_from,
        }


def train_extractor(
    start: Classifier, source: LabelledImages, target: LabelledImages | None, config: ClassifierConfig, seed: int
) -> Extractor:
    """Makes an extractor of the source classifier by a short training on both sets, half of each batch from each.

    Args:
        start: the source classifier, with the classes of `source`.
        source: the source's training images.
        target: held-out labelled images of the target, which no generator has seen; None where there are none, and
            the source classifier is the extractor as it is.
        config: batch size, learning rate and weight decay.
        seed: of sampling and augmentation.

    Returns:
        The extractor.

    Raises:
        InputError: the source classifier was trained for images of another size or number of channels.
    """
    _check_size(start.options, source.images)
    if target is None:
        return Extractor(start, "the source")
    # Each set's images compete among its own classes, as in the arms.
    names = (*target.classes, *(name for name in source.classes if name not in target.classes))
    pools = [_pool(part, names) for part in (source, target)]
    model = train_classifier(
        carry_over(start, source.classes, names, seed),
        pools,
        config,
        steps=STEPS,
        learning_rate=config.learning_rate,
        augmented=True,
        seed=seed,
    )
    return Extractor(model, f"the source and {len(target.images)} held-out images of the target")


def _check_size(options: Mapping[str, int], images: npt.NDArray[np.uint8]) -> None:
    wanted = (options["channels"], options["size"], options["size"])
    if images.shape[1:] != wanted:
        known, given = ("×".join(map(str, shape)) for shape in (wanted, images.shape[1:]))
        raise InputError(
            f"the extractor was trained for {known} images, and these are {given}; fit them to its size, or train an "
            "extractor for theirs"
        )


def _pool(part: LabelledImages, names: Sequence[str]) -> Pool:
    """Images for the classifier whose head has the rows `names`."""
    rows = np.array([names.index(name) for name in part.classes], np.int64)
    columns = None if set(part.classes) == set(names) else tuple(rows.tolist())
    return Pool(part.images, rows[part.labels], 1.0, columns)
