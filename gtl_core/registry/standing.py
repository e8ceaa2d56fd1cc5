"""Where a model stands: the aliases it has, and what its history says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gtl_core.homes import Homes
from gtl_core.registry.history import Alias, Entry, head, read_entries, registered_model, verify
from gtl_core.registry.tracking import TrackingStore, open_store

ALIASES: tuple[Alias, ...] = ("champion", "challenger")
"""The aliases that GTL moves; others belong to whoever made them."""


@dataclass(frozen=True)
class Standing:
    """What a history says about now.

    Attributes:
        aliases: the version that each alias stands for.
        champions: the versions that were champion, a version as often as it became one, the present one last where
            there is one; what a rollback went back over is gone from it.
        since: the entry that made the champion what it is; None where there was never one.
        frozen: the rollback that stopped automatic promotion; None where none does.
    """

    aliases: dict[Alias, str]
    champions: tuple[str, ...]
    since: Entry | None
    frozen: Entry | None


def standing(history: Sequence[Entry]) -> Standing:
    """Reads a history from its beginning."""
    held: dict[Alias, str] = {}
    champions: list[str] = []
    since = frozen = None
    for entry in history:
        if entry.action == "rolled_back":
            frozen = entry
        elif entry.action == "unfrozen":
            frozen = None
        if entry.alias is None:
            continue
        if entry.version is None:
            held.pop(entry.alias, None)
        else:
            held[entry.alias] = entry.version
        if entry.alias != "champion":
            continue
        since = entry
        if entry.action == "rolled_back" and entry.version in champions:
            while champions[-1] != entry.version:
                champions.pop()
        elif entry.version is not None:
            champions.append(entry.version)
        if entry.action != "moved_outside" and held.get("challenger") == entry.version:
            del held["challenger"]
    return Standing(held, tuple(champions), since, frozen)


def unexplained(held: Mapping[str, str], history: Sequence[Entry]) -> list[tuple[Alias, str | None, str | None]]:
    """Aliases that are not where the history says: the alias, the version it should stand for, and the one it does."""
    expected = standing(history).aliases
    return [
        (alias, expected.get(alias), held.get(alias)) for alias in ALIASES if expected.get(alias) != held.get(alias)
    ]


def worded(version: str | None) -> str:
    """A version as sentences name it."""
    return f"version {version}" if version else "no version"


def aliases(store: TrackingStore, name: str) -> dict[str, str]:
    """The version that each alias of a registered model stands for.

    MLflow's search for versions leaves aliases out, so they are read from the model.

    Raises:
        InputError: there is no such model.
    """
    return {alias: str(version) for alias, version in registered_model(store, name).aliases.items()}


def current_alias(homes: Homes, name: str, version: str) -> Alias | None:
    """What a version is at this moment: `champion`, else `challenger`, else neither."""
    held = {alias for alias, held_by in aliases(open_store(homes), name).items() if held_by == version}
    return "champion" if "champion" in held else "challenger" if "challenger" in held else None


def problems(store: TrackingStore, name: str, noted: Mapping[int, str]) -> list[str]:
    """What shows that a model's history was tampered with, or that an alias was moved without it.

    Args:
        store: the MLflow store.
        name: the registered model.
        noted: hashes of entries, by number, that were noted outside the store.

    Returns:
        One sentence a problem.

    Raises:
        InputError: there is no such model.
    """
    found = registered_model(store, name)
    history = read_entries(found.tags)
    number, its_hash = head(found.tags)
    marked = {number: its_hash} if number else {}
    said = verify(history, marked)
    said += [problem for problem in verify(history, noted) if problem not in said]
    # At most the newest entry can wait for its move, where a process was killed.
    if history and number < history[-1].number - 1:
        said.append(f"the history's head says {number} where entry {history[-1].number} is the newest: it was changed")
    elsewhere = unexplained({alias: str(version) for alias, version in found.aliases.items()}, history)
    if history and history[-1].number > number:
        elsewhere = []
    return said + [
        f"{alias} stands for {worded(now)}, and the history leaves it at {worded(was)}" for alias, was, now in elsewhere
    ]
