"""`gtl doctor`: is everything in place?"""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.output import Json, note, show_json, show_table


def doctor(
    mend: Annotated[
        bool,
        typer.Option(
            "--mend",
            help="Mend MLflow's artifact paths, where the project was moved; remove what killed imports left in data/.",
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Check versions, homes, disk, git, stores, data and device; exit 1 if something would stop a run."""
    from dataclasses import asdict

    from gtl_core.homes import Homes
    from pipelines.checkup import check_up

    checks = list(check_up(Homes.locate(), mend=mend))
    if json_:
        show_json([asdict(check) for check in checks])
    else:
        show_table(["check", "state", "found"], [[check.name, check.state, check.message] for check in checks])
    failed = sum(check.state == "failed" for check in checks)
    if failed:
        note(f"gtl: {failed} of {len(checks)} checks failed")
        raise typer.Exit(1)
