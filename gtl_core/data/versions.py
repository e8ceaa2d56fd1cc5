"""Versions of `data/`: what is there, what `data.dvc` pins, and how the two are brought together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gtl_core.data import dvc
from gtl_core.data.catalog import find, names
from gtl_core.data.demo import EMBEDDED
from gtl_core.data.directory_hash import directory_md5, directory_rows, rows_md5
from gtl_core.errors import InputError
from gtl_core.homes import Homes

__all__ = [
    "DataStatus",
    "Pulled",
    "commit",
    "data_version",
    "directory_md5",
    "pinned_version",
    "pull",
    "push",
    "status",
]


@dataclass(frozen=True)
class DataStatus:
    """How `data/` compares with the pin.

    Attributes:
        pinned: the version in `data.dvc`; None without that file.
        present: the version of what is in `data/`; None where no image set is there.
        matches: whether the two are equal.
        remote: name of DVC's default remote; None without one.
        added: image sets that are there but not in the pin.
        changed: image sets whose files differ from the pinned ones.
        missing: image sets of the pin that are not there.
        known: whether the files of the pinned version are known here, without which the three lists are empty.
    """

    pinned: str | None
    present: str | None
    matches: bool
    remote: str | None
    added: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    known: bool


@dataclass(frozen=True)
class Pulled:
    """What `pull` did.

    Attributes:
        fetched: image sets that came from the remote or from DVC's cache.
        rebuilt: embedded image sets that were made anew.
        kept: image sets that differ from the pin and were left alone, because they are the user's own.
        trouble: why the remote could not be used; empty where it was, or where there is none.
        status: how `data/` compares with the pin now.
    """

    fetched: tuple[str, ...]
    rebuilt: tuple[str, ...]
    kept: tuple[str, ...]
    trouble: str
    status: DataStatus


def data_version(homes: Homes) -> str:
    """DVC's version of the whole of `data/` as it is now, such as `5fae….dir`."""
    return directory_md5(homes.data)


def pinned_version(root: Path) -> str | None:
    """The version in `data.dvc`; None without that file.

    Raises:
        InputError: the file is there but holds no version.
    """
    return dvc.pinned(root)


def status(homes: Homes) -> DataStatus:
    """Compares `data/` with the pin.

    Raises:
        InputError: the project is no git checkout, or DVC was not set up.
    """
    dvc.require_checkout(homes.root)
    pinned = dvc.pinned(homes.root)
    rows = directory_rows(homes.data)
    present = rows_md5(rows) if rows else None
    matches = present is not None and present == pinned
    here = dvc.versions_by_set(rows)
    pinned_rows = rows if matches else dvc.cached_rows(homes.root, pinned) if pinned else []
    there = here if pinned_rows is None else dvc.versions_by_set(pinned_rows)
    return DataStatus(
        pinned=pinned,
        present=present,
        matches=matches,
        remote=dvc.default_remote(homes.root),
        added=tuple(sorted(here.keys() - there.keys())),
        changed=tuple(sorted(name for name in here.keys() & there.keys() if here[name] != there[name])),
        missing=tuple(sorted(there.keys() - here.keys())),
        known=pinned_rows is not None,
    )


def pull(homes: Homes) -> Pulled:
    """Brings `data/` to the pin as far as can be, without losing anything of the user's.

    What is missing is fetched from the default remote; embedded sets of the pin that no remote has are rebuilt, and
    all of them where nobody knows what the pin holds. A set that differs from the pin is replaced only where DVC's
    cache holds every file of it, so that it can be had back; else it is kept.

    Raises:
        InputError: the project is no git checkout, or DVC was not set up.
    """
    before = status(homes)
    if before.matches:
        return Pulled((), (), (), "", before)
    trouble = ""
    if before.pinned and before.remote:
        try:
            # It ends well also where the remote lacks the files.
            dvc.run(homes.root, "fetch", "data.dvc")
            if dvc.cached_rows(homes.root, before.pinned) is None:
                trouble = f"{before.remote} does not hold version {before.pinned}"
        except InputError as error:
            trouble = str(error)
    fetched, kept = _restore_from_cache(homes, before.pinned) if before.pinned else ([], [])

    rows = dvc.cached_rows(homes.root, before.pinned) if before.pinned else None
    wanted = EMBEDDED if rows is None else EMBEDDED.keys() & dvc.by_set(rows).keys()
    rebuilt = sorted(name for name in wanted if not (homes.data / name).exists())
    for name in rebuilt:
        EMBEDDED[name](homes.data / name)
    after = status(homes)
    if after.matches and rebuilt and homes.data == homes.root / "data":
        # Now DVC knows the files of the pin, so that later changes can be told set by set.
        dvc.run(homes.root, "commit", "--force", "data.dvc")
    return Pulled(tuple(fetched), tuple(rebuilt), tuple(kept), trouble, after)


def commit(homes: Homes) -> DataStatus:
    """Makes what is in `data/` the pinned version: writes `data.dvc` and puts the files into DVC's cache.

    Committing `data.dvc` to git is left to the user, with the code or the experiment that needs the new data.

    Raises:
        InputError: the project is no git checkout, DVC was not set up, `data/` was moved out of the project, there is
            no image set, or one is damaged or a link to elsewhere.
    """
    dvc.require_checkout(homes.root)
    if homes.data != homes.root / "data":
        raise InputError(f"{homes.data} is not {homes.root / 'data'}, which data.dvc versions; unset GTL_DATA")
    known = names(homes.data)
    if not known:
        raise InputError(f"no image set in {homes.data} to make a version of; gtl data import or gtl data pull first")
    for name in known:
        if (homes.data / name).is_symlink():
            raise InputError(
                f"{homes.data / name} is a link, and a version holds none; put the set itself there, or remove the link"
            )
        find(homes.data, name)
    dvc.run(homes.root, "add", "data")
    return status(homes)


def push(homes: Homes) -> str:
    """Sends the pinned version to the default remote.

    Returns:
        The name of the remote.

    Raises:
        InputError: nothing is pinned, what is there is not what is pinned, no remote is configured, or it cannot be
            reached.
    """
    now = status(homes)
    if now.pinned is None:
        raise InputError("no data version to send; gtl data commit makes one")
    if now.remote is None:
        raise InputError("no remote to send to; add one with: dvc remote add --default NAME URL")
    if not now.matches:
        raise InputError("data/ is not the pinned version; gtl data commit first; gtl data status says what differs")
    dvc.run(homes.root, "push", "data.dvc")
    return now.remote


def _restore_from_cache(homes: Homes, version: str) -> tuple[list[str], list[str]]:
    """Brings image sets of a version from DVC's cache.

    Returns:
        Names of the sets that were brought, and of those that were kept as they are although they differ.
    """
    pinned_rows = dvc.cached_rows(homes.root, version)
    if pinned_rows is None:
        return [], []
    here = dvc.by_set(directory_rows(homes.data))
    brought, kept = [], []
    for name, rows in dvc.by_set(pinned_rows).items():
        present = here.get(name)
        if present == rows or not dvc.all_cached(homes.root, rows):
            continue
        if present is None or dvc.all_cached(homes.root, present):
            dvc.restore(homes.root, rows, homes.data / name)
            brought.append(name)
        else:
            kept.append(name)
    return brought, kept
