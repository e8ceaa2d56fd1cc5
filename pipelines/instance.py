"""The Dagster instance of this project: where it lies, and the environment in which every process finds it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from gtl_core.errors import InputError
from gtl_core.homes import Homes

if TYPE_CHECKING:
    import dagster as dg

CONFIG = "dagster.yaml"
TRAINING_POOL = "training"
"""What is in this pool uses every core, or changes what a training reads: one of it at a time."""


def prepare(homes: Homes) -> None:
    """Sets the environment of this process, and makes Dagster's home ready. Can be called again at any time.

    Dagster's home is `homes.dagster` and not the root, because Dagster writes folders of its own into it; the
    `dagster.yaml` there is a link to the one in the root.

    Raises:
        InputError: the root holds no `dagster.yaml`, or the home cannot be made.
    """
    config = homes.root / CONFIG
    if not config.is_file():
        raise InputError(
            f"no {CONFIG} in {homes.root}; run gtl inside a checkout of the project, or set GTL_ROOT to one"
        )
    os.environ.update(homes.environment())
    try:
        homes.dagster.mkdir(parents=True, exist_ok=True)
        _link(homes.dagster / CONFIG, config)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(
            f"cannot use {homes.dagster} for Dagster ({error.strerror}); set GTL_DAGSTER to a folder"
        ) from None


@contextmanager
def open_instance(homes: Homes) -> Iterator[dg.DagsterInstance]:
    """The project's Dagster instance, closed at the end of the block.

    Raises:
        InputError: as `prepare`, or the database in the home is damaged or locked for longer than Dagster waits.
    """
    prepare(homes)
    import dagster as dg
    from sqlalchemy.exc import DatabaseError

    try:
        instance = dg.DagsterInstance.get()
        _make_pool_known(instance)
    except DatabaseError as error:
        raise InputError(
            f"cannot open the Dagster database in {homes.dagster}: {error.orig}; see gtl doctor"
        ) from error
    with instance:
        yield instance


def _make_pool_known(instance: dg.DagsterInstance) -> None:
    """Gives the pool its limit, which Dagster's queue else does only after its first look, at which it lets all in."""
    pools = instance.event_log_storage
    if TRAINING_POOL not in pools.get_concurrency_keys():
        pools.initialize_concurrency_limit_to_default(TRAINING_POOL)


def _link(link: Path, target: Path) -> None:
    """Makes `link` a relative symbolic link to `target`, in one atomic step, where it is not that already."""
    wanted = os.path.relpath(target, link.parent)
    if link.is_symlink() and str(link.readlink()) == wanted:
        return
    if link.is_dir() and not link.is_symlink():
        raise FileExistsError(errno.EEXIST, f"{link} is a folder")
    temporary = link.with_name(f".{link.name}.{uuid4().hex}")
    temporary.symlink_to(wanted)
    temporary.replace(link)
