"""A folder of pictures that a model has changed: each says so in itself, with a sheet to look at and the numbers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.pictures import contact_sheet, save_png
from gtl_core.errors import InputError
from gtl_core.files import atomic_folder, write_json
from gtl_core.synthesis.picture_text import changed_picture_text

SHEET, REPORT = "sheet.png", "report.json"
_SHOWN = 16


@dataclass(frozen=True, eq=False)
class ChangedPicture:
    """One picture.

    Attributes:
        name: path of the original inside its folder; the changed one is called so too, with the ending `.png`.
        image: uint8 (C, S, S).
        text: what the file says of itself, beside that a model has changed it.
        numbers: what there is to report of it.
    """

    name: str
    image: npt.NDArray[np.uint8]
    text: Mapping[str, str]
    numbers: Mapping[str, Any]


def require_new(out: Path) -> None:
    """Refuses a folder that is there already or cannot be made, before the work that would be for nothing.

    Raises:
        InputError: it is, or it cannot.
    """
    if out.exists():
        raise InputError(f"{out} is there already; name a folder that is not")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{above} is no folder, so {out} cannot be made; name another one")
    if not os.access(above, os.W_OK):
        raise InputError(f"{above} may not be written to, so {out} cannot be made; name another folder")


def result_names(pictures: Sequence[str]) -> list[str]:
    """What the changed pictures will be called, which is worth knowing before they are made.

    Args:
        pictures: names of the originals.

    Raises:
        InputError: two files of the result would get one name, or one the name of another one's folder.
    """
    names = [PurePosixPath(picture).with_suffix(".png").as_posix() for picture in pictures]
    folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
    counts = Counter([SHEET, REPORT, *names, *folders])
    clash = next((name for name in (SHEET, REPORT, *names) if counts[name] > 1), None)
    if clash:
        raise InputError(f"two files of the result would be called {clash}; rename one of the pictures")
    return names


def write_changed(
    out: Path,
    pictures: Sequence[ChangedPicture],
    rows: Sequence[npt.NDArray[np.uint8]],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the pictures, `sheet.png` and `report.json` in one step: nothing is there where it fails or is killed.

    Args:
        out: folder to make.
        pictures: what to write.
        rows: what the sheet shows of the first pictures, a row each, such as before and after: uint8 (N, C, S, S).
        about: what the report says of all of them.

    Returns:
        The report: `about`, and `pictures` with their files and numbers.

    Raises:
        InputError: the folder is there already, or as `result_names` raises it.
    """
    require_new(out)
    named = list(zip(result_names([picture.name for picture in pictures]), pictures, strict=True))
    report = {**about, "pictures": [{"file": name, **picture.numbers} for name, picture in named]}
    shown = min(_SHOWN, len(pictures))
    with atomic_folder(out) as partial:
        for name, picture in named:
            _write(partial / name, picture)
        save_png(partial / SHEET, contact_sheet(np.concatenate([row[:shown] for row in rows]), columns=shown))
        write_json(partial / REPORT, report)
    return report


def _write(path: Path, picture: ChangedPicture) -> None:
    """Writes one PNG, without a time stamp."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture.image.transpose(1, 2, 0)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))
    image.save(path, format="PNG", pnginfo=changed_picture_text(picture.text))
