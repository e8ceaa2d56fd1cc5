"""OpenLineage events: what ran, on what and with what result, for catalogues such as Marquez or DataHub.

Events follow version 2-0-2 of the specification (https://openlineage.io/spec/2-0-2/OpenLineage.json) and its facets.
They are plain JSON, written here without the client library of the project, which would bring a second HTTP library
along and read configuration from the working directory.

| variable | what |
|---|---|
| `GTL_OPENLINEAGE` | a file that events are appended to, one a line |
| `OPENLINEAGE_URL`, `OPENLINEAGE_ENDPOINT`, `OPENLINEAGE_API_KEY` | a server to send them to, the standard's own |
| `OPENLINEAGE_DISABLED` | `true` switches both off, the standard's own |
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from gtl_core.registry.reach import shown

EventType = Literal["START", "COMPLETE", "FAIL", "ABORT"]

NAMESPACE = "gtl"
"""Of jobs and of data sets: a project's own names are unique in it, such as `demo` or `data/usps`."""

_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "inputStatistics": "1-0-0/InputStatisticsInputDatasetFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "parent": "1-2-0/ParentRunFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "tags": "1-0-0/TagsRunFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
}
"""The facets that GTL uses, with the version of their schema."""
_ENDPOINT = "api/v1/lineage"
_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class Dataset:
    """Something that a stage read or made.

    Attributes:
        name: its name in the project, such as `data/usps` or `demo/source_gan`.
        version: its version: DVC's for image sets, the hash of its files for stages, the number for models.
        columns: name and type of the columns of its table; empty where it has none.
        rows: how many rows that table has; None where it has none.
        bytes: the length of its files.
        files: how many files it has.
    """

    name: str
    version: str
    columns: Sequence[tuple[str, str]] = ()
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None


@dataclass(frozen=True)
class Job:
    """What runs: an experiment, or a stage of it as `EXPERIMENT.STAGE`, and the id of this run of it."""

    name: str
    run_id: str


def stage_run_id(run_id: str, stage: str, attempt: int) -> str:
    """The id of one attempt at a stage within a run: the same whoever asks."""
    return str(uuid5(NAMESPACE_URL, f"gtl:{run_id}/{stage}/{attempt}"))


def run_event(
    kind: EventType,
    job: Job,
    *,
    parent: Job | None = None,
    inputs: Sequence[Dataset] = (),
    outputs: Sequence[Dataset] = (),
    tags: Mapping[str, str] | None = None,
    error: str = "",
) -> dict[str, Any]:
    """An event, as JSON.

    Args:
        kind: what has happened to the run.
        job: what runs.
        parent: the run that it is part of.
        inputs: what it reads.
        outputs: what it has made.
        tags: facts about the run, such as its git commit.
        error: why it failed, in one line.
    """
    run: dict[str, Any] = {}
    if parent:
        run["parent"] = _facet(
            "parent", run={"runId": parent.run_id}, job={"namespace": NAMESPACE, "name": parent.name}
        )
    if tags:
        run["tags"] = _facet("tags", tags=[{"key": key, "value": tags[key], "source": "GTL"} for key in sorted(tags)])
    if error:
        run["errorMessage"] = _facet("errorMessage", message=error, programmingLanguage="PYTHON")
    kind_of_job = _facet(
        "jobType", processingType="BATCH", integration="GTL", jobType="STAGE" if parent else "EXPERIMENT"
    )
    return {
        "eventType": kind,
        "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "producer": _producer(),
        "schemaURL": _EVENT,
        "run": {"runId": job.run_id, "facets": run},
        "job": {"namespace": NAMESPACE, "name": job.name, "facets": {"jobType": kind_of_job}},
        "inputs": [_dataset(dataset, "input") for dataset in inputs],
        "outputs": [_dataset(dataset, "output") for dataset in outputs],
    }


class Sender:
    """Takes events to where the environment says; what cannot take one is left out from then on."""

    def __init__(self, file: Path | None, url: str, key: str) -> None:
        self._file = file
        self._url = url
        self._key = key

    @classmethod
    def configured(cls) -> Sender | None:
        """The sender that the environment asks for; None where it asks for none."""
        file, url = os.environ.get("GTL_OPENLINEAGE"), os.environ.get("OPENLINEAGE_URL")
        if not (file or url) or os.environ.get("OPENLINEAGE_DISABLED", "").lower() == "true":
            return None
        endpoint = os.environ.get("OPENLINEAGE_ENDPOINT", _ENDPOINT)
        whole = f"{url.rstrip('/')}/{endpoint.lstrip('/')}" if url else ""
        return cls(Path(file).absolute() if file else None, whole, os.environ.get("OPENLINEAGE_API_KEY", ""))

    def send(self, event: Mapping[str, Any]) -> list[str]:
        """Writes and sends an event.

        Returns:
            A line for each place that could not take it.
        """
        text = json.dumps(event, ensure_ascii=False) + "\n"
        troubles = []
        if self._file:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                _append(self._file, text.encode())
            except OSError as error:
                troubles.append(f"OpenLineage events cannot be written to {self._file}: {error.strerror or error}")
                self._file = None
        if self._url:
            try:
                _post(self._url, text.encode(), self._key)
            except (OSError, HTTPException, ValueError) as error:
                troubles.append(f"OpenLineage events cannot be sent to {shown(self._url)}: {_reason(error)}")
                self._url = ""
        return troubles


def _append(file: Path, line: bytes) -> None:
    """Adds a line in one write, so that lines of processes that write at once do not mix."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _post(url: str, body: bytes, key: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("it is no http or https address")
    if urlsplit(url).username:
        raise ValueError("it has a user in it; a key belongs into OPENLINEAGE_API_KEY")
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - http(s) only
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310 - as above
        pass


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"it answers {error.code}"
    if isinstance(error, HTTPException):
        return f"it does not answer as a web server does ({type(error).__name__})"
    return " ".join(str(getattr(error, "reason", error)).split())


def _dataset(dataset: Dataset, side: Literal["input", "output"]) -> dict[str, Any]:
    """A data set of an event with its facets."""
    facets = {"version": _facet("version", datasetVersion=dataset.version)}
    if dataset.columns:
        facets["schema"] = _facet("schema", fields=[{"name": name, "type": kind} for name, kind in dataset.columns])
    counts = {"rowCount": dataset.rows, "size": dataset.bytes, "fileCount": dataset.files}
    known = {name: count for name, count in counts.items() if count is not None}
    statistics = {f"{side}Statistics": _facet(f"{side}Statistics", **known)} if known else {}
    return {"namespace": NAMESPACE, "name": dataset.name, "facets": facets, f"{side}Facets": statistics}


def _facet(name: str, **values: Any) -> dict[str, Any]:
    version, schema = _FACETS[name].split("/")
    return {"_producer": _producer(), "_schemaURL": f"{_SPEC}/facets/{version}/{schema}.json#/$defs/{schema}", **values}


def _producer() -> str:
    return f"urn:gtl:{installed_version('gtl')}"
