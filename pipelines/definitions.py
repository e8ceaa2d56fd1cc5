"""Dagster's way in: everything below `pipelines/defs`."""

from __future__ import annotations

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Assets, checks, jobs and resources of the code location `gtl`."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
