"""`gtl restore`: pictures with missing parts or with noise, completed by a registered generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json

_ESTIMATED = "auto"


def restore(
    images: Annotated[list[Path], typer.Argument(help="PNG and JPEG files, or folders of them.", metavar="IMAGE...")],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Generator that draws: gtl-NAME-generator@champion, /VERSION, or the name of an experiment, for its.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to make.")],
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="MASK",
            help="What is missing, in white: one picture for all, of their size, or a folder with one of each name.",
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            "--noise",
            metavar="SIGMA",
            help=f"Take noise away instead, of this standard deviation as a share of the range, or '{_ESTIMATED}'.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="CLASS", help="Class of all pictures; without it all classes are tried."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the starts.")] = 0,
    json_: Json = False,
) -> None:
    """Complete pictures with missing parts, or take noise away.

    A registered generator that knows such pictures draws what is missing.
    For each picture the latent and the class are looked for that give its
    known pixels, from several starts; then the generator learns a little more.
    64 pictures go through in one optimisation: a minute or two on one core
    at 28 pixels. Known pixels stay; pictures take the model's size.

    FOLDER gets each picture as a PNG that says that it was changed and by
    which model, sheet.png (before, mask, after) and report.json. If the
    command fails, nothing is there.

    What the report says of each picture:

    - class: what it was drawn as.
    - misfit: how far the drawing is from the known pixels, root mean square,
      as a share of the range. A big one says that the model does not know
      such pictures, and that what it filled in is worth little.
    - misfit_before: that of the nearest picture drawn at random.

    For example:

    - gtl restore scan.png --mask hole.png --model demo --out restored
    - gtl restore scans/ --mask masks/ --model demo --label 7 --out restored
    - gtl restore scans/ --noise auto --model gtl-demo-generator@champion --out clean
    """
    from gtl_core.errors import InputError
    from gtl_core.homes import Homes
    from pipelines.cli.progress import terminal_progress
    from pipelines.restoring import restore_pictures

    if (mask is None) == (noise is None):
        raise InputError("say what to mend: either --mask MASK for missing parts, or --noise SIGMA for noise")
    with terminal_progress() as on_progress:
        report = restore_pictures(
            Homes.locate(),
            images,
            model=model,
            mask=mask,
            noise=None if noise in (None, _ESTIMATED) else _sigma(noise),
            label=label,
            seed=seed,
            out=out,
            on_progress=on_progress,
        )
    if json_:
        show_json(report)
        return
    misfits = sorted(picture["misfit"] for picture in report["pictures"])
    say(f"{len(misfits)} pictures restored by {report['model']} in {out}; sheet.png shows before and after")
    if noise is not None:
        say(f"noise that was taken away: {report['noise']:.3f} of the range")
    say(f"misfit on the known pixels: median {misfits[len(misfits) // 2]:.3f} of the range, at most {misfits[-1]:.3f}")
    note("gtl restore --help says what the misfit tells; report.json has it for each picture")


def _sigma(noise: str) -> float:
    """The standard deviation that was given."""
    from gtl_core.errors import InputError

    try:
        sigma = float(noise)
    except ValueError:
        sigma = -1.0
    if not 0.0 < sigma < 1.0:
        raise InputError(f"--noise {noise}: expected a number between 0 and 1, or {_ESTIMATED}")
    return sigma
