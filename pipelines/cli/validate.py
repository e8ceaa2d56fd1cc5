"""`gtl data validate`: are the data fit to train on, and which rows are not?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, note, say, show_json, show_table

if TYPE_CHECKING:
    from gtl_core.validation.report import ValidationReport


def validate(
    name: Annotated[str, typer.Argument(help="The set to validate.", metavar="NAME")],
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="Also check NAME as the source of this target: shared images."),
    ] = None,
    drop_to: Annotated[
        str | None,
        typer.Option(
            "--drop-to",
            metavar="NEWNAME",
            help="Write a copy without the failing images, and validate that; a leak stays in the test part only.",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Find blank images, duplicates, leaks into the test part, and classes without images.

    Exits with 3 where a critical check fails. The failing images are listed, by source file, in a quarantine file.
    """
    from gtl_core.data.catalog import find, require_name
    from gtl_core.errors import DataFailure, InputError
    from gtl_core.homes import Homes
    from gtl_core.validation.cleaning import drop_failing
    from gtl_core.validation.suite import validate_experiment, validate_set

    if target == name:
        raise InputError(f"--target: {name} cannot be its own source; name another set")
    homes = Homes.locate()
    if drop_to is not None:
        require_name(drop_to)
    if drop_to is not None and (homes.data / drop_to).exists():
        raise InputError(f"--drop-to: {homes.data / drop_to} is there already; choose another name for the copy")
    images = find(homes.data, name)
    other = find(homes.data, target) if target else None
    report = validate_experiment(images, other) if other else validate_set(images)
    if drop_to is not None:
        copy = drop_failing(images, report, homes.data / drop_to)
        note(f"{drop_to}: {len(copy)} of the {len(images)} images of {name}; what follows is its validation")
        images = copy
        report = validate_experiment(images, other) if other else validate_set(images)
    folder = homes.artifacts / "validation" / images.name
    report.save(folder)
    if json_:
        show_json({"set": images.name, "target": target, **report.to_json(), "quarantine": folder / "quarantine.csv"})
    else:
        _show(report, images.name, folder)
    if not report.passed:
        failed = ", ".join(finding.check for finding in report.blocking)
        raise DataFailure(
            f"{images.name} failed critical checks: {failed}; mend the images listed in {folder / 'quarantine.csv'}, "
            "or leave them out with --drop-to NEWNAME"
        )


def _show(report: ValidationReport, name: str, folder: Path) -> None:
    """Prints a row a check, and where the failing rows are listed."""
    rows = [
        [finding.check, "passed" if finding.passed else finding.severity, len(finding.failing), finding.summary]
        for finding in report.findings
    ]
    show_table(["check", "result", "failing", "what it says"], rows, title=f"Validation of {name}")
    if len(report.quarantine):
        say(f"failing rows: {folder / 'quarantine.csv'}")
