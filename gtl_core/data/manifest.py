"""What every image set holds: the files, the manifest's columns, and the splits."""

from __future__ import annotations

MANIFEST_COLUMNS = (
    "sha256",
    "label",
    "split",
    "group",
    "width",
    "height",
    "channels",
    "mean",
    "std",
    "source_file",
)
"""One manifest row an image: SHA-256 of the stored pixels; index into `classes`, or `UNLABELLED`; `train`,
`val`, `test` or empty; what must stay on one side of a split (patient, lot, device) or empty; width, height and
channels of the original; mean and standard deviation of the stored pixels in 0..1; and the file that it came from."""

SPLITS = ("train", "val", "test", "")
"""Parts that an image may stand in; the empty one where files say nothing of it."""

UNLABELLED = -1
"""Label of an image that nobody has labelled. It may stand in `train` or in no split, never where labels judge."""

JUDGED_SPLITS = ("val", "test")
"""Splits in which every image has a label."""

FILES = ("images.npy", "manifest.parquet", "card.json")
"""What an image set is made of on disk."""
