"""What production costs beside the training: the way around a run, and looking into a store that has grown for years.

    python -m benchmarks.production [--json]

A small experiment runs twice through the real command, the second time on new data; what is neither training nor
evaluation is the overhead. Then its second run is multiplied to 500 versions and 5,000 runs, with stages, packaged
models, lineage records and a history of their own, and the real commands are timed on that store.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import tempfile
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.small_project import SmallProject
from gtl_core.files import file_sha256, read_json, write_json
from gtl_core.registry.history import HEAD, PREFIX, Entry, read_entries
from gtl_core.registry.lineage import LINEAGE_FILE, LINEAGE_TAG

CLASSIFIER, GENERATOR = "gtl-small-classifier", "gtl-small-generator"
VERSIONS, RUNS = 500, 5000
WORK = (
    *("source_gan", "source_classifier", "pilot", "transferred_gans", "synthetic_images"),
    *("domain_gap", "synthetic_quality", "evaluation"),
)
"""Assets whose own seconds are training or evaluation."""
BOUNDS = {"overhead": 25.0, "models": 3.0, "lineage": 3.0, "history": 3.0, "gc": 30.0}
"""The most seconds that each may take."""


def main() -> None:
    """Measures, and prints lines or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-production-") as scratch:
        result = measure(Path(scratch))
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        bound = f"   at most {BOUNDS[name]:g} s" if name in BOUNDS else ""
        print(f"{name:24} {value}{bound}")


def measure(root: Path) -> dict[str, Any]:
    """Seconds of everything, and what they were measured on."""
    project = SmallProject.make(root)
    project.gtl("run", "small")
    project.new_data(1)
    seconds, run = project.gtl("run", "small")
    work = sum(stage["seconds"] for stage in run["stages"] if stage["name"] in WORK and not stage["reused"])
    result: dict[str, Any] = {"overhead": round(seconds - work, 2), "run": round(seconds, 2), "work": round(work, 2)}
    multiply(project)
    commands = {
        "models": ["models"],
        "lineage": ["lineage", f"{CLASSIFIER}@champion"],
        "history": ["history", CLASSIFIER],
        "verified history": ["history", CLASSIFIER, "--verify"],
        "lineage of a set": ["lineage", "--down", "digits"],
        "gc, looking": ["gc", "--keep", "10", "--dry-run"],
        "gc": ["gc", "--keep", "10"],
    }
    for name, command in commands.items():
        times, told = zip(*(project.gtl(*command) for _ in range(1 if name.startswith("gc") else 3)), strict=True)
        result[name] = round(statistics.median(times), 2)
    result |= {"freed_megabytes": round(told[-1]["bytes"] / 1e6, 1), "cores": len(os.sched_getaffinity(0))}
    return result


def multiply(project: SmallProject) -> None:
    """Copies the newest registered run until there are so many versions and runs: rows, folders, records, history."""
    database = project.homes.mlruns / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.row_factory = sqlite3.Row
        copier = _Copier(project, connection)
        versions = copier.count("model_versions")
        while versions < VERSIONS:
            copier.copy(registered=True)
            versions += 2
        while copier.count("runs") < RUNS:
            copier.copy(registered=False)
        copier.write_history()


_OF_RUNS = ("tags", "params", "metrics", "latest_metrics")


