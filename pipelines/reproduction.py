"""Makes a registered model again from what is on record about it, and compares.

The code is that of the recorded commit, in a temporary git worktree; the data are the recorded versions, restored into
a folder of their own; the settings are the recorded ones; and everything that is made lies in that folder too. Nothing
of the user's is touched. The libraries are those that are installed: where they differ from the recorded lock, the
result says so.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import yaml

from gtl_core.config import load_experiment
from gtl_core.data import dvc
from gtl_core.data.catalog import find
from gtl_core.data.demo import EMBEDDED
from gtl_core.data.directory_hash import directory_md5
from gtl_core.data.manifest import FILES
from gtl_core.errors import DataFailure, GateRefused, GtlError, InputError
from gtl_core.files import file_sha256, read_json, write_text
from gtl_core.homes import Homes
from gtl_core.registry.commits import clean, has_commit, is_dirty
from gtl_core.registry.lineage import environment, read_lineage

_LOCK = "requirements.lock"
_START = "from pipelines.cli.main import main; main()"
_NOT_HANDED_ON = ("GTL_", "DAGSTER_", "MLFLOW_", "OPENLINEAGE", "PYTHON")
"""Variables of the user's project, which the other run must not write to or report to."""
_SHOWN = 5
_KEY_CHARACTERS = 16


@dataclass(frozen=True)
class Weights:
    """A file of the model's making: its recorded hash, and that of the one that was made now (None where none was)."""

    stage: str
    recorded: str
    found: str | None

    @property
    def same(self) -> bool:
        """Whether they are equal to the last bit."""
        return self.recorded == self.found


@dataclass(frozen=True)
class ArmAgain:
    """An arm's mean score: the recorded one with its 95 % interval, and the one of now (None where it has none)."""

    arm: str
    recorded: float
    low: float
    high: float
    found: float | None

    @property
    def within(self) -> bool:
        """Whether the score of now lies in the recorded interval."""
        return self.found is not None and self.low <= self.found <= self.high


@dataclass(frozen=True)
class Reproduction:
    """What came out.

    Attributes:
        model: `NAME/VERSION`.
        commit: whose code was run.
        notes: what was not as recorded: libraries, processor, changes that were not committed.
        weights: the files on the model's way.
        arms: the arms of its evaluation; none where an old record does not have them.
        seconds: how long the run took.
    """

    model: str
    commit: str
    notes: tuple[str, ...]
    weights: tuple[Weights, ...]
    arms: tuple[ArmAgain, ...]
    seconds: float

    @property
    def outcome(self) -> Literal["same weights", "within the intervals", "different"]:
        """The answer: the same to the last bit, as good as recorded, or neither."""
        if all(weights.same for weights in self.weights):
            return "same weights"
        return "within the intervals" if self.arms and all(arm.within for arm in self.arms) else "different"

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        weights = [{**asdict(weights), "same": weights.same} for weights in self.weights]
        arms = [{**asdict(arm), "within": arm.within} for arm in self.arms]
        return {**asdict(self), "weights": weights, "arms": arms, "outcome": self.outcome}


def reproduce(homes: Homes, reference: str, *, force: bool = False, keep: Path | None = None) -> Reproduction:
    """Makes a model again and compares it with its record. The run tells of itself on standard error.

    Args:
        homes: the project's homes.
        reference: `NAME/VERSION`, `NAME@ALIAS`, or `NAME` for its champion.
        force: go on where the code had changes that are in no commit.
        keep: a folder to make for everything that the run makes; None to throw it away.

    Raises:
        InputError: there is no such version, its record is gone, its commit is not in this repository, its code had
            changes that are in no commit, a data version cannot be had any more, or `keep` is there already.
        DataFailure: the data fail the validation of that commit.
        GtlError: the run failed.
    """
    record = read_lineage(homes, reference)
    model = f"{record['model']['name']}/{record['model']['version']}"
    commit = record["git_commit"]
    if not has_commit(homes.root, commit):
        raise InputError(
            f"{model} was made by commit {clean(commit)}, which is not in {homes.root}; git fetch may bring it"
        )
    if is_dirty(commit) and not force:
        raise InputError(
            f"{model} was made by commit {clean(commit)} with changes that were not committed, so its code is on "
            "record only in part; --force runs that commit without them"
        )
    if keep is not None and keep.exists():
        raise InputError(f"--keep: {keep} is there already; name a folder that is not")
    with _folder(keep) as work, _worktree(homes.root, clean(commit), work) as checkout:
        apart = _homes(checkout, work)
        _restore_data(homes, record, apart)
        notes = [*_circumstances(record, checkout), *_write_experiment(homes, record, apart)]
        if is_dirty(commit):
            notes.insert(0, "the changes that were not committed are not in this run")
        started = time.monotonic()
        summary = _run(apart, record)
        return Reproduction(
            model=model,
            commit=clean(commit),
            notes=tuple(notes),
            weights=tuple(_weights(record, apart)),
            arms=tuple(_arms(homes, record, summary)),
            seconds=round(time.monotonic() - started, 1),
        )


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """The folder that everything lies in."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="gtl-reproduce-") as name:
        yield Path(name).resolve()


@contextmanager
def _worktree(root: Path, commit: str, work: Path) -> Iterator[Path]:
    """The project's folder in a worktree of a commit, which is gone again after the block."""
    tree = work / "checkout"
    # Hooks are the user's, and may bring data or install things.
    git = ["git", "-c", f"core.hooksPath={work / 'no-hooks'}"]
    prefix = subprocess.run(["git", "rev-parse", "--show-prefix"], cwd=root, capture_output=True, text=True, check=True)
    try:
        _git([*git, "worktree", "add", "--quiet", "--detach", str(tree), commit], root)
        yield tree / prefix.stdout.strip()
    finally:
        # Not `prune`, which would also forget worktrees of the user's that are only not mounted.
        subprocess.run([*git, "worktree", "remove", "--force", str(tree)], cwd=root, capture_output=True, check=False)
        shutil.rmtree(tree, ignore_errors=True)


