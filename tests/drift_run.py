"""A check for drift that was really made: rings of three classes against darker ones, with names that try things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from report_run import shapes

from gtl_core.data.image_set import ImageSetWriter
from gtl_core.homes import Homes
from gtl_core.training.classifier import new_classifier, save_classifier
from pipelines.drift import check_by_hand

EXPERIMENT = """\
name: parts
source: {dataset: catalogue}
target: {dataset: camera, labelled_per_class: 5}
image: {size: 16, channels: 1}
transfer: {strategies: [finetune]}
"""


def drift_page(root: Path, names: Sequence[str]) -> Path:
    """The page of a check in a project of its own.

    Args:
        root: the project's folder.
        names: of three classes, of which the second also names the new folder, and the third a file in it.
    """
    homes = Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))
    rng = np.random.default_rng(0)
    with ImageSetWriter(homes.data / "camera", tuple(names)) as writer:
        for label in range(3):
            for rank, image in enumerate(shapes(label, 50, rng)):
                writer.add(image, label=label, source_file=f"{label}/{rank}.png")
    new = root / names[1]
    new.mkdir()
    for index, image in enumerate(np.concatenate([shapes(label, 20, rng) for label in range(3)])):
        Image.fromarray((image[0] * 0.6).astype(np.uint8)).save(new / f"{index}.png")
    (new / names[2]).write_text("no image")
    homes.experiments.mkdir()
    (homes.experiments / "parts.yaml").write_text(EXPERIMENT)
    path = homes.artifacts / "parts" / "source_classifier" / "0123" / "classifier.safetensors"
    save_classifier(path, new_classifier(size=16, channels=1, width=4, classes=3, seed=0), tuple(names))
    return Path(check_by_hand(homes, str(new), "camera", None)["page"])
