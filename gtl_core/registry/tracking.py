"""The MLflow store: opening it, and writing runs to it with explicit run ids, never through MLflow's global run."""

from __future__ import annotations

import contextlib
import csv
import gc
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.registry.reach import check_reachable, database_reason, shown

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PARAMETER_LIMIT = 6000
"""Characters that MLflow takes of one parameter's value."""
_PARAMETERS_AT_ONCE = 100
_METRICS_AT_ONCE = 1000
_DIGEST_LIMIT = 36
"""Characters that MLflow takes of a data set's digest; DVC's `<32 digits>.dir` is just that long."""
_PAGE = 1000
"""Results asked for at once; MLflow gives no more of registered models."""

_OPENING_SECONDS = 120
"""Making the tables of a new store takes seconds, and ten times that on a busy machine."""

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class TrackingStore:
    """An open MLflow store: a tracking store and a model registry at one address.

    Attributes:
        client: MLflow's client for that address.
        artifacts: folder of artifacts of new experiments, or None where the MLflow server keeps them itself.
        locks: folder of the lock files that keep two processes of this project from changing one model at once.
    """

    client: MlflowClient
    artifacts: Path | None
    locks: Path

    def start_run(
        self,
        experiment_name: str,
        run_name: str,
        parent_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Starts a run.

        Args:
            experiment_name: MLflow experiment; made where it is not there, restored where it was deleted.
            run_name: what the MLflow page shows.
            parent_run_id: the run that this one is shown below.
            tags: further tags.

        Returns:
            The run's id.
        """
        every_tag = dict(tags or {})
        if parent_run_id:
            every_tag["mlflow.parentRunId"] = parent_run_id
        run = self.client.create_run(self._experiment_id(experiment_name), tags=every_tag, run_name=run_name)
        return str(run.info.run_id)

    def log_params(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Records parameters; nested mappings become dotted names, longer values than MLflow takes are cut."""
        from mlflow.entities import Param

        params = [Param(name, text[:_PARAMETER_LIMIT]) for name, text in _flattened(values)]
        for start in range(0, len(params), _PARAMETERS_AT_ONCE):
            self.client.log_batch(run_id, params=params[start : start + _PARAMETERS_AT_ONCE])

    def log_metrics(self, run_id: str, values: Mapping[str, float]) -> None:
        """Records single numbers, such as the scores of an evaluation; those that are not finite are left out."""
        from mlflow.entities import Metric

        now = _milliseconds()
        metrics = [Metric(name, float(value), now, 0) for name, value in values.items() if math.isfinite(value)]
        for start in range(0, len(metrics), _METRICS_AT_ONCE):
            self.client.log_batch(run_id, metrics=metrics[start : start + _METRICS_AT_ONCE])

    def log_curves(self, run_id: str, path: Path, prefix: str = "") -> None:
        """Records the curves of a CSV file, one metric for every column but `step`.

        Args:
            run_id: the run.
            path: CSV with a header, a column `step` of integers and columns of numbers; empty fields and numbers
                that are not finite are left out.
            prefix: put before the columns' names, for several files of one run.

        Raises:
            InputError: the file has no column `step`.
        """
        from mlflow.entities import Metric

        now = _milliseconds()
        metrics = []
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if "step" not in (reader.fieldnames or ()):
                raise InputError(f"{path}: curves need a column named step")
            for row in reader:
                step = int(row.pop("step"))
                numbers = {name: float(text) for name, text in row.items() if text}
                metrics += [
                    Metric(prefix + name, value, now, step) for name, value in numbers.items() if math.isfinite(value)
                ]
        for start in range(0, len(metrics), _METRICS_AT_ONCE):
            self.client.log_batch(run_id, metrics=metrics[start : start + _METRICS_AT_ONCE])

    def log_artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Copies a file into the run's artifacts, below `folder` where one is given."""
        self.client.log_artifact(run_id, str(path), folder)

    def log_dataset_input(self, run_id: str, name: str, role: str, version: str, images: int) -> None:
        """Records that the run read a data set.

        Args:
            run_id: the run.
            name: the image set's name.
            role: what it served as, such as `source` or `target`.
            version: its data version.
            images: how many images it holds.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=name,
            digest=version[:_DIGEST_LIMIT],
            source_type="gtl",
            source=json.dumps({"image_set": name, "version": version}),
            profile=json.dumps({"images": images}),
        )
        tag = InputTag(key="mlflow.data.context", value=role)
        self.client.log_inputs(run_id, datasets=[DatasetInput(dataset=dataset, tags=[tag])])

    def finish(self, run_id: str, status: RunStatus = "FINISHED") -> None:
        """Ends a run."""
        self.client.set_terminated(run_id, status)

    def model_folder(self, name: str, version: str, scratch: Path) -> Path:
        """The folder with the files of a registered model version; it is gone where someone has removed it.

        Args:
            name: the registered model.
            version: its version.
            scratch: an existing folder; files of a store on another machine are downloaded into it, files on this
                machine are read where they lie.
        """
        import mlflow.artifacts
        from mlflow.utils.file_utils import local_file_uri_to_path
        from mlflow.utils.uri import is_local_uri

        location = str(self.client.get_model_version_download_uri(name, version))
        if is_local_uri(location):
            return Path(local_file_uri_to_path(location))
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=location, dst_path=str(scratch), tracking_uri=self.client.tracking_uri
            )
        )

    def has_files(self, name: str, version: str) -> bool:
        """Whether the files of a registered model version are where the store says, without fetching any."""
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException
        from mlflow.utils.file_utils import local_file_uri_to_path
        from mlflow.utils.uri import is_local_uri

        location = str(self.client.get_model_version_download_uri(name, version))
        if is_local_uri(location):
            return (Path(local_file_uri_to_path(location)) / "MLmodel").is_file()
        with contextlib.suppress(MlflowException):
            files = mlflow.artifacts.list_artifacts(artifact_uri=location, tracking_uri=self.client.tracking_uri)
            return any(Path(file.path).name == "MLmodel" for file in files)
        return False

    def _experiment_id(self, name: str) -> str:
        """The id of the MLflow experiment of that name, which is made where it is not there."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = (self.artifacts / name).as_uri() if self.artifacts else None
            with contextlib.suppress(MlflowException):  # another process may have made it in the meantime
                return str(self.client.create_experiment(name, artifact_location=location))
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise InputError(f"the MLflow store took no experiment named {name!r}; look at its server's log")
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def has_store(homes: Homes) -> bool:
    """Whether there is a store to look into: who only looks must not make one, whose tables take seconds."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (homes.mlruns / "mlflow.db").is_file()


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Imports make many objects and hardly any garbage; looking for it takes a fifth of MLflow's two seconds."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collection()
def open_store(homes: Homes) -> TrackingStore:
    """Opens the MLflow store: the one that `MLFLOW_TRACKING_URI` names, else `mlflow.db` in the MLflow home.

    Raises:
        InputError: it cannot be reached or is not an MLflow store of this version.
    """
    configured = os.environ.get("MLFLOW_TRACKING_URI")
    uri = configured or f"sqlite:///{homes.mlruns / 'mlflow.db'}"
    check_reachable(uri)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # each step of making a store or a package is told otherwise
    # It writes a traceback for an exception that it raises as well, and that may be waited for, as a lock is.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    locks = homes.mlruns / ".locks"
    try:
        with contextlib.nullcontext() if uri.startswith("http") else _alone(locks):
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
    except MlflowException as error:
        raise InputError(f"the MLflow store {shown(uri)} cannot be used: {' '.join(str(error).split())}") from error
    except SQLAlchemyError as error:
        raise InputError(f"the MLflow store {shown(uri)} cannot be used: {database_reason(error)}") from error
    # Servers hand out the location of artifacts; a database reached directly has nobody to do so.
    artifacts = None if uri.startswith("http") else homes.mlruns / "artifacts"
    return TrackingStore(client, artifacts, locks)


@contextlib.contextmanager
def _alone(locks: Path) -> Iterator[None]:
    """One process at a time opens a database: two that found it empty would both make its tables, and fail."""
    from filelock import FileLock, Timeout

    locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(locks / "store.lock", timeout=_OPENING_SECONDS):
            yield
    except Timeout:
        raise InputError(
            f"another process has been opening the MLflow store for {_OPENING_SECONDS} s; try again, or see gtl doctor"
        ) from None


def pages(search: Callable[..., Any], **query: Any) -> list[Any]:
    """All results of one of MLflow's searches, which give a page at a time."""
    found = list(page := search(**query, max_results=_PAGE))
    while page.token:
        found += (page := search(**query, max_results=_PAGE, page_token=page.token))
    return found


def _flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and texts of a nested mapping's leaves, as `outer.inner`."""
    flat: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat += _flattened(value, f"{prefix}{name}.")
        else:
            flat.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return flat


def _milliseconds() -> int:
    return int(time.time() * 1000)
