"""What the report is made from: the files of the stages, each read when a section asks for it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gtl_core.config import Experiment
from gtl_core.data.draws import Draw
from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.files import read_json

Part = Literal["evaluation", "quality", "gap", "validation", "draws", "budgets", "target"]

_ABSENT: Mapping[Part, str] = {
    "evaluation": "the arms have not been evaluated yet; gtl run makes the whole chain",
    "quality": "the stage synthetic_quality has not been made for this run",
    "gap": "the stage domain_gap has not been made for this run",
    "validation": "the stage data_validation has not been made for this run",
    "draws": "the stage draws has not been made for this run",
    "budgets": "no other label counts were measured; gtl study budgets makes the curve",
    "target": "the image set of the target, which also says in what order the classes stand, is not there",
}


class Missing(Exception):
    """A part of the report that is not there; the text says why."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The folders of one run's stages.

    Attributes:
        experiment: what was run.
        folders: where each part lies; one that is left out is shown as missing.
        synthetic: for each strategy the folders of its synthetic sets, one a draw.
        provenance: where everything comes from, JSON-able; see `sections/provenance.py`.
    """

    experiment: Experiment
    folders: Mapping[Part, Path]
    synthetic: Mapping[str, Sequence[Path]]
    provenance: Mapping[str, Any]

    def folder(self, part: Part) -> Path:
        """Folder of a part.

        Raises:
            Missing: it is not there.
        """
        if part not in self.folders:
            raise Missing(_ABSENT[part])
        return self.folders[part]

    def read(self, part: Part, name: str) -> Any:
        """A JSON file of a part.

        Raises:
            Missing: the part or the file is not there.
        """
        path = self.folder(part) / name
        if not path.is_file():
            raise Missing(f"{name} is not in the folder of its stage")
        return read_json(path)

    @cached_property
    def verdict(self) -> dict[str, Any]:
        """The verdict."""
        return dict(self.read("evaluation", "verdict.json"))

    @cached_property
    def arms(self) -> list[dict[str, Any]]:
        """The row of every arm."""
        return list(self.read("evaluation", "arms.json"))

    def arm(self, name: str) -> dict[str, Any]:
        """The row of one arm."""
        return next(row for row in self.arms if row["arm"] == name)

    @property
    def compared(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The two arms that the verdict compares: the best without a GAN, and the judged one."""
        return self.arm(self.verdict["baseline_arm"]), self.arm(self.verdict["arm"])

    @cached_property
    def quality(self) -> dict[str, Any]:
        """What was measured of the synthetic images."""
        return dict(self.read("quality", "quality.json"))

    def judged_first(self, labels: Iterable[str]) -> list[str]:
        """Strategies in the order of every section: the one that the verdict is about, then the others by name."""
        judged = self.verdict["strategy"]
        return sorted(labels, key=lambda label: (label != judged, label))

    def arrays(self, kind: str, part: str) -> dict[str, npt.NDArray[Any]]:
        """Arrays of the synthetic images' measurement, by strategy, the judged one first.

        Args:
            kind: the part of their names before the strategy, such as `walk`.
            part: what the measurement calls the part where it says why there is none.

        Raises:
            Missing: there is none, or the file is damaged.
        """
        path = self.folder("quality") / "quality.npz"
        if not path.is_file():
            raise Missing("quality.npz is not in the folder of its stage")
        try:
            with np.load(path, allow_pickle=False) as content:
                names = [name for name in content.files if name.startswith(f"{kind}/")]
                found = {name.split("/", 1)[1]: content[name] for name in names}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise Missing(f"quality.npz cannot be read: {' '.join(str(error).split())}") from error
        if not found:
            raise Missing(self.why(part, "it was not measured"))
        return {label: found[label] for label in self.judged_first(found)}

    def why(self, part: str, reason: str) -> str:
        """Why the measurement of the synthetic images lacks a part: its own word for it, or else `reason`."""
        missing = self.quality["missing"]
        own = [why for name, why in missing.items() if name in ("everything", part) or name.endswith(f": {part}")]
        return "; ".join(dict.fromkeys(own)) or reason

    @cached_property
    def draws(self) -> list[Draw]:
        """The draws, in order."""
        folder = self.folder("draws")
        return [Draw.load(folder / f"{index}.json") for index in range(len(list(folder.glob("[0-9]*.json"))))]

    @cached_property
    def target(self) -> ImageSet:
        """The target image set, of which no test image is shown."""
        return ImageSet.load(self.folder("target"))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers; objects in JSON files are sorted by name instead."""
        return self.target.classes

    def real_images(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Rows of the target at the experiment's size: uint8 (n, C, S, S)."""
        return fitted(self.target.images[rows], self.experiment.image.size)
