"""The sounds of the log-mel pictures of a set, and WAV files that say in themselves that they are synthetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.image_set import ImageSet, fitted
from gtl_core.data.mel import MelScale
from gtl_core.data.wav import encode_wav
from gtl_core.files import atomic_folder
from gtl_core.progress import OnProgress, Progress, silent
from gtl_core.synthesis.changed_pictures import require_new
from gtl_core.synthesis.griffin_lim import picture_sounds
from gtl_core.synthesis.picture_text import SOURCE_TYPE

_AT_ONCE = 32
"""Pictures turned back between two reports of progress."""


def sounds_of(images: npt.NDArray[np.uint8], scale: MelScale) -> Iterator[npt.NDArray[np.float64]]:
    """The sounds of log-mel pictures of any size, one by one.

    Args:
        images: uint8 (N, 1, S, S); another size than the scale's is first brought to that.
        scale: the scale.

    Yields:
        float64 (T,).
    """
    for start in range(0, len(images), _AT_ONCE):
        yield from picture_sounds(fitted(images[start : start + _AT_ONCE], scale.size)[:, 0], scale)


def write_sounds(
    images: ImageSet, scale: MelScale, out: Path, per_class: int, on_progress: OnProgress = silent
) -> dict[str, str]:
    """Writes the first sounds of each class of a set as `CLASS/ROW.wav`.

    Args:
        images: a set of pictures of sounds.
        scale: its scale.
        out: made by this call, in one step.
        per_class: how many of each class; fewer where there are fewer.
        on_progress: told how many are written.

    Returns:
        The file that each picture came from, by the file that was written.

    Raises:
        InputError: `out` is there already or cannot be made.
    """
    from gtl_core.synthesis.sampling import picture_name

    require_new(out)
    rows = np.concatenate([np.flatnonzero(images.labels == label)[:per_class] for label in range(len(images.classes))])
    sources = images.manifest["source_file"]
    written = {}
    with atomic_folder(out) as partial:
        for row, sound in zip(rows.tolist(), sounds_of(images.images[rows], scale), strict=True):
            name = str(Path(picture_name(images.classes[images.labels[row]], row)).with_suffix(".wav"))
            (partial / name).parent.mkdir(exist_ok=True)
            (partial / name).write_bytes(encode_wav(sound, scale.rate, {"ISFT": "gtl"}))
            written[name] = str(sources.iloc[row])
            on_progress(Progress("sounds", len(written), len(rows)))
    return written


def synthetic_wav(sound: npt.NDArray[np.float64], scale: MelScale, row: Mapping[str, Any], model: str) -> bytes:
    """A WAV file of a synthetic sound that says what `picture_text` says in a picture.

    Args:
        sound: float64 (T,).
        scale: the scale of its picture.
        row: the picture's row in its set's manifest.
        model: the registered generator, `NAME/VERSION`.
    """
    comment = (
        f"Synthetic: true; Model: {model}; GeneratorSHA256: {row['generator_sha256']}; Class: {row['class']}; "
        f"Seed: {row['seed']}; DigitalSourceType: {SOURCE_TYPE}"
    )
    return encode_wav(sound, scale.rate, {"ICMT": comment, "ISFT": "gtl"})
