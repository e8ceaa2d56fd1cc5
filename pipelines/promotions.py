"""Promotion beside Dagster: the history told to it entry by entry, and approvals that are made in MLflow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from gtl_core.errors import GtlError, InputError
from gtl_core.homes import Homes
from gtl_core.registry.approval import approve_version
from gtl_core.registry.history import Entry, entries, read_entries
from gtl_core.registry.promotion import followers, is_settled, settle
from gtl_core.registry.tracking import TrackingStore, has_store, open_store, pages

if TYPE_CHECKING:
    import dagster as dg
    from mlflow.entities.model_registry import ModelVersion

HISTORY_ASSET = "model_history"
"""First part of the key of the asset that witnesses the history of a model; the second is the model's name."""
APPROVAL = "gtl.approval"
"""Tag of a version. A person sets it to `approved`; the answer turns that into `promoted` or `refused`."""
APPROVED_BY = "gtl.approved_by"
APPROVAL_REASON = "gtl.approval_reason"
APPROVAL_RESULT = "gtl.approval_result"
"""Tag of a version with the answer to its approval, in words."""
_RESULT_LIMIT = 2000
_AT_ONCE = 1000


def model_store(homes: Homes) -> TrackingStore:
    """The MLflow store, which must be there already.

    Raises:
        InputError: there is none yet, or it cannot be reached.
    """
    if not has_store(homes):
        raise InputError("no models yet; gtl demo or gtl run EXPERIMENT registers some")
    return open_store(homes)


def tell(instance: dg.DagsterInstance, store: TrackingStore, model: str) -> None:
    """Materialises each entry of a model's history, and of its generators', that Dagster has not been told of yet.

    Dagster's events are kept apart from the MLflow store, so that the one bears witness to the other.
    """
    history = entries(store, model)
    _tell(instance, model, history)
    for name in followers(history):
        _tell(instance, name, entries(store, name))


def noted(homes: Homes, model: str) -> dict[int, str]:
    """The hashes of a model's entries that Dagster was told, by number; none where Dagster was never used."""
    from pipelines.instance import CONFIG, open_instance

    if not (homes.dagster / CONFIG).exists():
        return {}
    with open_instance(homes) as instance:
        return witness(instance, model)


def witness(instance: dg.DagsterInstance, model: str) -> dict[int, str]:
    """The hashes of a model's entries that a Dagster instance was told, by number."""
    import dagster as dg

    told: dict[int, str] = {}
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(dg.AssetKey([HISTORY_ASSET, model]), _AT_ONCE, cursor)
        for record in page.records:
            if record.asset_materialization:
                said = record.asset_materialization.metadata
                told[int(said["number"].value)] = str(said["hash"].value)  # newest first, so the oldest word counts
        cursor, more = page.cursor, page.has_more
    return told


def tend(homes: Homes, instance: dg.DagsterInstance, log: logging.Logger) -> str:
    """Answers the approvals that wait in MLflow, and brings every history up to date.

    Nothing that is wrong with one model keeps the others from their turn.

    Args:
        homes: the project's homes.
        instance: what is told of new entries.
        log: takes what was done and what could not be.

    Returns:
        What was done, in one line.
    """
    store = open_store(homes)
    done: list[str] = []
    for model in pages(store.client.search_registered_models):
        if not read_entries(model.tags) or is_settled(model):
            continue
        try:
            done += [entry.reason for entry in settle(store, model.name)]
        except Exception as error:  # noqa: BLE001 - see above
            log.error("%s: %s", model.name, error)
    for version in pages(store.client.search_model_versions, filter_string=f"tags.`{APPROVAL}` = 'approved'"):
        try:
            done += _answer(homes, store, version)
        except Exception as error:  # noqa: BLE001 - see above
            log.error("%s version %s: %s", version.name, version.version, error)
    for model in pages(store.client.search_registered_models):
        try:
            _tell(instance, model.name, read_entries(model.tags))
        except Exception as error:  # noqa: BLE001 - see above
            log.error("%s: %s", model.name, error)
    for line in done:
        log.info(line)
    return "; ".join(done) or "nothing to do"


def _answer(homes: Homes, store: TrackingStore, version: ModelVersion) -> list[str]:
    """Follows an approval that was made by tags, and writes what came of it."""
    name, number = str(version.name), str(version.version)
    if not version.tags.get(APPROVED_BY, "").strip():
        # The tags are set one after the other, so this is no refusal yet.
        waits = f"waits until the tag {APPROVED_BY} names who approves"
        if version.tags.get(APPROVAL_RESULT) == waits:
            return []
        store.client.set_model_version_tag(name, number, APPROVAL_RESULT, waits)
        return [f"{name} version {number} {waits}"]
    try:
        entry = approve_version(
            homes,
            store,
            name,
            number,
            by=version.tags[APPROVED_BY],
            reason=version.tags.get(APPROVAL_REASON, "").strip() or "approved in MLflow",
            force=False,
        )
        state, said = "promoted", f"promoted at {entry.at}"
    except GtlError as error:
        state, said = "refused", " ".join(str(error).split())
    store.client.set_model_version_tag(name, number, APPROVAL_RESULT, said[:_RESULT_LIMIT])
    store.client.set_model_version_tag(name, number, APPROVAL, state)
    return [f"{name} version {number}: {said}"]


def _tell(instance: dg.DagsterInstance, model: str, history: list[Entry]) -> None:
    """Materialises the entries of one model that are newer than the last one told."""
    import dagster as dg

    key = dg.AssetKey([HISTORY_ASSET, model])
    last = instance.get_latest_materialization_event(key)
    materialised = last.asset_materialization if last else None
    known = int(materialised.metadata["number"].value) if materialised else 0
    for entry in history:
        if entry.number > known:
            instance.report_runless_asset_event(
                dg.AssetMaterialization(key, description=sentence(entry), metadata=_metadata(entry))
            )


def sentence(entry: Entry) -> str:
    """An entry in one line."""
    move = ""
    if entry.alias:
        move = f", {entry.alias} from {entry.previous or 'none'} to {entry.version or 'none'}"
    elif entry.version:
        move = f", version {entry.version}"
    forced = ", forced" if entry.forced else ""
    return f"{entry.action.replace('_', ' ')}{move}, by {entry.by}{forced}: {entry.reason}"


def _metadata(entry: Entry) -> dict[str, Any]:
    """What the asset's page shows of an entry."""
    fields = {key: value for key, value in entry.to_json().items() if key != "details" and value is not None}
    return {**fields, "details": dict(entry.details)}
