"""Lineage downwards: which registered models have ever seen an image set, one of its images, or one of its groups."""

from __future__ import annotations

import difflib
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gtl_core.data import dvc
from gtl_core.data.catalog import names
from gtl_core.data.directory_hash import directory_md5, rows_md5
from gtl_core.data.manifest import FILES
from gtl_core.errors import InputError
from gtl_core.files import file_sha256, read_json
from gtl_core.homes import Homes
from gtl_core.registry.lineage import LINEAGE_FILE, LINEAGE_TAG, iso
from gtl_core.registry.seen import LEARNED, ROLES, SEEN_FILE, Role, SeenImage, find_seen
from gtl_core.registry.tracking import TrackingStore, has_store, open_store, pages

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Descendant:
    """A model version that has seen what was asked for.

    Attributes:
        model: the registered model.
        version: its version.
        aliases: what it is at this moment.
        created: when it was registered, UTC, ISO 8601.
        dataset_versions: versions of the set that it saw; one, unless the set was source and target of its run.
        known: `images` where it is on record which images it has seen; `set` where only the set is, and the images
            are in that version of it; `set as a whole` where not even that can be told any more.
        roles: how many of the images served as what; empty unless `known` is `images`.
    """

    model: str
    version: str
    aliases: tuple[str, ...]
    created: str
    dataset_versions: tuple[str, ...]
    known: Literal["images", "set", "set as a whole"]
    roles: Mapping[Role, int] = field(default_factory=dict)

    @property
    def learned(self) -> bool | None:
        """Whether the images are in its weights; None where that is not on record."""
        return any(role in LEARNED for role in self.roles) if self.known == "images" else None


@dataclass(frozen=True)
class Descent:
    """What became of an image set, or of some images of it.

    Attributes:
        versions: the model versions, by name, newest first.
        elsewhere: other sets in which models have seen the same images or the same group.
        unknown: registered versions of which nothing is on record, as `NAME/VERSION`.
        present: how many of the images are in the set as it is now; None where the set is gone, or was asked for whole.
    """

    versions: tuple[Descendant, ...]
    elsewhere: tuple[str, ...]
    unknown: tuple[str, ...]
    present: int | None


@dataclass(frozen=True)
class _Question:
    """What is looked for."""

    dataset: str
    images: Sequence[str]
    group: str | None

    @property
    def whole(self) -> bool:
        return not self.images and self.group is None

    def matches(self, manifest: Path) -> int:
        """How many rows of a set's manifest are looked for."""
        import pandas as pd

        rows = pd.read_parquet(manifest, columns=["sha256", "group"])
        return int((rows["sha256"].isin(list(self.images)) | (rows["group"] == self.group)).sum())


def descend(homes: Homes, dataset: str, *, images: Sequence[str] = (), group: str | None = None) -> Descent:
    """Finds every registered model version that has seen an image set.

    Args:
        homes: the project's homes.
        dataset: name of the set; any version of it counts.
        images: SHA-256 of the pixels of images, as the set's manifest has them, to look for these alone.
        group: a group of the set, such as a patient, to look for its images.

    Raises:
        InputError: there are no models, there never was such a set here, an image is not given by its hash, or the
            group has no name.
    """
    if group == "":
        raise InputError("an empty group is none: images without a group are found by their own hashes")
    question = _Question(dataset, [_hash(image) for image in images], group)
    if not has_store(homes):
        raise InputError("no models yet, so none has seen anything; gtl demo or gtl run EXPERIMENT registers some")
    store = open_store(homes)
    held: dict[tuple[str, str], list[str]] = {}
    for model in pages(store.client.search_registered_models):
        for alias, version in model.aliases.items():
            held.setdefault((model.name, str(version)), []).append(alias)
    found, unknown = [], []
    with tempfile.TemporaryDirectory(prefix="gtl-descent-") as scratch:
        search = _Search(homes, store, question, Path(scratch))
        for version in pages(store.client.search_model_versions):
            name, number = version.name, str(version.version)
            record = search.record(version)
            if record is None:
                unknown.append(f"{name}/{number}")
                continue
            seen = search.answer(version, record)
            if seen:
                versions = tuple(data["version"] for data in record["datasets"] if data["name"] == dataset)
                aliases = tuple(sorted(held.get((name, number), [])))
                found.append(Descendant(name, number, aliases, iso(version.creation_timestamp), versions, *seen))
        _require_known(dataset, {*search.datasets, *names(homes.data)}, homes)
    manifest = homes.data / dataset / FILES[1]
    return Descent(
        versions=tuple(sorted(found, key=lambda row: (row.model, -int(row.version)))),
        elsewhere=tuple(sorted(search.elsewhere)),
        unknown=tuple(unknown),
        present=question.matches(manifest) if manifest.is_file() and not question.whole else None,
    )


