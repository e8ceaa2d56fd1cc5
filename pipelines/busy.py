"""One run of an experiment at a time: the lock that a run holds from its first step to its last.

Dagster's queue starts no second run of an experiment while one is under way (`tag_concurrency_limits` in
`dagster.yaml`), a `gtl run` among them. This lock is for those who do not wait in the queue: `gtl run` itself, and
whatever else must not see an experiment's stages change, such as `gtl gc`. The operating system frees it when the
process that holds it ends, in whatever way.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gtl_core.errors import InputError
from gtl_core.files import read_json, write_json
from gtl_core.homes import Homes

LOCKS = ".locks"
"""Folder of the locks, below the artifacts."""


@contextmanager
def experiment_lock(homes: Homes, name: str, who: str, wait: float = 0.0) -> Iterator[None]:
    """Holds the lock of an experiment until the block ends.

    Beside the lock lies `NAME.json` with its holder: `pid`, `host`, `since` (UTC) and `run` (who).

    Args:
        homes: where the artifacts are.
        name: the experiment's name.
        who: who runs it, for the one that finds it taken: `gtl run`, or a Dagster run with its id.
        wait: how many seconds to wait for another holder to end.

    Raises:
        InputError: it is held by another process, or elsewhere in this one.
    """
    from filelock import FileLock, Timeout

    folder = homes.artifacts / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / f"{name}.json"
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=wait, poll_interval=0.2)
    except Timeout:
        raise InputError(f"{name} is being run by {_holder(record)}; wait for it to end, or stop it") from None
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(record, {"pid": os.getpid(), "host": platform.node(), "since": since, "run": who})
        yield
    finally:
        record.unlink(missing_ok=True)
        lock.release()


def _holder(record: Path) -> str:
    """Who holds a lock, as far as it has said so yet."""
    try:
        holder = read_json(record)
        return f"{holder['run']} (process {holder['pid']} on {holder['host']}) since {holder['since']}"
    except (OSError, ValueError, KeyError):
        return "another process that began just now"
