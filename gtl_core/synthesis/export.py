"""Export of a synthetic set as class folders of PNGs that say of themselves that they are synthetic."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gtl_core.errors import InputError
from gtl_core.synthesis.synthetic_set import SyntheticSet

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's term for media that a trained model has made."""


def export_pngs(folder: Path, out: Path, origin: Mapping[str, str] | None = None) -> int:
    """Writes a synthetic set as `out/CLASS/NUMBER.png`.

    Every PNG holds the text chunks `Synthetic` (`true`), `DigitalSourceType` (IPTC), `GeneratorSHA256`, `Class` and
    `Seed`, and those of `origin`.

    Args:
        folder: the synthetic set.
        out: made by this call; nothing is there where it fails.
        origin: further text chunks, such as the registered model.

    Returns:
        How many images were written.

    Raises:
        InputError: `out` is there already, or `folder` holds no synthetic set.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    if out.exists():
        raise InputError(f"{out} is there already; name a folder that is not")
    made = SyntheticSet.load(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        for image, row in zip(made.images, made.manifest.to_dict("records"), strict=True):
            chunks = PngInfo()
            chunks.add_text("Synthetic", "true")
            chunks.add_text("DigitalSourceType", SOURCE_TYPE)
            chunks.add_text("GeneratorSHA256", row["generator_sha256"])
            # PIL writes what Latin-1 lacks, such as Greek class names, as an international text chunk by itself.
            chunks.add_text("Class", row["class"])
            chunks.add_text("Seed", str(row["seed"]))
            for name, value in (origin or {}).items():
                chunks.add_text(name, value)
            path = partial / row["source_file"]
            path.parent.mkdir(exist_ok=True)
            picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
            picture.save(path, format="PNG", pnginfo=chunks)
        partial.chmod(0o755)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return len(made)
