"""Which registered versions are still needed, and what of the others is collected.

A version is a record and stays one: its entry in the registry, its lineage record, its card, its code and the model's
history are never touched. What goes is what takes room: its weights, and the pictures and reports of its runs. A
classifier and the generator that was registered with it are one pair, and are needed or not together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gtl_core.errors import InputError
from gtl_core.files import file_sha256, read_json
from gtl_core.registry.history import locked, read_entries
from gtl_core.registry.lineage import COLLECTED_TAG, LINEAGE_FILE, LINEAGE_TAG
from gtl_core.registry.register import classifier_name, generator_name
from gtl_core.registry.tracking import TrackingStore, pages

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

_WEIGHTS = "artifacts"
"""The part of a registered model's folder that holds its weights and nothing else."""


@dataclass(frozen=True)
class Version:
    """A version that GTL registered, and whether it is needed.

    Attributes:
        model: the registered model.
        number: its version.
        run: the MLflow run that it came from, which it shares with the other one of its pair.
        why: why it is needed; empty where it is not.
        recent: whether that run is one of the newest.
        collected: when its weights were collected; None where they were not.
        lineage: hash of its lineage record.
        files: where its files are.
    """

    model: str
    number: str
    run: str
    why: str
    recent: bool
    collected: str | None
    lineage: str
    files: str

    @property
    def name(self) -> str:
        """`MODEL/VERSION`."""
        return f"{self.model}/{self.number}"


@dataclass(frozen=True)
class Freed:
    """Something that was removed, or would be.

    Attributes:
        kind: what it is.
        what: its name, for people.
        bytes: how much room it took.
    """

    kind: Literal["stage", "unfinished stage", "weights", "run files", "log", "temporary folder"]
    what: str
    bytes: int


def registered_experiments(store: TrackingStore) -> list[str]:
    """Names of the experiments that have registered models, sorted."""
    names = {model.name for model in pages(store.client.search_registered_models)}
    candidates = {name.removeprefix("gtl-").rpartition("-")[0] for name in names}
    return sorted(found for found in candidates if names & {classifier_name(found), generator_name(found)})


