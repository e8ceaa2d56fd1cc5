"""Lineage records: everything that a registered model version was made of, and whether it is still there unchanged."""

from __future__ import annotations

import difflib
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gtl_core.errors import InputError
from gtl_core.files import file_sha256, read_json
from gtl_core.homes import Homes
from gtl_core.registry.seen import SEEN_FILE, count_seen
from gtl_core.registry.standing import aliases
from gtl_core.registry.tracking import TrackingStore, has_store, open_store, pages

if TYPE_CHECKING:
    from gtl_core.config import Experiment

LINEAGE_FILE = "lineage.json"
"""Name of the record inside a model's folder, so that it goes wherever the model goes."""
LINEAGE_TAG = "gtl.lineage_sha256"
"""Tag of a model version with the hash of that file."""
COLLECTED_TAG = "gtl.collected"
"""Tag of a model version whose weights were removed because nothing needed them (see `retention.py`): when."""


@dataclass(frozen=True)
class HashCheck:
    """One hash of a lineage record beside what is there now.

    Attributes:
        what: what was hashed, such as `checkpoint source_gan`.
        recorded: the hash in the record.
        found: the hash of the file now; None where it is gone.
    """

    what: str
    recorded: str
    found: str | None

    @property
    def state(self) -> Literal["same", "changed", "missing"]:
        """How what is there compares with what was recorded."""
        if self.found is None:
            return "missing"
        return "same" if self.found == self.recorded else "changed"


def git_commit(root: Path) -> str:
    """The commit that is checked out, followed by `-dirty` where tracked files differ from it.

    Raises:
        InputError: `root` is no git checkout with at least one commit, or there is no git command.
    """
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise InputError("lineage needs the git command; install git") from error
    except subprocess.CalledProcessError as error:
        raise InputError(
            f"{root} is no git checkout with a commit, so models could not be traced to their code; clone the "
            "project, or run git init and commit"
        ) from error
    return commit.stdout.strip() + ("-dirty" if changes.stdout.strip() else "")


