"""Export of a synthetic set: class folders of PNGs that say what they are, two cards, and a signed manifest of it all.

| file | for whom |
|---|---|
| `CLASS/NUMBER.png` | programs that train; each says in itself that it is synthetic, and by which model |
| `CLASS/NUMBER.wav` | ears, where the pictures are those of sounds; each says the same of itself |
| `README.md` | people: a dataset card in the layout of Hugging Face |
| `croissant.json` | search engines and loaders: a Croissant 1.1 card |
| `manifest.jsonl`, `manifest.sig`, `public_key.pem` | whoever wants to know that nothing was changed: `gtl verify` |
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.mel import MelScale, scale_of
from gtl_core.errors import InputError
from gtl_core.files import atomic_folder, file_sha256, write_json, write_text
from gtl_core.progress import OnProgress, Progress, silent
from gtl_core.synthesis.croissant import croissant_card
from gtl_core.synthesis.dataset_card import dataset_card
from gtl_core.synthesis.description import ExportedSet, target_of
from gtl_core.synthesis.picture_text import picture_text
from gtl_core.synthesis.signed_manifest import SignedFile, SignedImage, sign_folder
from gtl_core.synthesis.signing import fingerprint
from gtl_core.synthesis.sounds import sounds_of, synthetic_wav
from gtl_core.synthesis.synthetic_set import SyntheticSet, synthetic_manifest_sha256

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DATASET_CARD, CROISSANT_CARD = "README.md", "croissant.json"

_REPORT_EVERY = 32
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


@dataclass(frozen=True)
class Exported:
    """What an export has written.

    Attributes:
        images: how many images.
        sounds: how many of them were also written as sounds: all or none.
        left_out: how many the filter had dropped, which stay behind.
        key: fingerprint of the key that signed it.
    """

    images: int
    sounds: int
    left_out: int
    key: str


def export_images(
    folder: Path,
    out: Path,
    record: Mapping[str, Any],
    key: Ed25519PrivateKey,
    licence: str | None = None,
    on_progress: OnProgress = silent,
) -> Exported:
    """Writes the synthetic set of a registered generator as a folder that can be given away and checked.

    The same set, record, key and licence give the same files to the last bit. Images that the filter has dropped,
    such as near copies of training images, are left out. Where the target was a set of sounds, each image is also
    written as a sound.

    Args:
        folder: the synthetic set.
        out: made by this call, in one step: nothing is there where it fails or is killed.
        record: the generator's lineage record, as `gtl_core.registry.lineage.read_lineage` gives it.
        key: what to sign with.
        licence: SPDX identifier of the licence that the images are given under; None where it is not stated.
        on_progress: told how many sounds are made, which takes longer than all else.

    Raises:
        InputError: `out` is there already, the licence is no identifier, or `folder` holds no synthetic set, or not
            the one of the record.
    """
    if licence is not None and not _SPDX.fullmatch(licence):
        raise InputError(f"--licence {licence!r}: expected an identifier of SPDX's list, such as CC-BY-4.0")
    if out.exists():
        raise InputError(f"{out} is there already; name a folder that is not")
    made = SyntheticSet.load(folder)
    if synthetic_manifest_sha256(folder) != record["synthetic"]["manifest_sha256"]:
        raise InputError(
            f"{folder} is not the synthetic set that was registered: its manifest differs; gtl lineage --verify"
        )
    with atomic_folder(out) as partial:
        return _write(made, partial, record, key, licence, on_progress)


def _write(
    made: SyntheticSet,
    partial: Path,
    record: Mapping[str, Any],
    key: Ed25519PrivateKey,
    licence: str | None,
    on_progress: OnProgress,
) -> Exported:
    """Fills an empty folder."""
    rows = made.manifest.to_dict("records")
    if not len(made.kept):
        raise InputError(f"{made.folder}: the filter has dropped every image, so there is nothing to export")
    model = f"{record['model']['name']}/{record['model']['version']}"
    images = [_write_image(made.images[index], rows[index], partial, model) for index in made.kept]
    target = target_of(record)
    scale = scale_of(target, target["name"])
    sounds = _write_sounds(made, scale, partial, model, on_progress) if scale else []
    described = ExportedSet(
        model=model,
        created=record["model"]["created"],
        classes=made.classes,
        folders={row["class"]: Path(row["source_file"]).parent.as_posix() for row in rows},
        counts={name: sum(image.class_name == name for image in images) for name in made.classes},
        left_out=len(made) - len(images),
        size=made.images.shape[2],
        channels=made.images.shape[1],
        family=made.family,
        generator_sha256=made.card["generator_sha256"],
        seed=int(made.card["seed"]),
        key=fingerprint(key.public_key()),
        software=f"gtl {installed_version('gtl')}",
        licence=licence,
        record=record,
    )
    write_text(partial / DATASET_CARD, dataset_card(described))
    write_json(partial / CROISSANT_CARD, croissant_card(described))
    sign_folder(partial, described.about(), images, (DATASET_CARD, CROISSANT_CARD), key, sounds)
    return Exported(len(images), len(sounds), described.left_out, described.key)


def _write_image(image: npt.NDArray[np.uint8], row: Mapping[str, Any], partial: Path, model: str) -> SignedImage:
    """Writes one image, uint8 (C, S, S), as a PNG.

    Raises:
        InputError: its pixels are not those that were drawn, or there is no file of its own for it.
    """
    from PIL import Image

    pixels_sha256 = hashlib.sha256(image.tobytes()).hexdigest()
    if pixels_sha256 != row["sha256"]:
        raise InputError(f"{row['source_file']}: its pixels have changed since it was drawn; gtl run makes them anew")
    path = partial / row["source_file"]
    path.parent.mkdir(exist_ok=True)
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    try:
        with path.open("xb") as stream:
            picture.save(stream, format="PNG", pnginfo=picture_text(row, model))
    except FileExistsError as error:
        raise InputError(
            f"{row['source_file']}: this disk takes two class names for one; export to one that tells A from a"
        ) from error
    return SignedImage(
        path=row["source_file"],
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        pixels_sha256=pixels_sha256,
        class_name=row["class"],
        seed=int(row["seed"]),
        generator_sha256=row["generator_sha256"],
    )


def _write_sounds(
    made: SyntheticSet, scale: MelScale, partial: Path, model: str, on_progress: OnProgress
) -> list[SignedFile]:
    """Writes the sound of every image that is kept, beside it."""
    rows = made.manifest.to_dict("records")
    written = []
    for index, sound in zip(made.kept, sounds_of(made.images[made.kept], scale), strict=True):
        name = Path(rows[index]["source_file"]).with_suffix(".wav").as_posix()
        content = synthetic_wav(sound, scale, rows[index], model)
        (partial / name).write_bytes(content)
        written.append(SignedFile(name, len(content), hashlib.sha256(content).hexdigest()))
        if len(written) % _REPORT_EVERY == 0 or len(written) == len(made.kept):
            on_progress(Progress("sounds", len(written), len(made.kept)))
    return written