def judge_versions(store: TrackingStore, experiment: str, keep: int, runs: Collection[str] = ()) -> list[Version]:
    """Looks which versions of an experiment's models are needed.

    Needed are those of the newest `keep` runs that registered models, those that hold an alias, that were ever
    champion or that wait for approval, and those of `runs`; and the other one of their pair.

    Args:
        store: the MLflow store.
        experiment: the experiment's name.
        keep: how many of the newest runs to keep.
        runs: further MLflow runs whose versions are needed.

    Returns:
        Every version that GTL registered, newest first; versions that somebody else registered are left out.
    """
    from mlflow.exceptions import MlflowException

    found: list[ModelVersion] = []
    models: list[RegisteredModel] = []
    for name in (classifier_name(experiment), generator_name(experiment)):
        try:
            models.append(store.client.get_registered_model(name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            continue
        every = pages(store.client.search_model_versions, filter_string=f"name='{name}'")
        found += [version for version in every if version.run_id and LINEAGE_TAG in version.tags]
    found.sort(key=lambda version: (version.creation_timestamp, int(version.version)), reverse=True)
    newest = list(dict.fromkeys(str(version.run_id) for version in found))[:keep]
    why = dict.fromkeys(runs, "its experiment is as it was then")
    why |= dict.fromkeys(newest, f"of the newest {keep}" if keep > 1 else "the newest")
    special = {model.name: _special(model) for model in models}
    for version in found:
        waits = "waits for approval" if version.tags.get("gtl.approval") == "approved" else ""
        # Versions that are older than the history have a tag of their own.
        before = "was champion" if "gtl.became_champion" in version.tags else ""
        if reason := special[version.name].get(str(version.version)) or before or waits:
            why[str(version.run_id)] = reason
    return [
        Version(
            model=version.name,
            number=str(version.version),
            run=str(version.run_id),
            why=why.get(str(version.run_id), ""),
            recent=version.run_id in newest,
            collected=version.tags.get(COLLECTED_TAG),
            lineage=version.tags[LINEAGE_TAG],
            files=str(version.source),
        )
        for version in found
    ]


def _special(model: RegisteredModel) -> dict[str, str]:
    """Versions that are needed whatever their age, with the reason: by the model's history and by its aliases."""
    moves = [entry for entry in read_entries(model.tags) if entry.alias == "champion"]
    champions = {number for entry in moves for number in (entry.version, entry.previous) if number}
    reasons = dict.fromkeys(sorted(champions), "was champion")
    for number in {str(number) for number in model.aliases.values()}:
        held = sorted(alias for alias, holder in model.aliases.items() if str(holder) == number)
        reasons[number] = f"is {' and '.join(held)}"
    return reasons


def collect_versions(
    store: TrackingStore, experiment: str, keep: int, runs: Collection[str], *, dry_run: bool
) -> tuple[list[Version], list[Freed]]:
    """Removes the weights of the versions that are not needed.

    Each is first marked as collected, while nobody can move an alias to it; a killed call is finished by the next.

    Args:
        store: the MLflow store.
        experiment: as the following: see `judge_versions`.
        keep: how many of the newest runs to keep.
        runs: further MLflow runs whose versions are needed.
        dry_run: only look.

    Returns:
        Every version, and what was removed.

    Raises:
        InputError: another process holds one of the models for longer than a minute.
    """
    with ExitStack() as stack:
        if not dry_run:
            for name in (classifier_name(experiment), generator_name(experiment)):
                stack.enter_context(locked(store, name))
        versions = judge_versions(store, experiment, keep, runs)
        unneeded = [version for version in versions if not version.why]
        if not dry_run:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            for version in unneeded:
                if version.collected is None:
                    store.client.set_model_version_tag(version.model, version.number, COLLECTED_TAG, now)
            for version in versions:
                # A call that asked for fewer was killed before it came to this one.
                if version.why and version.collected and _bytes(_version_folder(store, version), _WEIGHTS):
                    store.client.delete_model_version_tag(version.model, version.number, COLLECTED_TAG)
    freed = []
    for version in unneeded:
        folder = _version_folder(store, version)
        size = _bytes(folder, _WEIGHTS)
        if size:
            freed.append(Freed("weights", version.name, size))
            if not dry_run:
                folder.delete_artifacts(_WEIGHTS)
    return versions, freed


def recorded_lineage(store: TrackingStore, version: Version) -> Mapping[str, Any]:
    """The lineage record of a version, read without the rest of its files.

    Raises:
        InputError: it is gone, or is not the one that was registered.
    """
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="gtl-model-") as scratch:
        try:
            path = Path(_version_folder(store, version).download_artifacts(LINEAGE_FILE, scratch))
        except (MlflowException, OSError):
            raise InputError(f"{version.name}: its lineage record is gone") from None
        if file_sha256(path) != version.lineage:
            raise InputError(f"{version.name}: its lineage record was changed after it had been registered")
        record: Mapping[str, Any] = read_json(path)
        return record


def collect_run_files(
    store: TrackingStore,
    mlflow_experiment: str,
    keep: int,
    runs: Collection[str],
    stages: Collection[str],
    *,
    dry_run: bool,
) -> list[Freed]:
    """Removes the files (pictures, reports) of runs that nothing needs; their parameters and curves stay.

    Needed are the files of `runs`, of the newest `keep` runs, of runs that have not ended, of the runs below all
    these, and of the run that made a stage that is kept. Runs that GTL did not begin are left alone.

    Args:
        store: the MLflow store.
        mlflow_experiment: name of the experiment's runs in MLflow.
        keep: how many of the newest runs to keep.
        runs: MLflow runs of the versions that are needed.
        stages: keys of the stages that are kept.
        dry_run: only look.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    found = store.client.get_experiment_by_name(mlflow_experiment)
    if found is None:
        return []
    own: list[Run] = [
        run
        for run in pages(store.client.search_runs, experiment_ids=[found.experiment_id])
        if "gtl.stage" in run.data.tags
    ]
    begun = {run.info.run_id: run.info.start_time for run in own if run.data.tags["gtl.stage"] == "experiment"}
    needed = {*runs, *sorted(begun, key=lambda run: begun[run], reverse=True)[:keep]}
    kept = set(stages)
    freed = []
    for run in own:
        made = {value for name, value in run.data.params.items() if name.endswith("stage_key")}
        belongs = {run.info.run_id, run.data.tags.get("mlflow.parentRunId")}
        if run.info.status in ("RUNNING", "SCHEDULED") or belongs & needed or made & kept:
            continue
        folder = get_artifact_repository(run.info.artifact_uri, tracking_uri=store.client.tracking_uri)
        size = _bytes(folder)
        if size:
            freed.append(Freed("run files", f"{run.info.run_name} {run.info.run_id}", size))
            if not dry_run:
                for file in folder.list_artifacts():
                    folder.delete_artifacts(file.path)
    return freed


def _version_folder(store: TrackingStore, version: Version) -> ArtifactRepository:
    """The files of a registered version, wherever they are kept."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(version.files, tracking_uri=store.client.tracking_uri)


def _bytes(folder: ArtifactRepository, path: str | None = None) -> int:
    """How much room the files in a folder take."""
    return sum(
        _bytes(folder, file.path) if file.is_dir else int(file.file_size or 0) for file in folder.list_artifacts(path)
    )