class _Search:
    """Goes through the records of all versions and reads nothing twice."""

    def __init__(self, homes: Homes, store: TrackingStore, question: _Question, scratch: Path) -> None:
        self.datasets: set[str] = set()
        self.elsewhere: set[str] = set()
        self._homes = homes
        self._store = store
        self._question = question
        self._scratch = scratch
        self._rows: dict[str, list[SeenImage] | None] = {}
        self._matches: dict[tuple[str, str], int | None] = {}

    def record(self, version: ModelVersion) -> dict[str, Any] | None:
        """The lineage record of a version; where it is gone or was changed, the sets that its run has noted."""
        path = self._file(version, LINEAGE_FILE) if LINEAGE_TAG in version.tags else None
        if path and file_sha256(path) == version.tags[LINEAGE_TAG]:
            record: dict[str, Any] = read_json(path)
        else:
            datasets = self._noted(version)
            if not datasets:
                return None
            record = {"datasets": datasets, "data_version": version.tags.get("gtl.data_version")}
        self.datasets.update(data["name"] for data in record["datasets"])
        return record

    def answer(
        self, version: ModelVersion, record: Mapping[str, Any]
    ) -> tuple[Literal["images", "set", "set as a whole"], Mapping[Role, int]] | None:
        """How much is known of what a version has seen, and the roles; None where it has seen nothing of it."""
        question = self._question
        rows = None if "seen" not in record or question.whole else self._seen(version, record["seen"]["sha256"])
        if rows is not None:
            self.elsewhere.update(row.dataset for row in rows if row.dataset != question.dataset)
            counted = Counter(row.role for row in rows if row.dataset == question.dataset)
            roles = {role: counted[role] for role in ROLES if role in counted}
            return ("images", roles) if roles else None
        mine = [data for data in record["datasets"] if data["name"] == question.dataset]
        if not mine:
            return None
        if question.whole:
            seen = record["seen"]["images"] if "seen" in record else []
            counts = {row["role"]: row["images"] for row in seen if row["dataset"] == question.dataset}
            return ("images", counts) if counts else ("set as a whole", {})
        matches = [self._in_set(data["version"], record.get("data_version")) for data in mine]
        if None in matches:
            return "set as a whole", {}
        return ("set", {}) if any(matches) else None

    def _file(self, version: ModelVersion, name: str) -> Path | None:
        """A file of a version; fetched where the store is on another machine, None where it is gone."""
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException
        from mlflow.utils.file_utils import local_file_uri_to_path
        from mlflow.utils.uri import is_local_uri

        if is_local_uri(version.source):
            path = Path(local_file_uri_to_path(version.source)) / name
            return path if path.is_file() else None
        location = self._store.client.get_model_version_download_uri(version.name, str(version.version))
        folder = self._scratch / version.name / str(version.version)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            fetched = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{location}/{name}",
                dst_path=str(folder),
                tracking_uri=self._store.client.tracking_uri,
            )
        except (MlflowException, OSError):
            return None
        return Path(fetched)

    def _noted(self, version: ModelVersion) -> list[dict[str, str]]:
        """The sets that the MLflow run of a version has read."""
        from mlflow.exceptions import MlflowException

        try:
            inputs = self._store.client.get_run(version.run_id).inputs if version.run_id else None
        except MlflowException:
            return []
        read = inputs.dataset_inputs if inputs else []
        return [{"name": each.dataset.name, "version": each.dataset.digest} for each in read]

    def _seen(self, version: ModelVersion, sha256: str) -> list[SeenImage] | None:
        """The rows that are looked for among what a version has seen; None where its list is gone or was changed."""
        if sha256 not in self._rows:
            path = self._file(version, SEEN_FILE)
            whole = path is not None and file_sha256(path) == sha256
            question = self._question
            self._rows[sha256] = list(find_seen(path, question.images, question.group)) if path and whole else None
        return self._rows[sha256]

    def _in_set(self, version: str, data_version: str | None) -> int | None:
        """How many of the images are in a version of the set; None where that version cannot be had any more."""
        key = (version, data_version or "")
        if key not in self._matches:
            manifest = self._manifest(version, data_version)
            self._matches[key] = self._question.matches(manifest) if manifest else None
        return self._matches[key]

    def _manifest(self, version: str, data_version: str | None) -> Path | None:
        """The manifest of a version of the set: the present one's, or the one in DVC's cache."""
        folder = self._homes.data / self._question.dataset
        if folder.is_dir() and directory_md5(folder) == version:
            return folder / FILES[1]
        rows = dvc.cached_rows(self._homes.root, data_version) if data_version else None
        of_set = dvc.by_set(rows or []).get(self._question.dataset, [])
        if rows_md5(of_set) != version:
            return None
        found = [dvc.cached(self._homes.root, row["md5"]) for row in of_set if row["relpath"] == FILES[1]]
        return found[0] if found and found[0].is_file() else None


def _hash(image: str) -> str:
    """An image's hash as it was given, in lower case."""
    text = image.strip().lower()
    if not _SHA256.fullmatch(text):
        raise InputError(
            f"{image!r} is no SHA-256 of an image: 64 hexadecimal digits, which stand in the set's {FILES[1]} beside "
            "the source_file"
        )
    return text


def _require_known(dataset: str, known: Collection[str], homes: Homes) -> None:
    """Refuses a set that no model has seen and that is not in `data/` either: its name is misspelt."""
    if dataset in known:
        return
    near = difflib.get_close_matches(dataset, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(known)) or 'none yet'}"
    raise InputError(f"no registered model has seen a set {dataset!r}, and there is none in {homes.data}; {hint}")
