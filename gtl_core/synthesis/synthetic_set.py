"""`SyntheticSet`: images that a generator made, each with the generator, the seed and the class that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gtl_core.data.image_set import ImageSet
from gtl_core.data.manifest import FILES
from gtl_core.errors import InputError
from gtl_core.files import file_sha256

PROVENANCE_COLUMNS = ("generator_sha256", "seed", "class")
"""What the manifest says of every image beside the columns of an image set: SHA-256 of the GAN's checkpoint file, the
seed of the latents, and the name of the class."""

FILTER_COLUMN = "filter"
"""Why a selection leaves an image out, empty where it keeps it; the column is there only where one was made."""


@dataclass(frozen=True, eq=False)
class SyntheticSet:
    """Generated images and where each came from.

    It is no `ImageSet`, so that code which puts together a validation or a test part cannot be handed one unnoticed.

    Attributes:
        images: uint8 (N, C, S, S), memory-mapped where the set was loaded.
        manifest: N rows with the columns of an image set and `PROVENANCE_COLUMNS`.
        classes: names; `label` is an index into them.
        card: what the set was made from: `family`, `generator_sha256`, `seed`, `per_class`, `latent`.
        folder: where the set lies.
    """

    images: npt.NDArray[np.uint8]
    manifest: pd.DataFrame
    classes: tuple[str, ...]
    card: dict[str, Any]
    folder: Path

    @classmethod
    def load(cls, folder: Path) -> SyntheticSet:
        """Opens the set in a folder; pixels are read when they are used.

        Raises:
            InputError: the folder holds no synthetic set, or a damaged one.
        """
        found = ImageSet.load(folder)
        absent = [column for column in PROVENANCE_COLUMNS if column not in found.manifest.columns]
        if absent:
            raise InputError(f"{folder} is no synthetic set: its manifest does not say {', '.join(absent)}")
        return cls(found.images, found.manifest, found.classes, found.card, folder)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class index of every image: int64 (N,)."""
        return self.manifest["label"].to_numpy(dtype=np.int64)

    @property
    def family(self) -> str:
        """What kind of model has made the images: `GAN`, `VAE` or `VAE-GAN`."""
        # Sets from when there were GANs only do not say.
        return str(self.card.get("family", "GAN"))

    @property
    def filtered(self) -> bool:
        """Whether a selection has looked at the images."""
        return FILTER_COLUMN in self.manifest.columns

    @property
    def kept(self) -> npt.NDArray[np.int64]:
        """Rows that no selection leaves out, ascending."""
        if not self.filtered:
            return np.arange(len(self), dtype=np.int64)
        return np.flatnonzero((self.manifest[FILTER_COLUMN] == "").to_numpy()).astype(np.int64)

    def as_image_set(self) -> ImageSet:
        """The same images as an image set named `synthetic`, for the validation suite and nothing else."""
        return ImageSet("synthetic", self.images, self.manifest, self.classes, self.card, self.folder)


def synthetic_manifest_sha256(folder: Path) -> str:
    """SHA-256 of a synthetic set's manifest file, which holds the hash of every image.

    Raises:
        InputError: the folder holds no such file.
    """
    path = folder / FILES[1]
    if not path.is_file():
        raise InputError(f"{folder} holds no synthetic set: {FILES[1]} is not there")
    return file_sha256(path)
