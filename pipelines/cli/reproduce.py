"""`gtl reproduce`: does a registered model come out again?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table

if TYPE_CHECKING:
    from pipelines.reproduction import Reproduction


def reproduce(
    model: Annotated[
        str,
        typer.Argument(help="NAME/VERSION, NAME@ALIAS, or NAME for its champion.", metavar="MODEL[/VERSION|@ALIAS]"),
    ],
    force: Annotated[
        bool,
        typer.Option("--force", help="Go on where the code had changes that are in no commit; they are left out."),
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep everything that the run makes in this new folder."),
    ] = None,
    json_: Json = False,
) -> None:
    """Make a registered model again from its record, and compare: the same weights, or scores within the intervals?

    Takes as long as the experiment. The commit's code runs in a worktree of its own, on the recorded data and settings,
    with homes of its own: your work, data and models stay as they are. Exits with 0 where the weights are the same or
    every arm's score lies in its recorded interval, and with 3 where neither holds.
    """
    from gtl_core.errors import DataFailure
    from gtl_core.homes import Homes
    from pipelines.reproduction import reproduce as make_again

    found = make_again(Homes.locate(), model, force=force, keep=keep)
    if json_:
        show_json(found.to_json())
    else:
        _show(found)
    if keep:
        note(f"kept: {keep}")
    if found.outcome == "different":
        outside = [arm.arm for arm in found.arms if not arm.within]
        why = f"outside their intervals: {', '.join(outside)}" if outside else "no scores are on record to compare"
        raise DataFailure(f"{found.model} did not come out again: other weights, and {why}")


def _show(found: Reproduction) -> None:
    """What is not as recorded, what was compared, and the answer."""
    for sentence in found.notes:
        say(f"not as recorded: {sentence}")
    show_table(
        ["made", "same", "recorded", "now"],
        [[weights.stage, weights.same, weights.recorded[:16], (weights.found or "")[:16]] for weights in found.weights],
    )
    if found.arms:
        say()
        show_table(
            ["arm", "recorded %", "low", "high", "now %", "within"],
            [
                [
                    arm.arm,
                    *(100 * value for value in (arm.recorded, arm.low, arm.high)),
                    _percent(arm.found),
                    arm.within,
                ]
                for arm in found.arms
            ],
        )
    say()
    say(f"{found.model}: {found.outcome} ({found.seconds:.0f} s, commit {found.commit[:12]})")


def _percent(score: float | None) -> float | None:
    return None if score is None else 100 * score
