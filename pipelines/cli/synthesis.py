"""`gtl export`: the synthetic images of a registered generator, as PNGs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import say


def export(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment that was run.", metavar="EXPERIMENT")],
    out: Annotated[Path, typer.Argument(help="Folder to make.", metavar="OUT")],
) -> None:
    """Write the synthetic images of the champion generator as class folders of PNGs, each marked as synthetic."""
    from gtl_core.homes import Homes
    from gtl_core.registry.lineage import read_lineage, synthetic_folder
    from gtl_core.registry.register import generator_name
    from gtl_core.synthesis.export import export_pngs

    homes = Homes.locate()
    record = read_lineage(homes, generator_name(experiment))
    model = f"{record['model']['name']}/{record['model']['version']}"
    images = export_pngs(synthetic_folder(homes, record), out, {"Model": model})
    say(f"{images} synthetic images of {model} in {out}")
