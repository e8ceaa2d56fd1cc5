"""`gtl data gap`: which of several sets is the best source for a target, before anything is trained on the target."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table


def gap(
    target: Annotated[str, typer.Argument(help="The small set that counts; gtl data list shows the sets.")],
    sources: Annotated[list[str], typer.Argument(help="One or more labelled sets that could be its source.")],
    labelled_per_class: Annotated[
        int,
        typer.Option(min=0, help="Labelled target images in each class that may be looked at; 0 leaves labels out."),
    ] = 10,
    size: Annotated[
        int | None,
        typer.Option(min=16, max=64, help="Height and width to compare at; by default the target's own, 16 to 32."),
    ] = None,
    json_: Json = False,
) -> None:
    """Rank candidate sources for a target by how near they are to it.

    Trains a short classifier on each source and passes target images through it.
    Nothing is trained on the target, and its test part stays closed.
    A second call with the same sets is instant.

    What the columns say:

    - light: the gap in thirds, green to red. It describes and never decides.
    - gap: 0 is like the target itself, 1 nothing in common; the mean of
      looks and doubt.
    - looks: how far apart the images lie (MMD), 0 to 1.
    - doubt: share of the doubt about the target's labels that a classifier of
      the source leaves (LEEP), 0 to 1.
    - LEEP, LogME, H-score: how well the source tells the target's classes
      apart; higher is better.
    - A-distance: how surely an image is told to be of one set or the other,
      0 to 2.
    - same class: how often the nearest source class has the same name.

    For example:

    - gtl data gap handwritten-digits typeset-digits
    - gtl data gap usps mnist typeset-digits --labelled-per-class 5 --json
    """
    from gtl_core.homes import Homes
    from pipelines.candidates import rank_sources
    from pipelines.cli.progress import terminal_progress

    with terminal_progress() as on_progress:
        ranked = rank_sources(
            Homes.locate(),
            target,
            sources,
            labelled_per_class=labelled_per_class,
            size=size,
            on_progress=on_progress,
        )
    if json_:
        show_json({"target": target, "labelled_per_class": labelled_per_class, "sources": ranked})
        return
    rows = []
    for row in ranked:
        values = {measure["name"]: measure["value"] for measure in row["measures"]}
        rows.append(
            [row["source"], row["light"], row["gap"], row["parts"]["looks"], row["parts"]["labels"]]
            + [values.get(name) for name in ("leep", "logme", "h_score", "a_distance", "nearest_class_agrees")]
        )
    show_table(
        ["source", "light", "gap", "looks", "doubt", "LEEP", "LogME", "H-score", "A-distance", "same class"],
        rows,
        title=f"sources for {target}, the nearest first",
    )
    say()
    for row in ranked:
        say(f"{row['source']}: {row['sentence']}")
    note("gtl data gap --help says what the columns mean; --json has intervals, p values and the nearest classes")
