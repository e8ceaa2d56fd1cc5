"""Independent cells of work (draw × strategy, draw × arm) side by side, through joblib's backends.

Small networks use one core well and two badly, so a machine's cores are shared out among processes. Another joblib
backend (Ray, Dask) takes the same cells to a cluster: `with joblib.parallel_config(backend=...)` around the call.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gtl_core.files import write_text
from gtl_core.progress import OnProgress, Progress

Result = TypeVar("Result")

_POLL_SECONDS = 0.5


def worker_count(cells: int) -> int:
    """How many cells to run at once here: one on a GPU, else up to one a core."""
    import torch

    if torch.cuda.is_available():
        return 1
    return max(1, min(cells, len(os.sched_getaffinity(0))))


def run_cells(
    function: Callable[..., Result],
    cells: Sequence[Mapping[str, Any]],
    on_progress: OnProgress,
    *,
    task: str,
) -> list[Result]:
    """Calls `function(**cell, on_progress=...)` for every cell and gives the results in the cells' order.

    Each computes with one torch thread, whatever the number of workers, so that results do not depend on that.

    Args:
        function: a module-level function; it runs in another process unless there is one worker only.
        cells: keyword arguments of each call: paths, numbers and configuration rather than arrays.
        on_progress: called in this process with the overall progress, counted in cells, fractions included.
        task: the name shown for the whole.

    Raises:
        Exception: whatever a cell raised; cells that have not begun are not started.
    """
    import joblib

    if not cells:
        return []
    workers = worker_count(len(cells))
    with tempfile.TemporaryDirectory(prefix="gtl-progress-") as folder:
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(Path(folder), len(cells), task, on_progress, stop))
        watcher.start()
        try:
            results: list[Result] = joblib.Parallel(n_jobs=workers, pre_dispatch=workers, batch_size=1)(
                joblib.delayed(_run_cell)(function, dict(cell), Path(folder) / f"{index}.json", os.getpid())
                for index, cell in enumerate(cells)
            )
        finally:
            stop.set()
            watcher.join()
    on_progress(Progress(task, len(cells), len(cells)))
    return results


def _run_cell(function: Callable[..., Result], cell: dict[str, Any], report: Path, owner: int) -> Result:
    """Runs one cell in a worker with one torch thread, and reports into a file.

    A worker whose owner was killed ends at its next report, instead of training on for nobody.
    """
    import torch

    has_owner = os.getppid() == owner

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    last = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal last
        if has_owner and os.getppid() != owner:
            os._exit(1)
        if time.monotonic() - last >= _POLL_SECONDS:
            last = time.monotonic()
            write_text(report, json.dumps({"share": progress.step / progress.total, "values": dict(progress.values)}))

    try:
        result = function(**cell, on_progress=on_progress)
    finally:
        torch.set_num_threads(before)
    write_text(report, json.dumps({"share": 1.0, "values": {}}))
    return result


def _watch(folder: Path, total: int, task: str, on_progress: OnProgress, stop: threading.Event) -> None:
    """Sums up the cells' reports until told to stop."""
    while not stop.wait(_POLL_SECONDS):
        reports = [json.loads(file.read_text()) for file in folder.glob("[0-9]*.json")]
        running = [report["values"] for report in reports if report["share"] < 1.0]
        values = {name: value for report in running for name, value in report.items()}
        on_progress(Progress(task, round(sum(report["share"] for report in reports), 3), total, values))
