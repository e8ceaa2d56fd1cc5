"""Which of today's test images a champion can be compared on: those that it has not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtl_core.evaluation.report.words import listed
from gtl_core.registry.seen import SEEN_FILE, new_to


@dataclass(frozen=True)
class Comparison:
    """What a comparison with the champion is made on.

    Attributes:
        rows: bool (N,), the test images that count.
        words: how a sentence calls them, with their number; empty for all test images.
        refusal: why there can be no comparison; empty where there can.
    """

    rows: np.ndarray
    words: str = ""
    refusal: str = ""


def comparable_images(
    champion: str, folder: Path, hashes: np.ndarray, groups: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> Comparison:
    """Finds the test images that are new to a champion.

    A set without a test part of its own has it drawn anew when images come or the seed changes, so it may hold what
    the champion has learned from or was chosen on.

    Args:
        champion: how reasons call it.
        folder: its files.
        hashes: str (N,), the SHA-256 of each test image, as the set's manifest has it.
        groups: str (N,), what each belongs to; empty where that is not known.
        labels: int (N,), their classes.
        classes: names of the classes.
    """
    every = np.ones(len(labels), bool)
    file = folder / SEEN_FILE
    if not file.is_file():
        said = "test images (which of them the champion has learned from is not known: it was registered without a list"
        return Comparison(every, f"{len(labels):,} {said})")
    try:
        rows = new_to(file, hashes, groups)
    except Exception as error:  # noqa: BLE001 - a damaged file fails in any way
        return Comparison(
            every, refusal=f"{champion} cannot be scored again: its {SEEN_FILE} cannot be read ({type(error).__name__})"
        )
    emptied = [classes[label] for label in np.setdiff1d(labels, labels[rows])]
    if emptied:
        return Comparison(
            every,
            refusal=f"{champion} has learned from, or was chosen on, all of today's test images of {listed(emptied)}: "
            "they cannot be compared; give the set a test part of its own, import more images, or take the champion "
            "alias away to start anew",
        )
    if rows.all():
        return Comparison(rows)
    return Comparison(rows, f"{rows.sum():,} of {len(rows):,} test images, which the champion has not learned from")
