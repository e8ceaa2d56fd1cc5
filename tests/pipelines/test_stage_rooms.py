"""The code of a stage is all of the code that makes it: a change anywhere in it makes the stage anew."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gtl_core
from pipelines.stage_rooms import ROOMS

ROOT = Path(gtl_core.__file__).parent


def imported(module: str) -> set[str]:
    """Modules of `gtl_core` that a module imports, as `room/module`."""
    tree = ast.parse((ROOT / f"{module}.py").read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {"/".join(name.split(".")[1:]) for name in names if name.startswith("gtl_core.")}


# The report reads what the evaluation has written, whose version is among its inputs.
STAGES = [
    (name, room)
    for name, rooms in ROOMS.items()
    for room in ("evaluation/", "metrics/")
    if name != "report" and any(module.startswith(room) for module in rooms)
]


@pytest.mark.parametrize(("stage", "room"), STAGES)
def test_a_stage_that_names_modules_of_a_room_names_all_that_these_import_there(stage: str, room: str):
    named = {module for module in ROOMS[stage] if module.startswith(room)}
    modules = [module for module in named if (ROOT / f"{module}.py").is_file()]
    needed = {found for module in modules for found in imported(module) if found.startswith(room)}
    assert needed <= named


def test_checks_for_drift_are_part_of_no_stage():
    assert not [room for rooms in ROOMS.values() for room in rooms if room == "metrics" or "drift" in room]
