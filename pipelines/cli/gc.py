"""`gtl gc`: makes room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table

if TYPE_CHECKING:
    from pipelines.retention import Collected


def gc(
    keep: Annotated[
        int, typer.Option("--keep", min=1, metavar="N", help="How many of the newest runs of each experiment to keep.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
    json_: Json = False,
) -> None:
    """Remove what no model and no history needs, and never what one does.

    Kept are each experiment as its file is today, its newest N runs, and every version that holds an alias, was ever
    champion or waits for approval, with every file that its lineage names. Of the others go stages, weights, pictures
    and logs; the versions themselves stay on record, and gtl history and gtl lineage go on to tell of them. It runs
    beside experiments: one that is being run is left alone.
    """
    from gtl_core.homes import Homes
    from pipelines.retention import collect_garbage

    done = collect_garbage(Homes.locate(), keep, dry_run=dry_run)
    if json_:
        show_json(
            {
                "keep": keep,
                "dry_run": dry_run,
                "bytes": done.bytes,
                "removed": [
                    {"experiment": name or None, **vars(freed)}
                    for name, every in done.removed.items()
                    for freed in every
                ],
                "kept": [
                    {"model": version.model, "version": version.number, "why": version.why} for version in done.kept
                ],
                "left": [{"experiment": name, "why": why} for name, why in done.left.items()],
            }
        )
    else:
        _show(done, dry_run)


def _show(done: Collected, dry_run: bool) -> None:
    """What went, a line an experiment and kind; what was kept, a line a reason; what was left alone."""
    rows = []
    for name, every in done.removed.items():
        for kind in dict.fromkeys(freed.kind for freed in every):
            sizes = [freed.bytes for freed in every if freed.kind == kind]
            rows.append([name or None, kind, len(sizes), _megabytes(sum(sizes))])
    show_table(["experiment", "what", "how many", "MB"], rows, empty="nothing to remove")
    say()
    say(f"{'would free' if dry_run else 'freed'} {_megabytes(done.bytes)} MB")
    reasons = [version.why for version in done.kept]
    if reasons:
        counts = ", ".join(f"{reasons.count(why)} ({why})" for why in dict.fromkeys(reasons))
        say(f"kept {len(reasons)} versions: {counts}")
    for name, why in done.left.items():
        note(f"left {name} alone: {why}")


def _megabytes(size: int) -> float:
    return round(size / 1e6, 3)
