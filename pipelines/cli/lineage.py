"""`gtl lineage`: what a model is made of, and what was made of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.output import Json, note, say, show_facts, show_json, show_table

if TYPE_CHECKING:
    from gtl_core.registry.descent import Descendant, Descent


def lineage(
    model: Annotated[
        str | None,
        typer.Argument(help="NAME@ALIAS, NAME/VERSION, or NAME for its champion.", metavar="MODEL[@ALIAS|/VERSION]"),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Hash every file again; exit 3 if one differs.")] = False,
    graph: Annotated[
        Path | None,
        typer.Option("--graph", metavar="FILE.svg", help="Also draw it, from the model down to the images."),
    ] = None,
    down: Annotated[
        str | None,
        typer.Option(
            "--down", metavar="DATASET", help="Instead: every model that has ever seen any version of this set."
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="SHA256",
            help="With --down: only models that have seen this image; its hash stands in the set's manifest.parquet "
            "beside its source_file. May be repeated.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group", metavar="NAME", help="With --down: only models that have seen this group, as a patient."
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Show what a model is made of: runs, commit, data, checkpoints, synthetic images, verdict, environment.

    With --down the other way: which models must go if a set, a patient's images or one image are withdrawn?
    """
    from gtl_core.errors import InputError

    if (model is None) == (down is None):
        raise InputError(
            "name a model to see what it is made of, or --down DATASET for what was made of it; see gtl lineage --help"
        )
    if down is not None:
        if verify or graph:
            raise InputError("--verify and --graph are about one model; leave --down out and name it")
        _downwards(down, image or [], group, json_)
    elif image or group is not None:
        raise InputError("--image and --group narrow --down DATASET; name the set that they are in")
    else:
        assert model is not None  # noqa: S101 - one of the two is there
        _upwards(model, verify, graph, json_)


def _upwards(model: str, verify: bool, graph: Path | None, json_: bool) -> None:
    """The chain from the model version down to the pixels."""
    from gtl_core.errors import DataFailure, InputError
    from gtl_core.files import write_text
    from gtl_core.homes import Homes
    from gtl_core.registry.lineage import read_lineage, verify_lineage

    if graph and graph.is_dir():
        raise InputError(f"--graph {graph} is a folder; name the file to draw, such as {graph / 'lineage.svg'}")
    homes = Homes.locate()
    record = read_lineage(homes, model)
    checks = verify_lineage(homes, f"{record['model']['name']}/{record['model']['version']}") if verify else []
    if graph:
        from gtl_core.registry.lineage_picture import lineage_svg

        write_text(graph, lineage_svg(record))
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
    if graph:
        note(f"drawn: {graph}")
    differing = [check for check in checks if check.state != "same"]
    if differing:
        raise DataFailure(
            f"{len(differing)} of {len(checks)} hashes of {model} are not as recorded, or their files gone"
        )


def _show(record: Mapping[str, Any]) -> None:
    """Prints a record."""
    model, environment, synthetic = record["model"], record["environment"], record["synthetic"]
    show_facts(
        {
            "model": f"{model['name']} version {model['version']}",
            "registered": model["created"],
            "aliases": model["aliases"],
            **({"collected": f"{model['collected']}; its weights are gone"} if model["collected"] else {}),
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
    if "seen" in record:
        from gtl_core.registry.seen import ROLES

        say()
        seen = [[row["dataset"], row["role"], row["images"], ROLES[row["role"]]] for row in record["seen"]["images"]]
        show_table(["data set", "seen as", "images", "which means"], seen)
    say()
    rows = [[checkpoint["stage"], checkpoint["sha256"]] for checkpoint in record["checkpoints"]]
    show_table(["checkpoint", "sha256"], rows)


def _downwards(dataset: str, images: Sequence[str], group: str | None, json_: bool) -> None:
    """Every model version that has seen a set, or some images of it."""
    from dataclasses import asdict

    from gtl_core.homes import Homes
    from gtl_core.registry.descent import descend

    found = descend(Homes.locate(), dataset, images=images, group=group)
    if json_:
        versions = [{**asdict(version), "learned": version.learned} for version in found.versions]
        asked = {"dataset": dataset, "images": images, "group": group}
        show_json({**asked, **asdict(found), "versions": versions})
        return
    what = f"{'the images' if images else f'the group {group}'} of {dataset}" if images or group else dataset
    show_table(
        ["model", "version", "now", "version of the set", "learned from it", "seen as"],
        [_row(version) for version in found.versions],
        empty=f"no registered model has seen {what}",
    )
    for line in _conclusions(found, what):
        say(line)


def _row(version: Descendant) -> list[Any]:
    """One model version."""
    learned = {True: "yes", False: "no", None: "not on record"}[version.learned]
    seen = ", ".join(f"{role} {count}" for role, count in version.roles.items())
    held = {"images": seen, "set": "it is in that version", "set as a whole": "the set as a whole"}[version.known]
    return [version.model, version.version, version.aliases, version.dataset_versions, learned, held]


def _conclusions(found: Descent, what: str) -> list[str]:
    """What follows, in sentences."""
    lines = []
    counts = {state: [v for v in found.versions if v.learned is state] for state in (True, None, False)}
    if counts[True]:
        lines.append(f"{len(counts[True])} learned from {what} and must go if it is withdrawn.")
    if counts[None]:
        lines.append(
            f"Of {len(counts[None])} it is not on record which images they learned from: count them among these."
        )
    if counts[False]:
        lines.append(
            f"{len(counts[False])} did not learn from it; they were chosen, judged or compared on it, so their scores "
            "rest on it."
        )
    if found.elsewhere:
        lines.append(f"Such images stand in other sets as well, so ask about these too: {', '.join(found.elsewhere)}.")
    if found.unknown:
        lines.append(f"Nothing is on record about: {', '.join(found.unknown)}.")
    if found.present == 0:
        lines.append("In the set as it is now there is none of it.")
    return ["", *lines] if lines else []
