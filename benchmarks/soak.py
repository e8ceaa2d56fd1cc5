"""Many retrainings of a small experiment in a row under the real daemon: does anything leak, and is a record lost?

    python -m benchmarks.soak [--cycles N] [--json]

Every cycle commits new images; Dagster's sensor sees them and its daemon trains, evaluates and registers. After each,
the memory and the open files of the servers, temporary folders, claimed slots, disk, and the records in MLflow and in
the history are counted. At the end `gtl gc` cleans up, and the history is verified.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.small_project import SmallProject
from gtl_core.registry.history import entries
from gtl_core.registry.tracking import open_store
from pipelines.assets import TRAINING_POOL
from pipelines.cli.output import show_table
from pipelines.instance import open_instance
from pipelines.observation import COMMITTED
from pipelines.servers import DAGSTER_PORT, dagster_server, free_port, running
from pipelines.stage_folders import folder_bytes

CLASSIFIER = "gtl-small-classifier"
KEEP = 3
_MOST_SECONDS = 900.0
_POLL_SECONDS = 0.5
_SERVERS = {"daemon": "dagster._daemon", "code server": "dagster api grpc", "web server": "dagster_webserver"}
"""What the command line of each server's process holds."""


def main() -> None:
    """Runs the cycles, and prints a table or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cycles", type=int, default=50, help="how many retrainings")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gtl-soak-") as scratch:
        # Whatever is left behind in this folder was left by the project.
        os.environ["TMPDIR"] = str(Path(scratch, "tmp"))
        for name in ("tmp", "project"):
            Path(scratch, name).mkdir()
        result = soak(SmallProject.make(Path(scratch, "project")), options.cycles)
    if options.json:
        print(json.dumps(result))
        return
    columns = list(result["cycles"][0])
    show_table(columns, [[row[column] for column in columns] for row in result["cycles"]])
    print("\n".join(f"{name:40} {value}" for name, value in result["summary"].items()))


def soak(project: SmallProject, cycles: int) -> dict[str, Any]:
    """What was counted after each cycle, and what it comes to."""
    os.environ.update(project.environment)
    project.gtl("data", "commit")
    port = free_port(None, DAGSTER_PORT)
    rows = []
    with running(project.homes, [dagster_server(project.homes, port)]) as processes:
        with open_instance(project.homes) as instance:
            _wait(lambda: bool(instance.fetch_observations(COMMITTED, limit=1).records), "the sensor saw no data")
        for cycle in range(1, cycles + 1):
            started = time.monotonic()
            project.new_data(cycle)
            project.gtl("data", "commit")
            with open_instance(project.homes) as instance:
                _wait(partial(_ended, instance, cycle), f"cycle {cycle} did not end")
                rows.append({"cycle": cycle, "seconds": round(time.monotonic() - started, 1)})
                rows[-1] |= _counted(project, instance, processes[0].pid)
            print(json.dumps(rows[-1]), file=sys.stderr)
    return {"cycles": rows, "summary": _summary(project, rows)}


def _ended(instance: Any, cycle: int) -> bool:
    """Whether so many runs have ended.

    Raises:
        RuntimeError: one has failed.
    """
    runs = instance.get_runs()
    failed = [run.run_id for run in runs if run.is_failure]
    if failed:
        raise RuntimeError(f"run {failed[0]} has failed")
    return len(runs) >= cycle and all(run.is_finished for run in runs)


def _counted(project: SmallProject, instance: Any, pid: int) -> dict[str, Any]:
    """Everything that could grow."""
    processes = list(_tree(pid))
    row: dict[str, Any] = {"processes": len(processes)}
    for name, word in _SERVERS.items():
        own = [process for process in processes if word in _command(process)]
        row[f"{name} MB"] = round(sum(_memory(process) for process in own) / 1e6, 1)
        row[f"{name} files"] = sum(_open_files(process) for process in own)
    claimed = instance.event_log_storage.get_concurrency_info(TRAINING_POOL)
    store = open_store(project.homes)
    versions = store.client.search_model_versions(f"name='{CLASSIFIER}'")
    homes = project.homes
    row |= {
        "slots": len(claimed.claimed_slots) + len(claimed.pending_steps),
        "temporary": len(list(Path(os.environ["TMPDIR"]).glob("gtl-*"))),
        "versions": len(versions),
        "entries": len(entries(store, CLASSIFIER)),
    }
    sizes = {"artifacts": homes.artifacts, "MLflow": homes.mlruns, "Dagster": homes.dagster, "DVC": homes.root / ".dvc"}
    return row | {f"{name} MB": round(folder_bytes(folder) / 1e6, 2) for name, folder in sizes.items()}


def _summary(project: SmallProject, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Growth a cycle, and what `gtl gc` and `gtl history --verify` say in the end."""
    _, history = project.gtl("history", CLASSIFIER, "--verify")
    seconds, cleaned = project.gtl("gc", "--keep", str(KEEP))
    grown = {
        f"{name}, a cycle": round((rows[-1][name] - rows[0][name]) / max(1, len(rows) - 1), 3)
        for name in rows[0]
        if name.endswith((" MB", " files"))
    }
    return {
        "cycles": len(rows),
        "seconds, the median cycle": statistics.median(row["seconds"] for row in rows),
        "versions": rows[-1]["versions"],
        "history": history.get("problems", history) if isinstance(history, dict) else len(history),
        **grown,
        f"freed by gtl gc --keep {KEEP}, MB": round(cleaned["bytes"] / 1e6, 1),
        "gtl gc, seconds": round(seconds, 1),
        "MB left": {
            name: round(folder_bytes(folder) / 1e6, 1)
            for name, folder in (("artifacts", project.homes.artifacts), ("MLflow", project.homes.mlruns))
        },
    }


def _wait(done: Any, trouble: str) -> None:
    deadline = time.monotonic() + _MOST_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{trouble} within {_MOST_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


def _tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from _tree(int(child))


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _memory(pid: int) -> int:
    """Resident bytes."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _open_files(pid: int) -> int:
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0


if __name__ == "__main__":
    main()
