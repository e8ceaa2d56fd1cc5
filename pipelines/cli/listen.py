"""`gtl data listen`: what is left to hear of sounds that have become pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json


def listen(
    name: Annotated[str, typer.Argument(help="Name of a set of sounds; gtl data list shows the sets.")],
    out: Annotated[Path, typer.Argument(help="Folder to make.", metavar="OUT")],
    per_class: Annotated[int, typer.Option(min=1, help="Sounds of each class: the first ones.")] = 5,
    json_: Json = False,
) -> None:
    """Turn pictures of sounds back into WAV files: CLASS/NUMBER.wav, by Griffin–Lim.

    A network sees the pictures alone. If you cannot tell the classes by ear
    here, import the sounds with another --size or --seconds before you train.
    gtl export writes the sounds that a generator has made.
    """
    from gtl_core.data.catalog import find
    from gtl_core.data.mel import scale_of
    from gtl_core.errors import InputError
    from gtl_core.homes import Homes
    from gtl_core.synthesis.sounds import write_sounds
    from pipelines.cli.progress import terminal_progress

    images = find(Homes.locate().data, name)
    scale = scale_of(images.card, name)
    if scale is None:
        raise InputError(f"{name} holds no pictures of sounds; gtl data import makes them of WAV files")
    with terminal_progress() as on_progress:
        files = write_sounds(images, scale, out, per_class, on_progress)
    if json_:
        show_json({"folder": out, "sounds": len(files), "files": files})
        return
    say(f"{len(files)} sounds of {name} in {out}, {scale.seconds:.2f} s each at {scale.rate} Hz")
    note(f"their files before: {next(iter(files.values()))} and so on; --json lists which is which")
