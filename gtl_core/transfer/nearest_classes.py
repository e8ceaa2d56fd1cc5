"""Which class of the source each class of the target may begin as, told by its few labelled images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment

from gtl_core.config import ClassStart
from gtl_core.errors import InputError
from gtl_core.networks.registry import GanSpec, build_discriminator, features_of, judges
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.class_distances import class_distances
from gtl_core.training.runtime import device, placed, to_device, to_unit_range
from gtl_core.transfer.inputs import TransferInputs

_SAMPLE_PER_CLASS = 100
"""Images of each source class that its mean is taken over."""
_BATCH = 256
_NO_IMAGES = 1e9
"""Distance of a class that has none."""


def check_start(label: str, start: ClassStart, spec: GanSpec) -> None:
    """Looks whether the source's networks can tell the nearest class, before anything is trained.

    Args:
        label: of the strategy.
        start: what classes begin with that the source does not know by name.
        spec: the source GAN's networks.

    Raises:
        InputError: they cannot.
    """
    if start == "random":
        return
    if not judges(spec):
        raise InputError(
            f"{label}: start: nearest asks the source's discriminator what looks alike, and a {spec.architecture} has "
            "none; leave it out, or take gan.architecture vae_gan"
        )
    if spec.text:
        raise InputError(
            f"{label}: start: nearest is about the embeddings of classes, and with gan.condition text there are none; "
            "leave it out, or take gan.condition class"
        )


def nearest_source_classes(source: GanCheckpoint, inputs: TransferInputs) -> tuple[int, ...]:
    """The index of a near source class for every target class, each another one where the source has enough.

    Near is what the source's discriminator sees alike: the distance between mean features of classes, each set around
    its own middle (see `class_distances`). Classes that begin as copies of one must first be told apart, so no source
    class is given out twice before all are, and of such dealings that with the least sum of distances is taken.

    Args:
        source: the source GAN.
        inputs: the labelled target images, at least one of every class, and the source's images.
    """
    network = build_discriminator(source.spec, 0)
    network.load_state_dict(source.discriminator)
    network = placed(network, device()).eval()

    def features(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        parts = []
        for start in range(0, len(images), _BATCH):
            batch = to_unit_range(to_device(images[start : start + _BATCH], device()))
            with torch.inference_mode():
                parts.append(features_of(network, batch).float().cpu().numpy())
        return np.concatenate(parts)

    rows = _some_of_each(inputs.source_labels)
    distances = class_distances(
        features(inputs.source_images[rows]),
        inputs.source_labels[rows],
        len(inputs.source_classes),
        features(inputs.images),
        inputs.labels,
        len(inputs.classes),
    )
    rounds = -(-len(inputs.classes) // len(inputs.source_classes))
    costs = np.tile(np.nan_to_num(distances, nan=_NO_IMAGES), rounds)
    return tuple(int(column) % len(inputs.source_classes) for column in linear_sum_assignment(costs)[1])


def _some_of_each(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The first rows of every class."""
    return np.concatenate([np.flatnonzero(labels == label)[:_SAMPLE_PER_CLASS] for label in np.unique(labels)])
