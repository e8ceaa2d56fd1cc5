"""Cells side by side: in order, the same on any number of workers, and honest about failures and progress."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gtl_core.errors import InputError
from gtl_core.progress import OnProgress, Progress, silent
from gtl_core.training import parallel
from gtl_core.training.parallel import run_cells


def trained_number(*, seed: int, on_progress: OnProgress) -> float:
    """A product that needs torch, slower for the first cells, so that they end last."""
    time.sleep(0.3 / (1 + seed))
    on_progress(Progress("cell", 1, 2, {"loss": 0.5}))
    generator = torch.Generator().manual_seed(seed)
    return float((torch.rand(64, 64, generator=generator) @ torch.rand(64, 64, generator=generator)).sum())


def failing(*, seed: int, on_progress: OnProgress) -> int:
    if seed == 1:
        raise InputError("the second cell is bad")
    return seed


def threads(*, on_progress: OnProgress) -> int:
    return torch.get_num_threads()


def with_workers(count: int) -> Callable[[int], int]:
    return lambda cells: count


def test_results_stand_in_the_order_of_the_cells_and_do_not_depend_on_the_workers(monkeypatch: pytest.MonkeyPatch):
    cells = [{"seed": seed} for seed in range(4)]
    results = []
    for workers in (1, 2):
        monkeypatch.setattr(parallel, "worker_count", with_workers(workers))
        results.append(run_cells(trained_number, cells, silent, task="numbers"))
    assert results[0] == results[1] == [trained_number(seed=seed, on_progress=silent) for seed in range(4)]


def test_a_failing_cell_ends_the_work_with_its_own_error():
    with pytest.raises(InputError, match="the second cell is bad"):
        run_cells(failing, [{"seed": seed} for seed in range(3)], silent, task="numbers")


def test_every_cell_computes_with_one_thread_and_gives_the_others_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel, "worker_count", with_workers(1))
    before = torch.get_num_threads()
    assert run_cells(threads, [{}, {}], silent, task="threads") == [1, 1]
    assert torch.get_num_threads() == before


def test_progress_never_goes_back_and_ends_at_the_number_of_cells():
    seen: list[Progress] = []
    run_cells(trained_number, [{"seed": seed} for seed in range(3)], seen.append, task="numbers")
    steps = [progress.step for progress in seen]
    assert steps == sorted(steps)
    assert steps[-1] == 3
    assert {progress.total for progress in seen} == {3}


def test_no_cells_give_no_results():
    assert run_cells(trained_number, [], silent, task="nothing") == []


def test_workers_end_when_the_process_that_they_work_for_is_killed(tmp_path):
    script = tmp_path / "owner.py"
    script.write_text(
        "import sys\n"
        "from parallel_cells import endless\n"
        "from gtl_core.progress import silent\n"
        "from gtl_core.training.parallel import run_cells\n"
        "run_cells(endless, [{'note': sys.argv[1] + str(index)} for index in range(2)], silent, task='endless')\n"
    )
    (tmp_path / "parallel_cells.py").write_text(
        "import os, pathlib, time\n"
        "from gtl_core.progress import Progress\n"
        "def endless(note, on_progress):\n"
        "    pathlib.Path(note).write_text(str(os.getpid()))\n"
        "    for step in range(100_000):\n"
        "        on_progress(Progress('endless', step, 100_000))\n"
        "        time.sleep(0.05)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    owner = subprocess.Popen([sys.executable, str(script), str(tmp_path / "worker-")], env=environment)
    notes = [tmp_path / f"worker-{index}" for index in range(min(2, len(os.sched_getaffinity(0))))]
    _until(lambda: all(note.exists() and note.read_text() for note in notes))
    owner.kill()
    owner.wait()
    workers = {int(note.read_text()) for note in notes} - {owner.pid}
    _until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def _until(true):
    """Waits until something is true, for a minute at the most."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)