class _Copier:
    """Copies one run with all that belongs to it."""

    def __init__(self, project: SmallProject, connection: sqlite3.Connection) -> None:
        self._project, self._connection = project, connection
        newest = self._rows("select * from model_versions where name = ? order by version desc", CLASSIFIER)[0]
        self._parent = newest["run_id"]
        children = self._rows("select run_uuid from tags where key = 'mlflow.parentRunId' and value = ?", self._parent)
        self._runs = [self._parent, *(row["run_uuid"] for row in children)]
        self._version = newest["version"]
        self._record = self._registration(self._parent)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self._connection.execute(f"select count(*) from {table}").fetchone()[0])  # noqa: S608 - own names

    def copy(self, *, registered: bool) -> None:
        """Copies the run, with a pair of versions and its stages where it `registered` some."""
        names = {run: uuid.uuid4().hex for run in self._runs}
        keys = {key: uuid.uuid4().hex[:16] for _, key in self._record["stages"]} if registered else {}
        new = {**names, **keys}
        for table, column in (("runs", "run_uuid"), *((table, "run_uuid") for table in _OF_RUNS)):
            for old in self._runs:
                for row in self._rows(f"select * from {table} where {column} = ?", old):  # noqa: S608 - own names
                    self._insert(table, row, new)
        for old, run in names.items():
            folder = self._project.homes.mlruns / "artifacts" / "gtl-small"
            if (folder / old).is_dir():
                shutil.copytree(folder / old, folder / run)
        if registered:
            self._copy_stages(new)
            self._copy_models(new)

    def write_history(self) -> None:
        """The history goes on with every copy registered, and every third promoted."""
        for model in (CLASSIFIER, GENERATOR):
            tags = self._rows("select * from registered_model_tags where name = ?", model)
            last = read_entries({row["key"]: row["value"] for row in tags})[-1]
            number, before, champion = last.number, last.hash, str(self._version)
            copies = "select * from model_versions where name = ? and version > ? order by version"
            for row in self._rows(copies, model, self._version):
                version = str(row["version"])
                moves: list[tuple[Any, Any, str | None]] = [("registered", "challenger", None)]
                if row["version"] % 3 == 0:
                    moves.append(("promoted", "champion", champion))
                for action, alias, previous in moves:
                    number += 1
                    draft = Entry(
                        number=number,
                        at="2026-01-01T00:00:00+00:00",
                        model=model,
                        action=action,
                        alias=alias,
                        version=version,
                        previous=previous,
                        by="gate",
                        reason="better",
                        run=row["run_id"],
                        before=before,
                    )
                    entry = replace(draft, hash=draft.expected_hash())
                    before, champion = entry.hash, version if alias == "champion" else champion
                    self._tag(model, f"{PREFIX}{number:06}", entry.to_json())
            self._connection.execute("delete from registered_model_tags where name = ? and key = ?", (model, HEAD))
            self._tag(model, HEAD, {"number": number, "hash": before})
            held = {"champion": int(champion), "challenger": row["version"]}
            self._connection.execute("delete from registered_model_aliases where name = ?", (model,))
            for alias, version in held.items():
                named = {"alias": alias, "version": version, "name": model, "workspace": "default"}
                self._insert("registered_model_aliases", named, {})

    def _tag(self, model: str, key: str, value: Any) -> None:
        row = {"key": key, "value": json.dumps(value, sort_keys=True), "name": model, "workspace": "default"}
        self._insert("registered_model_tags", row, {})

    def _copy_stages(self, new: dict[str, str]) -> None:
        artifacts = self._project.homes.artifacts / "small"
        for name, key in self._record["stages"]:
            if (artifacts / name / key).is_dir():
                shutil.copytree(artifacts / name / key, artifacts / name / new[key])
        registration = artifacts / "registered_models" / new[self._registration_key] / "registration.json"
        write_json(registration, _renamed(self._record, new))

    def _copy_models(self, new: dict[str, str]) -> None:
        for name in (CLASSIFIER, GENERATOR):
            old = self._rows("select * from model_versions where name = ? and version = ?", name, self._version)[0]
            number = (
                self._rows("select max(version) as newest from model_versions where name = ?", name)[0]["newest"] + 1
            )
            model = Path(old["source"]).parent.name
            names = new | {model: f"m-{uuid.uuid4().hex}"}
            folder = self._project.homes.mlruns / "artifacts" / "gtl-small" / "models"
            shutil.copytree(folder / model, folder / names[model])
            record = folder / names[model] / "artifacts" / LINEAGE_FILE
            write_json(record, _renamed(read_json(record), names))
            for row in self._rows("select * from logged_models where model_id = ?", model):
                self._insert("logged_models", row, names)
            self._insert("model_versions", {**old, "version": number}, names)
            for row in self._rows(
                "select * from model_version_tags where name = ? and version = ?", name, self._version
            ):
                value = file_sha256(record) if row["key"] == LINEAGE_TAG else row["value"]
                self._insert("model_version_tags", {**row, "version": number, "value": value}, {})

    def _registration(self, run: str) -> Any:
        """What the run has registered."""
        for path in (self._project.homes.artifacts / "small" / "registered_models").glob("*/registration.json"):
            record = read_json(path)
            if record["mlflow_run_id"] == run:
                self._registration_key = path.parent.name
                return record
        raise RuntimeError(f"no registration of run {run}")

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(query, values)]

    def _insert(self, table: str, row: dict[str, Any], new: dict[str, str]) -> None:
        renamed = _renamed(row, new)
        marks = ", ".join("?" * len(renamed))
        self._connection.execute(
            f"insert into {table} ({', '.join(renamed)}) values ({marks})",  # noqa: S608 - own names
            list(renamed.values()),
        )


def _renamed(value: Any, new: dict[str, str]) -> Any:
    """The same with every old name replaced by its new one, wherever it stands."""
    text = json.dumps(value)
    for old, name in new.items():
        text = text.replace(old, name)
    return json.loads(text)


if __name__ == "__main__":
    main()
