"""What is left over: output of steps in Dagster's home, and the temporary folders of killed runs and imports."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from gtl_core.data.manifest import FILES
from gtl_core.homes import Homes
from gtl_core.registry.retention import Freed
from pipelines.stage_folders import folder_bytes

if TYPE_CHECKING:
    import dagster as dg

_PARTITION = "dagster/partition"
_OUTPUT = "compute_logs"
"""The part of a run's folder in Dagster's storage that holds what its steps have printed."""
_TEMPORARY = re.compile(r"gtl-(audit|code|descent|gate|model|package|progress|register|reproduce|source)-[a-z0-9_]{8}")
_UNFINISHED = re.compile(r"\.([a-z0-9][a-z0-9_-]{0,63})\.[a-z0-9_]{8}")
"""Where a set is written until it is whole, and its name."""
_REPLACED = "old"
"""In such a folder, the set whose place another one takes."""
_ALIVE_SECONDS = 86_400.0
"""A temporary folder that nobody has written to for a day belongs to nobody."""


def remove_logs(
    homes: Homes, experiments: Collection[str], keep: int, needed: Collection[str], *, dry_run: bool
) -> Iterator[Freed]:
    """Removes what the steps of old runs have printed; the runs themselves and their events stay in Dagster.

    Args:
        homes: where Dagster's home is. Output that `dagster.yaml` sends elsewhere is not looked at.
        experiments: only their runs, and runs of no experiment.
        keep: how many of the newest runs of each experiment keep their output.
        needed: further runs that keep it.
        dry_run: only look.
    """
    folders = {path.parent.name: path for path in (homes.dagster / "storage").glob(f"*/{_OUTPUT}")}
    if not folders:
        return
    from dagster import RunsFilter

    from pipelines.instance import open_instance

    with open_instance(homes) as instance:
        runs = instance.get_runs(RunsFilter(run_ids=list(folders)))  # newest first
        for name, group in groupby(sorted(runs, key=_experiment), key=_experiment):
            if name and name not in experiments:
                continue
            for run in list(group)[keep:]:
                if run.is_finished and run.run_id not in needed:
                    yield Freed("log", run.run_id, folder_bytes(folders[run.run_id]))
                    if not dry_run:
                        shutil.rmtree(folders[run.run_id])


def remove_temporary(*, dry_run: bool) -> Iterator[Freed]:
    """Removes the temporary folders that killed processes have left.

    Args:
        dry_run: only look.
    """
    for folder in sorted(Path(tempfile.gettempdir()).glob("gtl-*")):
        try:
            if not _TEMPORARY.fullmatch(folder.name) or folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            forgotten = _is_forgotten(folder)
        except FileNotFoundError:  # its process is alive and has just removed it
            continue
        if forgotten:
            yield Freed("temporary folder", str(folder), folder_bytes(folder))
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)


def unfinished_imports(data: Path) -> list[Path]:
    """The hidden folders that killed imports have left in `data/`."""
    found = []
    for folder in sorted(data.glob(".*")):
        if not _UNFINISHED.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        try:
            if {path.name for path in folder.iterdir()} <= {*FILES, _REPLACED} and _is_forgotten(folder):
                found.append(folder)
        except FileNotFoundError:  # its process is alive and has just removed it
            continue
    return found


def remove_unfinished(data: Path) -> list[Path]:
    """Removes the folders of killed imports; a set that was about to be replaced comes back to its place.

    Returns:
        The folders that were removed.
    """
    removed = unfinished_imports(data)
    for folder in removed:
        name = _UNFINISHED.sub(r"\1", folder.name)
        if (folder / _REPLACED).is_dir() and not (data / name).exists():
            (folder / _REPLACED).rename(data / name)
        shutil.rmtree(folder)
    return removed


def _is_forgotten(folder: Path) -> bool:
    """Whether nobody has written to a folder for a day."""
    newest = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    return time.time() - newest > _ALIVE_SECONDS


def _experiment(run: dg.DagsterRun) -> str:
    """Name of a run's experiment; empty for a run of none."""
    return run.tags.get(_PARTITION, "")
