"""`gtl stylise`: pictures that keep what they show and take on the look of others."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, note, say, show_facts, show_json


class Method(StrEnum):
    """How the look is taken over."""

    adain = "adain"
    translate = "translate"


def stylise(
    images: Annotated[str, typer.Argument(help="What is shown: a folder of PNG and JPEG files, or an image set.")],
    like: Annotated[str, typer.Option("--like", metavar="FOLDER", help="How it shall look: a folder, or a set.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to make.")],
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            help="adain: each picture takes the look of one of --like. translate: all take the look that these share.",
        ),
    ] = Method.adain,
    strength: Annotated[
        float | None,
        typer.Option("--strength", help="How far adain goes, from 0 (not at all) to 1 (all the way, the default)."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", help="Height and width to work at; by default the pictures' own, up to 64."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that is random.")] = 0,
    json_: Json = False,
) -> None:
    """Give pictures the look of others.

    No labels are needed, and no network from elsewhere: one learns from both
    folders first, in one to five minutes on one core at 28 pixels. It is kept,
    so that another strength is instant. Ten pictures a side give something;
    hundreds are better.

    FOLDER gets each picture as a PNG that says that it was changed, sheet.png
    (before, whose look, after) and report.json. If the command fails, nothing
    is there.

    What the numbers say, by fixed filters that have learned from no picture:

    - content_kept: how much of the edges stands where it stood; 1 for all, 0
      for no more than a picture has in common with another one.
    - style_before, style_after: distance of the looks from those of --like;
      style_floor is that of one half of --like from the other.
    - style_moved: the share of the way, 1 for all of it.

    For example:

    - gtl stylise scans/ --like paintings/ --out painted --size 64
    - gtl stylise scans/ --like paintings/ --strength 0.5 --out half
    - gtl stylise typeset-digits --like handwritten-digits --method translate --out new
    """
    from gtl_core.homes import Homes
    from pipelines.cli.progress import terminal_progress
    from pipelines.styling import stylise_pictures

    with terminal_progress() as on_progress:
        report = stylise_pictures(
            Homes.locate(),
            images,
            like,
            method=method.value,
            strength=strength,
            size=size,
            seed=seed,
            out=out,
            on_progress=on_progress,
        )
    if json_:
        show_json(report)
        return
    say(f"{len(report['pictures'])} pictures of {images} with the look of {like} in {out}; sheet.png shows them")
    shown = ("content_kept", "style_before", "style_after", "style_floor", "style_moved")
    show_facts({name: report[name] for name in shown})
    note("gtl stylise --help says what the numbers mean")
