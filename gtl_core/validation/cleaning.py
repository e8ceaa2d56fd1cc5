"""A copy of an image set without the rows that failed a critical check."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from gtl_core.config import Slug
from gtl_core.data.image_set import MANIFEST_COLUMNS, ImageSet, ImageSetWriter
from gtl_core.errors import InputError
from gtl_core.validation.report import ValidationReport


def drop_failing(images: ImageSet, report: ValidationReport, folder: Path) -> ImageSet:
    """Writes a copy of a set without the rows that failed a critical check of `report`.

    A picture that stands in two splits stays where it is judged on: in test rather than in train or val, in val rather
    than in train. What failed with a warning only is kept. A class without images cannot be mended in this way, so
    validate the copy too.

    Args:
        images: the set that was validated.
        report: its report; rows of other sets in it are passed over.
        folder: where the copy is to lie.

    Returns:
        The copy; its card tells of what set it is a copy and how many images were left out.

    Raises:
        InputError: `folder` is there already, its name is none for a set, or no image would be left.
    """
    try:
        TypeAdapter(Slug).validate_python(folder.name)
    except ValidationError:
        raise InputError(
            f"{folder.name!r} is no name for a set: use a-z, 0-9, - and _, 64 characters at most"
        ) from None
    if folder.exists():
        raise InputError(f"{folder} is there already; choose another name for the copy")
    dropped = {
        int(row)
        for finding in report.blocking
        for name, row in zip(finding.failing["set"], finding.failing["row"], strict=True)
        if name == images.name and row >= 0
    }
    if len(dropped) == len(images):
        raise InputError(f"{images.name}: every image failed a critical check, so that none is left to copy")
    extra = {
        str(column): _kind(images.manifest[column]) for column in images.manifest if column not in MANIFEST_COLUMNS
    }
    card = {**images.card, "copy_of": images.name, "left_out": len(dropped)}
    with ImageSetWriter(folder, images.classes, card=card, extra=extra) as writer:
        for row, values in enumerate(images.manifest.to_dict("records")):
            if row not in dropped:
                writer.add(
                    images.images[row],
                    label=values["label"],
                    split=values["split"],
                    group=values["group"],
                    source_file=values["source_file"],
                    original=(values["width"], values["height"], values["channels"]),
                    extra={column: values[column] for column in extra},
                )
    return ImageSet.load(folder)


def _kind(column: pd.Series) -> type:
    """The type of a further manifest column, as the writer wants it."""
    if pd.api.types.is_integer_dtype(column):
        return int
    return float if pd.api.types.is_float_dtype(column) else str
