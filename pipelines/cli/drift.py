"""`gtl data drift`: do new images still look like those that the model was made for?"""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table


def drift(
    new: Annotated[
        str,
        typer.Argument(
            help="The new images: a set, or the path of a folder, zip archive or other file of images, or of WAV "
            "files where the set is one of sounds.",
            metavar="NEW",
        ),
    ],
    against: Annotated[
        str, typer.Option("--against", metavar="NAME", help="The set to compare with; gtl data list shows the sets.")
    ],
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            metavar="EXPERIMENT",
            help="By whose model and thresholds; needed where several experiments have that target.",
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    fail: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit with 3 where the images have drifted, for scripts.")
    ] = False,
    json_: Json = False,
) -> None:
    """Compare new images with the training part of a set; its test part stays closed.

    50 images or more are needed on each side, and no labels.
    Each difference has a distance, 0 to 1, and a p-value.
    It counts where it is significant and big, as the experiment's file says under drift (alpha and effect).

    What is compared:

    - brightness, contrast, sharpness, entropy: of the images themselves.
    - probability of each class: what the model says of the images. The model is
      the champion of the experiment, or else its newest source classifier.
    - all features at once: what the model sees in them.

    Drift says that images look different, not that the model is wrong on them.
    A window of an incoming folder (drift.incoming) is checked in the same way, by Dagster's sensor drift.

    For example:

    - gtl data drift path/to/new/images --against scans-new --open
    - gtl data drift march.zip --against scans-new --experiment scans --json --fail-on-drift
    """
    from pathlib import Path

    from gtl_core.errors import DataFailure
    from gtl_core.homes import Homes
    from pipelines.cli.browser import open_pages
    from pipelines.drift import check_by_hand

    check = check_by_hand(Homes.locate(), new, against, experiment)
    if json_:
        show_json(check)
    else:
        rows = [
            [test["title"], test["reference"], test["now"], test["effect"], _p(test["p"]), _word(test["drifted"])]
            for test in sorted(check["tests"], key=lambda test: -test["effect"])
        ]
        show_table(
            ["what", "before", "now", "distance", "p", ""],
            rows,
            title=f"{check['images']} images of {new} against {check['reference']['images']} of {against}",
        )
        say()
        say(check["sentence"])
        seen = check["classifier"]
        if seen:
            say(f"seen by: {seen['what']}, weights {seen['sha256'][:12]}")
        for reason in check["missing"].values():
            say(reason)
        if check["left_out"]["files"]:
            say(f"left aside: {check['left_out']['files']} files that are no images, or damaged ones")
        say(f"page: {check['page']}")
    if open_ and not open_pages([Path(check["page"]).resolve().as_uri()]):
        note("there is no screen to open it on; open the file in a browser")
    if fail and check["drifted"]:
        raise DataFailure(f"{new} has drifted from {against}: {check['page']} shows how")


def _p(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


def _word(drifted: bool) -> str:
    return "drifted" if drifted else ""