def _git(command: list[str], root: Path) -> None:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"git worktree failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")


def _homes(checkout: Path, work: Path) -> Homes:
    """Homes of the other run."""
    return Homes(checkout, *(work / name for name in ("data", "mlruns", "artifacts", "dagster", "experiments")))


def _restore_data(homes: Homes, record: Mapping[str, Any], apart: Homes) -> None:
    """Brings the recorded version of every image set."""
    apart.data.mkdir()
    fetched = False
    for data in record["datasets"]:
        name, version = data["name"], data["version"]
        if _bring(homes, record["data_version"], name, version, apart.data / name):
            continue
        if not fetched and dvc.default_remote(homes.root):
            _fetch(homes.root, apart.root)
            fetched = True
            if _bring(homes, record["data_version"], name, version, apart.data / name):
                continue
        raise InputError(
            f"version {version} of {name} is neither in {homes.data} nor in DVC's cache"
            f"{' nor on its remote' if fetched else ''}; without its data the model cannot be made again"
        )


def _bring(homes: Homes, data_version: str, name: str, version: str, folder: Path) -> bool:
    """Copies a version of an image set from where it can be had; whether it could."""
    try:
        if find(homes.data, name).version == version:
            shutil.copytree(homes.data / name, folder)
            return True
    except InputError:  # it is not there, or damaged
        pass
    rows = dvc.cached_rows(homes.root, data_version) or []
    of_set = dvc.by_set(rows).get(name, [])
    if dvc.versions_by_set(rows).get(name) == version and dvc.all_cached(homes.root, of_set):
        dvc.restore(homes.root, of_set, folder)
    elif name in EMBEDDED:
        EMBEDDED[name](folder)
    else:
        return False
    if directory_md5(folder) == version:
        return True
    shutil.rmtree(folder)  # a damaged cache, or a built-in set of another version of gtl
    return False


