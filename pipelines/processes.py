"""Which process works on a run, and whether it is still there: what a killed run cannot tell by itself."""

from __future__ import annotations

import os
import platform

PROCESS_TAG = "gtl/process"
"""Tag of a Dagster run with the mark of the process that works on it."""

_TOLERANCE_SECONDS = 60.0
"""How far the start that the system tells of one process may wander, because it is reckoned from a clock that is set;
a number is not given to another process within that time."""


def process_mark(run_id: str) -> str:
    """The mark of this process as the one that works on a run: `host:pid:start:run`, the start in seconds.

    The run belongs to it because Dagster copies the tags of a run to the run that repeats it.
    """
    import psutil

    return f"{platform.node()}:{os.getpid()}:{psutil.Process().create_time():.0f}:{run_id[:8]}"


def belongs_to(mark: str, run_id: str) -> bool:
    """Whether a mark was made for a run, and not copied from the run that it repeats."""
    return mark.rpartition(":")[2] == run_id[:8]


def is_gone(mark: str) -> bool:
    """Whether the process of a mark has ended; nobody can say that of a process on another machine."""
    import psutil

    host, pid, start, _ = mark.rsplit(":", 3)
    if host != platform.node():
        return False
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(process.create_time() - float(start)) > _TOLERANCE_SECONDS
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def told(mark: str) -> str:
    """A mark as people read it."""
    host, pid, *_ = mark.rsplit(":", 3)
    return f"process {pid} on {host}"
