"""`gtl imagine`: images of a text, by a generator that was told its classes by descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json


def imagine(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment that was run.", metavar="EXPERIMENT")],
    text: Annotated[str, typer.Argument(help='What to draw, such as "a thick red seven".', metavar="TEXT")],
    count: Annotated[int, typer.Option("--count", min=1, max=1024, help="How many images.")] = 16,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="PNG to make; by default a-thick-red-seven.png, like the text."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the images: the same seed, the same sheet.")] = 0,
    source: Annotated[
        bool,
        typer.Option("--source", help="Draw with the source GAN, which saw more images and classes, in its own look."),
    ] = False,
    json_: Json = False,
) -> None:
    """Draw images of a text, also of a class that the generator never saw.

    The experiment file says what its classes look like, and that GANs learn
    them by that:

    - gan: {condition: text}
    - descriptions: {7r: a red seven, 7g: a green seven, 4r: a red four}

    Then "a green four" can be drawn too, because green and four are in other
    texts. A word that no description has says nothing to the generator, and
    you are told. The order of words does not count.

    The champion generator of the target draws, or with --source the source
    GAN. The PNG is a sheet of all images, and says in itself that it is
    synthetic, of which text, and by which generator.

    For example:

    - gtl imagine inks "a thick red seven"
    - gtl imagine inks "a thin green four" --count 64 --source --out fours.png
    """
    from gtl_core.homes import Homes
    from pipelines.imagining import imagine_text

    made = imagine_text(Homes.locate(), experiment, text, count=count, seed=seed, source=source, out=out)
    if json_:
        show_json(made)
        return
    say(f"{made['count']} images of {text!r} by {made['model']} in {made['file']}")
    if made["unknown_words"]:
        note(f"no description has the words {', '.join(made['unknown_words'])}, so the generator was not taught them")
