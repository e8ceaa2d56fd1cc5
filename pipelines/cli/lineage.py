"""`gtl lineage`: what a model is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pipelines.cli.output import Json, note, say, show_facts, show_json, show_table


def lineage(
    model: Annotated[
        str,
        typer.Argument(help="NAME@ALIAS, NAME/VERSION, or NAME for its champion.", metavar="MODEL[@ALIAS|/VERSION]"),
    ],
    verify: Annotated[bool, typer.Option("--verify", help="Hash every file again; exit 1 if one differs.")] = False,
    json_: Json = False,
) -> None:
    """Show what a model is made of: runs, commit, data, checkpoints, synthetic images, verdict, environment."""
    from gtl_core.homes import Homes
    from gtl_core.registry.lineage import read_lineage, verify_lineage

    homes = Homes.locate()
    record = read_lineage(homes, model)
    checks = verify_lineage(homes, f"{record['model']['name']}/{record['model']['version']}") if verify else []
    if json_:
        rows = [
            {"what": check.what, "recorded": check.recorded, "found": check.found, "state": check.state}
            for check in checks
        ]
        show_json(record | {"checks": rows} if verify else record)
    else:
        _show(record)
        if verify:
            say()
            show_table(["file", "state", "recorded"], [[check.what, check.state, check.recorded] for check in checks])
    differing = [check for check in checks if check.state != "same"]
    if differing:
        note(f"gtl: {len(differing)} of {len(checks)} hashes differ from the record")
        raise typer.Exit(1)


def _show(record: Mapping[str, Any]) -> None:
    """The chain from the model version down to the pixels."""
    model, environment, synthetic = record["model"], record["environment"], record["synthetic"]
    show_facts(
        {
            "model": f"{model['name']} version {model['version']}",
            "registered": model["created"],
            "aliases": model["aliases"],
            "verdict": record["verdict"].get("label"),
            "MLflow run": record["mlflow_run_id"],
            "Dagster run": record["dagster_run_id"],
            "git commit": record["git_commit"],
            "data version": record["data_version"],
            "synthetic images": f"{synthetic['images']}, manifest {synthetic['manifest_sha256']}",
            "environment": f"Python {environment['python']}, torch {environment['torch']}",
            "lock": environment["lock_sha256"],
        }
    )
    say()
    columns = ["name", "role", "version", "images"]
    show_table(["data set", *columns[1:]], [[dataset[column] for column in columns] for dataset in record["datasets"]])
    say()
    rows = [[checkpoint["stage"], checkpoint["sha256"]] for checkpoint in record["checkpoints"]]
    show_table(["checkpoint", "sha256"], rows)