def environment(root: Path) -> dict[str, Any]:
    """What the code ran on, as far as weights depend on it.

    Returns:
        `lock_sha256` (None where there is no lock file), `gtl`, `python`, `torch`, `machine` (the kind of processor),
        `instructions` (the vector instructions that torch uses), `threads` (of torch in this process), and `device`
        (name of the GPU; None without).
    """
    import torch

    lock = root / "requirements.lock"
    return {
        "lock_sha256": file_sha256(lock) if lock.is_file() else None,
        "gtl": installed_version("gtl"),
        "python": platform.python_version(),
        "torch": installed_version("torch"),
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def build_record(
    homes: Homes,
    experiment: Experiment,
    *,
    mlflow_run_id: str,
    dagster_run_id: str | None,
    data_version: str,
    datasets: Sequence[Mapping[str, Any]],
    seen: Path,
    documents: Mapping[str, Path],
    checkpoints: Sequence[tuple[str, Path]],
    synthetic: Path,
    verdict: Mapping[str, Any],
    arms: Sequence[Mapping[str, Any]],
    best: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything of a lineage record but the model version, which is known only when it has been registered.

    Args:
        homes: the project's homes.
        experiment: what was run; the record holds all of it, so that it can be run again without its file.
        mlflow_run_id: the run that the model is logged in.
        dagster_run_id: the Dagster run, or None outside Dagster.
        data_version: version of the whole data home.
        datasets: `{name, role, version, images, licence}` of each image set, and `sound` where its images are pictures
            of sounds.
        seen: file from `write_seen`.
        documents: files that are logged in the run, by their path among its artifacts.
        checkpoints: stage and file of each checkpoint on the way.
        synthetic: folder of the synthetic set.
        verdict: the evaluation's verdict.
        arms: the evaluation's `arms.json`.
        best: the evaluation's `best.json`: which arm the classifier is, by what it was chosen, and how it was trained.
    """
    from gtl_core.synthesis.synthetic_set import SyntheticSet, synthetic_manifest_sha256
    from gtl_core.training.pretrained import checkpoint_sha256

    checkpoint = experiment.classifier.checkpoint
    return {
        "experiment": experiment.model_dump(mode="json"),
        **({"backbone": {"sha256": checkpoint_sha256(homes.root / checkpoint)}} if checkpoint else {}),
        "mlflow_run_id": mlflow_run_id,
        "dagster_run_id": dagster_run_id,
        "git_commit": git_commit(homes.root),
        "data_version": data_version,
        "datasets": [dict(dataset) for dataset in datasets],
        "seen": {"sha256": file_sha256(seen), "images": count_seen(seen)},
        "documents": {name: file_sha256(path) for name, path in documents.items()},
        "checkpoints": [
            {"stage": stage, "sha256": file_sha256(path), "path": _portable(path, homes)} for stage, path in checkpoints
        ],
        "synthetic": {
            "manifest_sha256": synthetic_manifest_sha256(synthetic),
            "images": len(SyntheticSet.load(synthetic)),
            "path": _portable(synthetic, homes),
        },
        "verdict": dict(verdict),
        "arms": [{name: row[name] for name in ("arm", "mean", "low", "high")} for row in arms],
        "best": {name: best.get(name) for name in ("arm", "strategy", "draw", "gan_seed", "chosen_by", "recipe")},
        "environment": environment(homes.root),
    }


def read_lineage(homes: Homes, reference: str) -> dict[str, Any]:
    """The lineage record of a model version.

    Args:
        homes: the project's homes.
        reference: `NAME@ALIAS`, `NAME/VERSION`, or `NAME` for its champion, or its newest version where it has none.

    Raises:
        InputError: there are no models, no such model, alias or version, or its record is gone or is not the one
            written.
    """
    if not has_store(homes):
        raise InputError("no models yet; gtl demo or gtl run EXPERIMENT registers some")
    store = open_store(homes)
    name, version = resolve(store, reference)
    with tempfile.TemporaryDirectory(prefix="gtl-model-") as scratch:
        return _read(store, name, version, store.model_folder(name, version, Path(scratch)))


def resolve(store: TrackingStore, reference: str) -> tuple[str, str]:
    """Name and version that a reference stands for; see `read_lineage`.

    Raises:
        InputError: there is no such model, alias or version.
    """
    name = reference.split("@")[0].split("/")[0]
    known = {model.name for model in pages(store.client.search_registered_models)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "gtl models lists them"
        raise InputError(f"no registered model {name!r}; {hint}")
    found = pages(store.client.search_model_versions, filter_string=f"name='{name}'")
    versions = sorted((str(version.version) for version in found), key=int)
    by_alias = aliases(store, name)
    if "@" in reference:
        alias = reference.split("@", 1)[1]
        if alias not in by_alias:
            raise InputError(f"{name} has no {alias!r}; it has {', '.join(sorted(by_alias)) or 'no aliases'}")
        return name, by_alias[alias]
    if "/" in reference:
        version = reference.split("/", 1)[1]
        if version not in versions:
            raise InputError(f"{name} has no version {version!r}; it has {', '.join(versions) or 'none'}")
        return name, version
    if not versions:
        raise InputError(f"{name} has no version; run its experiment first")
    return name, by_alias.get("champion", versions[-1])


def verify_lineage(homes: Homes, reference: str) -> list[HashCheck]:
    """Hashes again everything that a lineage record names.

    Args:
        homes: the project's homes.
        reference: as for `read_lineage`.

    Returns:
        A check for the model's weights and code, the list of the images that it has seen where it has one, each
        checkpoint, the synthetic manifest, each data set and the lock file.

    Raises:
        InputError: as `read_lineage` raises it.
    """
    from gtl_core.data.catalog import find
    from gtl_core.synthesis.synthetic_set import synthetic_manifest_sha256

    store = open_store(homes)
    name, version = resolve(store, reference)
    with tempfile.TemporaryDirectory(prefix="gtl-model-") as scratch:
        folder = store.model_folder(name, version, Path(scratch))
        record = _read(store, name, version, folder)
        checks = [HashCheck(f"model {file}", sha256, _hash(folder / file)) for file, sha256 in record["files"].items()]
        if "seen" in record:
            checks.append(HashCheck("seen images", record["seen"]["sha256"], _hash(folder / SEEN_FILE)))
    for checkpoint in record["checkpoints"]:
        path = _located(checkpoint["path"], homes)
        checks.append(HashCheck(f"checkpoint {checkpoint['stage']}", checkpoint["sha256"], _hash(path)))
    synthetic = _located(record["synthetic"]["path"], homes)
    found = synthetic_manifest_sha256(synthetic) if synthetic.is_dir() else None
    checks.append(HashCheck("synthetic manifest", record["synthetic"]["manifest_sha256"], found))
    for dataset in record["datasets"]:
        try:
            now = find(homes.data, dataset["name"]).version
        except InputError:
            now = None
        checks.append(HashCheck(f"data set {dataset['name']}", dataset["version"], now))
    lock = record["environment"]["lock_sha256"]
    if lock:
        checks.append(HashCheck("requirements.lock", lock, _hash(homes.root / "requirements.lock")))
    return checks


def synthetic_folder(homes: Homes, record: Mapping[str, Any]) -> Path:
    """Folder of the synthetic set of a lineage record."""
    return _located(record["synthetic"]["path"], homes)


def generator_checkpoint(homes: Homes, record: Mapping[str, Any]) -> Path:
    """Checkpoint of the GAN whose generator a lineage record is about.

    Raises:
        InputError: it is gone, or not the one that was registered.
    """
    made = next(
        entry for entry in record["checkpoints"] if entry["stage"].startswith(("transferred_gan/", "scratch_gan/"))
    )
    path, model = _located(made["path"], homes), f"{record['model']['name']}/{record['model']['version']}"
    found = _hash(path)
    if found != made["sha256"]:
        what = "is gone" if found is None else "has changed"
        raise InputError(f"{model}: the checkpoint that it was made from, {path}, {what}; run its experiment again")
    return path


def list_models(homes: Homes) -> list[dict[str, Any]]:
    """Every registered model version, by name, newest first.

    Returns:
        Rows of `name, version, aliases, kind, experiment, verdict, metric, score, created, collected,
        mlflow_run_id`, where the score is the one on the test images that the gate measured, None for generators, and
        `collected` is when its weights were removed, None where they were not.
    """
    store = open_store(homes)
    by_version: dict[tuple[str, str], list[str]] = {}
    for model in pages(store.client.search_registered_models):
        for alias, version in model.aliases.items():
            by_version.setdefault((model.name, str(version)), []).append(alias)
    rows = [
        {
            "name": version.name,
            "version": str(version.version),
            "aliases": sorted(by_version.get((version.name, str(version.version)), [])),
            "kind": version.tags.get("gtl.kind"),
            "experiment": version.tags.get("gtl.experiment"),
            "verdict": version.tags.get("gtl.verdict"),
            "metric": version.tags.get("gtl.metric"),
            "score": float(version.tags["gtl.score"]) if "gtl.score" in version.tags else None,
            "created": iso(version.creation_timestamp),
            "collected": version.tags.get(COLLECTED_TAG),
            "mlflow_run_id": version.run_id,
        }
        for version in pages(store.client.search_model_versions)
    ]
    return sorted(rows, key=lambda row: (row["name"], -int(row["version"])))


def iso(milliseconds: int) -> str:
    """MLflow's time stamp as ISO 8601, UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _read(store: TrackingStore, name: str, version: str, folder: Path) -> dict[str, Any]:
    """The record in a model's folder, with the model version, its present aliases, and when what happened to it."""
    path = folder / LINEAGE_FILE
    if not folder.is_dir():
        raise InputError(
            f"{name} version {version}: its files are not at {folder}; restore them, or let gtl doctor look for "
            "a moved project"
        )
    registered = store.client.get_model_version(name, version)
    tags = registered.tags
    if LINEAGE_TAG not in tags or not path.is_file():
        raise InputError(f"{name} version {version} was not registered by gtl: it has no lineage record")
    if file_sha256(path) != tags[LINEAGE_TAG]:
        raise InputError(f"{name} version {version}: {LINEAGE_FILE} was changed after it had been registered")
    held = sorted(alias for alias, held_by in aliases(store, name).items() if held_by == version)
    record: dict[str, Any] = read_json(path)
    created = iso(registered.creation_timestamp)
    model = {"name": name, "version": version, "aliases": held, "created": created}
    return {"model": {**model, "collected": tags.get(COLLECTED_TAG)}, **record}


def _portable(path: Path, homes: Homes) -> str:
    """The path below the artifacts home, so that a moved project still finds it; absolute where it is elsewhere."""
    path = path.resolve()
    return path.relative_to(homes.artifacts).as_posix() if path.is_relative_to(homes.artifacts) else str(path)


def _located(path: str, homes: Homes) -> Path:
    """The file of a recorded path."""
    return homes.artifacts / path


def _hash(path: Path) -> str | None:
    return file_sha256(path) if path.is_file() else None
