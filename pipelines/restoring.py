"""Restoration of pictures with a registered generator: from the files that were named to those that are written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress

if TYPE_CHECKING:
    from gtl_core.data.picture_files import PictureFile
    from gtl_core.training.checkpoint import GanCheckpoint


def restore_pictures(
    homes: Homes,
    paths: Sequence[Path],
    *,
    model: str,
    mask: Path | None,
    noise: float | None,
    label: str | None,
    seed: int,
    out: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Restores pictures, and writes them with a sheet and a report.

    Args:
        homes: where the model is.
        paths: files and folders of pictures.
        model: `NAME@ALIAS`, `NAME/VERSION` or `NAME` of a registered generator, or the name of an experiment, for its.
        mask: what is missing, as `read_masked` reads it; None to take noise away.
        noise: standard deviation of the noise as a share of the range; None to estimate it.
        label: name of the class of all pictures; None where it is not known.
        seed: of the starts.
        out: folder to make.
        on_progress: shows how far it is.

    Returns:
        The report.

    Raises:
        InputError: there is no such model or class, a picture or a mask cannot be read or does not fit, two results
            would get one name, or `out` is there already.
    """
    import numpy as np

    from gtl_core.data.decoding import prepared
    from gtl_core.data.masks import read_masked
    from gtl_core.data.picture_files import read_pictures
    from gtl_core.registry.lineage import generator_checkpoint, read_lineage
    from gtl_core.synthesis.changed_pictures import ChangedPicture, require_new, result_names, write_changed
    from gtl_core.synthesis.restoration import fill_holes, remove_noise
    from gtl_core.training.checkpoint import GanCheckpoint

    require_new(out)
    pictures = read_pictures(paths)
    result_names([picture.name for picture in pictures])
    record = read_lineage(homes, _reference(model))
    checkpoint = generator_checkpoint(homes, record)
    gan = GanCheckpoint.load(checkpoint)
    _require_channels(pictures, gan)
    allowed = [_labels(gan, label)] * len(pictures)
    size = gan.spec.size
    missing = None
    if mask is None:
        images = np.stack([prepared(picture.read(), size, gan.spec.channels) for picture in pictures])
        restored = remove_noise(gan, images, noise, allowed, seed=seed, on_progress=on_progress)
        rows = [images, restored.images]
    else:
        images, missing = read_masked(mask, pictures, size)
        restored = fill_holes(gan, images, missing, allowed, seed=seed, on_progress=on_progress)
        masks = np.broadcast_to(np.where(missing, np.uint8(255), np.uint8(0))[:, None], images.shape)
        rows = [np.where(missing[:, None], np.uint8(128), images), masks, restored.images]
    name = f"{record['model']['name']}/{record['model']['version']}"
    text = {"Model": name, "GeneratorSHA256": file_sha256(checkpoint), "Seed": str(seed)}
    changed = [
        ChangedPicture(
            picture.name,
            restored.images[index],
            text | {"Class": gan.classes[restored.labels[index]]},
            {
                "class": gan.classes[restored.labels[index]],
                "misfit_before": float(restored.before[index]),
                "misfit": float(restored.after[index]),
                "missing_pixels": 0 if missing is None else int(missing[index].sum()),
            },
        )
        for index, picture in enumerate(pictures)
    ]
    about = {"model": name, "seed": seed, "size": size, "noise": restored.noise, "told_class": label}
    return write_changed(out, changed, rows, about)


def _reference(model: str) -> str:
    """What the registry knows a generator by.

    Raises:
        InputError: it is a classifier.
    """
    from gtl_core.registry.register import generator_name

    name = re.split("[@/]", model)[0]
    if name.startswith("gtl-") and name.endswith("-classifier"):
        generator = name.removesuffix("classifier") + "generator"
        raise InputError(f"{name} tells classes apart and draws nothing; its generator is {generator}")
    if name.startswith("gtl-") and name.endswith("-generator"):
        return model
    return generator_name(name) + model[len(name) :]


def _require_channels(pictures: Sequence[PictureFile], gan: GanCheckpoint) -> None:
    """Refuses pictures in colour for a generator of grey ones, and the other way round."""
    kinds = {1: "grey", 3: "colour"}
    for picture in pictures:
        if picture.channels != gan.spec.channels:
            raise InputError(
                f"{picture.name} is {kinds[picture.channels]} and the model draws {kinds[gan.spec.channels]} pictures; "
                f"save it as {kinds[gan.spec.channels]}, or name another model"
            )


def _labels(gan: GanCheckpoint, label: str | None) -> list[int]:
    """The labels that a picture may have.

    Raises:
        InputError: the generator has no class of that name.
    """
    if label is None:
        return list(range(len(gan.classes)))
    if label not in gan.classes:
        near = difflib.get_close_matches(label, gan.classes, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it draws {', '.join(gan.classes)}"
        raise InputError(f"--label {label}: the model has no such class; {hint}")
    return [gan.classes.index(label)]
