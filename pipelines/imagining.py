"""Images of a text, from the generator of an experiment to a contact sheet that says what it is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.homes import Homes

_LONGEST = 100
"""Bytes of the name of a sheet that is called like its text."""


def imagine_text(
    homes: Homes, experiment: str, text: str, *, count: int, seed: int, source: bool, out: Path | None
) -> dict[str, Any]:
    """Draws images of a text and writes them on one sheet.

    Args:
        homes: where the generator is.
        experiment: name of an experiment.
        text: what shall be drawn.
        count: how many images.
        seed: of the latents.
        source: whether the source GAN draws, and not the champion generator of the target.
        out: PNG file to make; by default one in this folder that is called like the text.

    Returns:
        What was drawn by what: `text, model, generator_sha256, seed, count, file`, and `unknown_words`, those that no
        description has that the generator learned from.

    Raises:
        InputError: there is no such experiment or generator, it was not told its classes by texts, the text has no
            word in it, or `out` is there already or no PNG file.
    """
    from gtl_core.config.descriptions import words_of
    from gtl_core.data.pictures import contact_sheet, save_png
    from gtl_core.synthesis.imagining import imagine, unknown_words
    from gtl_core.synthesis.picture_text import picture_text
    from gtl_core.training.checkpoint import GanCheckpoint

    out = out or Path(f"{_short('-'.join(words_of(text))) or 'nothing'}.png")
    if out.suffix.lower() != ".png":
        raise InputError(f"--out {out}: a sheet is a PNG file; name one, such as {out.with_suffix('.png')}")
    if out.exists():
        raise InputError(f"{out} is there already; name another file with --out")
    model, checkpoint = _source(homes, experiment) if source else _champion(homes, experiment)
    gan = GanCheckpoint.load(checkpoint)
    images = imagine(gan, text, count, seed)
    about = {"generator_sha256": file_sha256(checkpoint), "class": text, "seed": seed}
    sheet = contact_sheet(images, columns=math.ceil(math.sqrt(count)))
    save_png(out, sheet, picture_text(about, model))
    return {
        "text": text,
        "model": model,
        "generator_sha256": about["generator_sha256"],
        "seed": seed,
        "count": count,
        "file": out,
        "unknown_words": unknown_words(gan, text),
    }


def _short(name: str) -> str:
    """As much of a name as a file may be called: systems count bytes, and many letters have several."""
    return name.encode()[:_LONGEST].decode(errors="ignore")


def _champion(homes: Homes, experiment: str) -> tuple[str, Path]:
    """Name and checkpoint of the champion generator, or of the newest version where there is no champion."""
    from gtl_core.registry.lineage import generator_checkpoint, read_lineage
    from gtl_core.registry.register import generator_name

    record = read_lineage(homes, generator_name(experiment))
    return f"{record['model']['name']}/{record['model']['version']}", generator_checkpoint(homes, record)


def _source(homes: Homes, experiment: str) -> tuple[str, Path]:
    """Name and checkpoint of the source GAN as the experiment file asks for it today."""
    from pipelines.preflight import named_experiment
    from pipelines.stages import Chain

    chain = Chain(named_experiment(experiment, homes), homes)
    return f"{chain.experiment.name}/source_gan", chain.require("source_gan").path / "gan.safetensors"
