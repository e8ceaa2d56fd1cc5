"""Aliases of registered models: who is `challenger`, who is `champion`, and when and why each became it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal

from gtl_core.homes import Homes
from gtl_core.registry.tracking import TrackingStore, open_store

Alias = Literal["challenger", "champion"]


def aliases(store: TrackingStore, name: str) -> dict[str, str]:
    """The version that each alias of a registered model stands for.

    MLflow's search for versions leaves aliases out, so they are read from the model.
    """
    return {alias: str(version) for alias, version in store.client.get_registered_model(name).aliases.items()}


def current_alias(homes: Homes, name: str, version: str) -> Alias | None:
    """What a version is at this moment: `champion`, else `challenger`, else neither."""
    held = {alias for alias, held_by in aliases(open_store(homes), name).items() if held_by == version}
    return "champion" if "champion" in held else "challenger" if "challenger" in held else None


def nominate(store: TrackingStore, name: str, version: str, reason: str) -> None:
    """Makes a version the challenger."""
    _move(store, name, "challenger", version, reason)


def promote(store: TrackingStore, name: str, version: str, reason: str) -> None:
    """Makes a version the champion; it is no challenger any more."""
    _move(store, name, "champion", version, reason)
    if aliases(store, name).get("challenger") == version:
        store.client.delete_registered_model_alias(name, "challenger")


def _move(store: TrackingStore, name: str, alias: Alias, version: str, reason: str) -> None:
    """Moves an alias, after it has noted on the version that it will: a move without its record cannot happen."""
    record = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": aliases(store, name).get(alias),
        "reason": reason,
    }
    store.client.set_model_version_tag(name, version, f"gtl.became_{alias}", json.dumps(record))
    store.client.set_registered_model_alias(name, alias, version)