def _fetch(root: Path, checkout: Path) -> None:
    """Lets DVC bring the data that the commit pins into the project's cache; what it cannot bring stays missing."""
    local = configparser.ConfigParser(interpolation=None, strict=False)
    local.read(root / ".dvc" / "config.local", encoding="utf-8")
    if not local.has_section("cache"):
        local.add_section("cache")
    local.set("cache", "dir", str(root / ".dvc" / "cache"))
    # It may hold credentials of the remote, as the one it is made from.
    descriptor = os.open(checkout / ".dvc" / "config.local", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        local.write(stream)
    # Where the remote does not answer or does not have it, whoever asked says what is missing.
    with suppress(InputError):
        dvc.run(checkout, "fetch", "data.dvc")


def _circumstances(record: Mapping[str, Any], checkout: Path) -> Iterator[str]:
    """What of the environment is not as recorded, a sentence each."""
    recorded, now = record["environment"], environment(checkout)
    if not (checkout / "pipelines").is_dir():
        was = recorded.get("gtl", "a version that is not on record")
        yield f"the commit does not hold gtl itself, so the installed gtl {now['gtl']} was run; it was {was}"
    if recorded["lock_sha256"] != now["lock_sha256"]:
        yield f"the commit's {_LOCK} is not the recorded one, so the recorded libraries are not known one by one"
    differing = differing_libraries(checkout / _LOCK)
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        yield f"installed libraries differ from the commit's lock: {', '.join(differing[:_SHOWN])}{more}"
    names = {"python": "Python", "torch": "torch", "machine": "the processor", "instructions": "vector instructions"}
    for key, name in {**names, "device": "the GPU"}.items():
        if key in recorded and recorded[key] != now[key]:
            yield f"{name} was {recorded[key] or 'none'} and is {now[key] or 'none'}"
    if "threads" not in recorded:
        yield f"the number of threads is not on record, and the run took {now['threads']}"


def differing_libraries(lock: Path) -> list[str]:
    """Libraries that are installed in another version than a lock has."""
    if not lock.is_file():
        return []
    differing = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        name, _, version = line.split("#")[0].split(";")[0].strip().partition("==")
        try:
            installed = metadata.version(name).split("+")[0] if version else version
        except metadata.PackageNotFoundError:
            continue
        if installed != version.split("+")[0]:
            differing.append(f"{name} {version} → {installed}")
    return differing


def _write_experiment(homes: Homes, record: Mapping[str, Any], apart: Homes) -> list[str]:
    """Puts the recorded experiment where the run reads it; what is to be said of it."""
    name = _experiment_name(record)
    inside = homes.experiments.is_relative_to(homes.root)
    file = apart.root / homes.experiments.relative_to(homes.root) / f"{name}.yaml" if inside else None
    committed = file if file and file.is_file() else None
    apart.experiments.mkdir()
    if "experiment" not in record:
        if committed is None:
            raise InputError(f"the settings of {name} are neither on record nor in the commit; it cannot be run again")
        shutil.copyfile(committed, apart.experiments / committed.name)
        return ["the settings are not on record; those of the commit's file were taken"]
    write_text(apart.experiments / f"{name}.yaml", yaml.safe_dump(record["experiment"], sort_keys=False))
    if committed is None:
        return []
    try:
        same = load_experiment(committed).model_dump(mode="json") == record["experiment"]
    except InputError:
        return []  # a file of another time, which only the code of that time can read
    return [] if same else [f"the commit's {committed.name} is not what was run; the recorded settings were taken"]


def _experiment_name(record: Mapping[str, Any]) -> str:
    """The experiment of a record; old ones have it only in the model's name."""
    return str(record.get("experiment", {}).get("name") or record["model"]["name"][4:].rpartition("-")[0])


def _run(apart: Homes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Runs the experiment by the code of the checkout, in a process of its own.

    Returns:
        What `gtl run --json` printed.
    """
    name, threads = _experiment_name(record), record["environment"].get("threads")
    handed_on = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_HANDED_ON)}
    variables = {**handed_on, **apart.environment(), "PYTHONPATH": str(apart.root)}
    if threads:
        variables["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-c", _START, "run", name, "--json"]
    ended = subprocess.run(command, cwd=apart.root, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode == DataFailure.exit_code:
        raise DataFailure(f"{name}: the data fail the validation of that commit; its own words stand above")
    # Where approval is automatic, a gate that refuses ends a complete run with its own code.
    if ended.returncode not in (0, GateRefused.exit_code):
        raise GtlError(f"{name}: the run of that commit ended with code {ended.returncode}; its own words stand above")
    try:
        summary: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        raise GtlError(f"{name}: the gtl of that commit printed no JSON, so there is nothing to compare") from None
    return summary


def _weights(record: Mapping[str, Any], apart: Homes) -> Iterator[Weights]:
    """Every file on the model's way, and what was made in its place."""
    for checkpoint in record["checkpoints"]:
        found = _counterpart(apart.artifacts, checkpoint["path"])
        yield Weights(checkpoint["stage"], checkpoint["sha256"], file_sha256(found) if found else None)
    synthetic = record["synthetic"]
    found = _counterpart(apart.artifacts, f"{synthetic['path']}/{FILES[1]}")
    yield Weights("synthetic manifest", synthetic["manifest_sha256"], file_sha256(found) if found else None)


def _counterpart(artifacts: Path, path: str) -> Path | None:
    """The file of a recorded path in other artifacts, where its stage may have another key."""
    pattern = "/".join("*" if _is_key(part) else part for part in Path(path).parts)
    return next(artifacts.glob(pattern), None) if not Path(path).is_absolute() else None


def _is_key(part: str) -> bool:
    return len(part) == _KEY_CHARACTERS and set(part) <= set("0123456789abcdef")


def _arms(homes: Homes, record: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[ArmAgain]:
    """Every recorded arm, and its score of now."""
    now = {row["arm"]: row["mean"] for row in summary["arms"]}
    for row in record.get("arms") or _kept_arms(homes, record):
        yield ArmAgain(row["arm"], row["mean"], row["low"], row["high"], now.get(row["arm"]))


def _kept_arms(homes: Homes, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arms of an old record, from its evaluation where that is still there."""
    classifier = next(made for made in record["checkpoints"] if made["stage"] == "classifier")
    kept = (homes.artifacts / classifier["path"]).parents[1] / "arms.json"
    arms: list[dict[str, Any]] = read_json(kept) if kept.is_file() else []
    return arms
