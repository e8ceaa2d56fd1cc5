"""A registration that a killed process began: the versions that it made, and what was decided about them.

Every version says by a tag which registration made it, so that the next run takes its versions up instead of making a
second pair of the same weights, and goes on with the decision where it was left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gtl_core.registry.history import Entry, entries
from gtl_core.registry.lineage import COLLECTED_TAG
from gtl_core.registry.tracking import TrackingStore

REGISTRATION_TAG = "gtl.registration"


@dataclass(frozen=True)
class Begun:
    """What an earlier call of the same registration left.

    Attributes:
        run: the MLflow run of its versions.
        versions: version of each model that it had registered, by the model's name.
    """

    run: str
    versions: dict[str, str]


def begun(store: TrackingStore, names: Sequence[str], registration: str) -> Begun | None:
    """What is there of a registration; None where it was not begun, or where files of a version are gone.

    Args:
        store: the MLflow store.
        names: the models that it registers.
        registration: what its versions say by their tag.
    """
    found = [
        version
        for name in names
        for version in store.client.search_model_versions(
            f"name='{name}' and tags.`{REGISTRATION_TAG}`='{registration}'"
        )
        if COLLECTED_TAG not in version.tags
    ]
    if not found or not all(store.has_files(version.name, str(version.version)) for version in found):
        return None
    return Begun(str(found[0].run_id), {str(version.name): str(version.version) for version in found})


def decision(store: TrackingStore, model: str, version: str) -> Entry | None:
    """What the gate's answer about a version had led to, where that is on record already."""
    about = [entry for entry in entries(store, model) if entry.version == version]
    return next((entry for entry in about if entry.action in ("registered", "refused")), None)


def is_followed(store: TrackingStore, said: Entry) -> bool:
    """Whether more than the gate's answer is on record about a version: it was promoted, rejected, or overruled."""
    return any(
        entry.number > said.number and said.version in (entry.version, entry.previous)
        for entry in entries(store, said.model)
    )
