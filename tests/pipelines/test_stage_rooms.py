"""The code of a stage is all of the code that makes it: a change anywhere in it makes the stage anew."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gtl_core
from pipelines.stages import ROOMS

ROOT = Path(gtl_core.__file__).parent


def imported(module: str) -> set[str]:
    """Modules of `gtl_core` that a module imports, as `room/module`."""
    tree = ast.parse((ROOT / f"{module}.py").read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {"/".join(name.split(".")[1:]) for name in names if name.startswith("gtl_core.")}


# The report reads what the evaluation has written, whose version is among its inputs.
STAGES = [name for name, rooms in ROOMS.items() if name != "report" and any("evaluation/" in room for room in rooms)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_names_modules_of_the_evaluation_names_all_that_these_import_there(stage: str):
    named = {room for room in ROOMS[stage] if room.startswith("evaluation/")}
    modules = [room for room in named if (ROOT / f"{room}.py").is_file()]
    needed = {found for module in modules for found in imported(module) if found.startswith("evaluation/")}
    assert needed <= named
