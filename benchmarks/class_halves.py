"""Image sets with some of the classes of a bigger one, for transfer to classes that the source does not have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gtl_core.data.image_set import ImageSet, ImageSetWriter

HALVES = {
    "mnist-0-4": ("mnist", "01234"),
    "mnist-5-9": ("mnist", "56789"),
    "usps-5-9": ("usps", "56789"),
}
"""By name of a half: the name of the whole set, and the names of the classes."""


def half(name: str, classes: Sequence[str], out: Path) -> None:
    """Makes an image set of some classes of an imported one; rows keep their order and their split.

    Args:
        name: the bigger set, which lies beside `out`.
        classes: names of its classes, in the order that the new set shall have.
        out: folder of the new set.

    Raises:
        InputError: there is no such set, or it is damaged.
        ValueError: a class is not in it.
    """
    whole = ImageSet.load(out.parent / name)
    label_of = {whole.classes.index(wanted): label for label, wanted in enumerate(classes)}
    rows = np.flatnonzero(np.isin(whole.labels, list(label_of)))
    with ImageSetWriter(out, classes=tuple(classes), card={**whole.card, "part_of": name}) as writer:
        for row in rows:
            about = whole.manifest.iloc[row]
            writer.add(
                whole.images[row],
                label=label_of[int(about["label"])],
                split=about["split"],
                group=about["group"],
                source_file=about["source_file"],
                original=(int(about["width"]), int(about["height"]), int(about["channels"])),
            )
