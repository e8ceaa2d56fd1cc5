"""Finds the reports of several runs and puts them beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gtl_core.errors import InputError
from gtl_core.files import canonical_sha256, read_json
from gtl_core.homes import Homes
from pipelines.preflight import named_experiment
from pipelines.report import make_report
from pipelines.stages import Chain

_FEWEST, _MOST = 2, 6
_FOLDER = ".comparisons"
"""In `artifacts/`; no experiment can have this name."""


def compare_runs(runs: Sequence[str], homes: Homes) -> tuple[Path, dict[str, Any]]:
    """Makes the comparison of some runs.

    Args:
        runs: names of experiments, or `NAME@KEY` for a report of it that is kept.
        homes: where they lie.

    Returns:
        The folder with `comparison.html` and `comparison.json`, and a summary: `verdicts` by run, and a `caution`
        where their scores are not on one test part.

    Raises:
        InputError: too few or too many runs, the same one twice, or one that is not there.
    """
    from gtl_core.evaluation.report.comparison import Run, write_comparison
    from gtl_core.evaluation.report.making import JSON

    if not _FEWEST <= len(runs) <= _MOST:
        raise InputError(f"gtl compare takes {_FEWEST} to {_MOST} runs, and {len(runs)} were named")
    folders = [_report_folder(run, homes) for run in runs]
    if len(set(folders)) < len(folders):
        raise InputError("the same run was named twice; name two different ones")
    found = [Run(name, read_json(folder / JSON)) for name, folder in zip(runs, folders, strict=True)]
    folder = homes.artifacts / _FOLDER / canonical_sha256([str(name) for name in runs])[:16]
    return folder, write_comparison(found, folder)


def _report_folder(run: str, homes: Homes) -> Path:
    """Folder of the report of a run: made where the run is there in its present form, else found by its key."""
    name, _, key = run.partition("@")
    if not key:
        return make_report(Chain(named_experiment(name, homes), homes)).path
    name = named_experiment(name, homes).name
    kept = homes.artifacts / name / "report"
    keys = sorted(path.parent.name for path in kept.glob("*/stage.json") if not path.parent.name.startswith("."))
    matching = [found for found in keys if found.startswith(key)]
    if len(matching) != 1:
        there = f"there are: {', '.join(keys)}" if keys else f"there are none; make one with gtl report {name}"
        raise InputError(f"{len(matching) or 'no'} reports of {name} with a key {key}…; {there}")
    return kept / matching[0]
