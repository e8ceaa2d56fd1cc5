"""`gtl export`: the synthetic images of a registered generator, as a signed folder to give away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import note, say


def export(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment that was run.", metavar="EXPERIMENT")],
    out: Annotated[Path, typer.Argument(help="Folder to make.", metavar="OUT")],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ed25519 private key (PEM) to sign with; by default your own, which is made on first use "
            "(GTL_KEY names another place for it).",
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(metavar="SPDX", help="Licence that you give the images under, such as CC-BY-4.0, for the cards."),
    ] = None,
) -> None:
    """Write the synthetic images of the champion generator: PNGs that say what they are, cards, a signed manifest.

    Where the target was a set of sounds, each picture has its sound beside it, as a WAV file (by Griffin–Lim).
    """
    from gtl_core.homes import Homes
    from gtl_core.registry.lineage import read_lineage, synthetic_folder
    from gtl_core.registry.register import generator_name
    from gtl_core.synthesis.export import export_images
    from gtl_core.synthesis.signing import signing_key
    from pipelines.cli.progress import terminal_progress

    homes = Homes.locate()
    record = read_lineage(homes, generator_name(experiment))
    with terminal_progress() as on_progress:
        exported = export_images(
            synthetic_folder(homes, record), out, record, signing_key(key), licence, on_progress=on_progress
        )
    model = f"{record['model']['name']}/{record['model']['version']}"
    left_out = f"; {exported.left_out} that the filter had dropped stay behind" if exported.left_out else ""
    sounds = ", and their sounds as CLASS/NUMBER.wav," if exported.sounds else ""
    say(f"{exported.images} synthetic images of {model}{sounds} in {out}{left_out}")
    say(f"signed with the key {exported.key}")
    note(f"gtl verify {out} checks it; give {out / 'public_key.pem'} to whoever shall know that it is yours")
