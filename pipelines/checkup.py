"""What `gtl doctor` looks at: each check says what it found and, where something is wrong, what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gtl_core.errors import GtlError
from gtl_core.homes import Homes

State = Literal["ok", "warning", "failed"]

_PACKAGES = ("torch", "dagster", "mlflow", "dvc", "great-expectations", "hydra-core", "antlr4-python3-runtime")
"""The packages whose versions are worth seeing; all that the project requires are checked."""
_COMFORTABLE_BYTES = 5_000_000_000
"""Room for some ten experiments at the shipped sizes."""


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: what was looked at.
        state: `warning` lets a run go on, `failed` does not.
        message: what was found, and what to do about it.
    """

    name: str
    state: State
    message: str


def check_up(homes: Homes, *, mend: bool = False) -> Iterator[Check]:
    """Looks at everything, one check after the other; a check that breaks down is a failed one.

    Args:
        homes: the project's homes.
        mend: mend what can be mended without loss: artifact paths of a moved project, and what killed imports left.
    """
    looks: list[tuple[str, Callable[[], tuple[State, str]]]] = [
        ("python", _python),
        ("packages", _packages),
        ("selections", _selections),
        ("git", lambda: _git(homes)),
        *((f"home {path.name}", _home(path)) for path in (homes.data, homes.mlruns, homes.artifacts, homes.dagster)),
        ("disk", lambda: _disk(homes)),
        ("dagster", lambda: _dagster(homes)),
        ("mlflow", lambda: _mlflow(homes)),
        ("artifact paths", lambda: _artifact_paths(homes, mend)),
        ("data", lambda: _data(homes)),
        ("unfinished imports", lambda: _unfinished_imports(homes, mend)),
        ("experiments", lambda: _experiments(homes)),
        ("device", _device),
    ]
    for name, look in looks:
        try:
            state, message = look()
        except GtlError as error:
            state, message = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - one broken part must not hide the others
            state, message = "failed", f"{type(error).__name__}: {error}"
        yield Check(name, state, " ".join(message.split()))


def _python() -> tuple[State, str]:
    found = f"{platform.python_version()} at {sys.executable}"
    return ("ok", found) if sys.version_info >= (3, 11) else ("failed", f"{found}; gtl needs 3.11 or newer")


def _packages() -> tuple[State, str]:
    """Compares what is installed with what the project requires, which pip does only when it installs."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    wrong = []
    for text in requires("gtl") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed}, needed {requirement.specifier}")
    if wrong:
        return "failed", f"{'; '.join(wrong)}: make setup installs what belongs together"
    return "ok", ", ".join(f"{name} {version(name)}" for name in _PACKAGES)


def _selections() -> tuple[State, str]:
    """DVC's hydra and Dagster's selection parser need different versions of ANTLR, which pip does not notice."""
    import dagster as dg

    try:
        import dvc.utils.hydra  # noqa: F401

        dg.AssetSelection.from_string('key:"a"+')
    except Exception as error:  # noqa: BLE001 - the parser of another version breaks in any way
        return "failed", (
            f"Dagster cannot read asset selections beside DVC ({type(error).__name__}: {error}); the versions of "
            "hydra-core and antlr4-python3-runtime do not fit: make setup installs what belongs together"
        )
    return "ok", "Dagster reads asset selections, with DVC's hydra beside it"


def _git(homes: Homes) -> tuple[State, str]:
    from gtl_core.registry.lineage import git_commit

    commit = git_commit(homes.root)
    if commit.endswith("-dirty"):
        return "warning", f"{commit}: uncommitted changes, so models of new runs cannot be traced to exact code"
    return "ok", commit


def _home(path: Path) -> Callable[[], tuple[State, str]]:
    """A check that `path` is, or can become, a folder that can be written."""

    def look() -> tuple[State, str]:
        existing = next(folder for folder in (path, *path.parents) if folder.exists())
        if not existing.is_dir():
            return "failed", f"{existing} is a file; move it away, or set {_variable(path)}"
        if not os.access(existing, os.W_OK | os.X_OK):
            return "failed", f"{existing} cannot be written; change its rights, or set {_variable(path)}"
        return "ok", str(path) if existing == path else f"{path}, made when it is needed"

    return look


def _variable(path: Path) -> str:
    """The environment variable that moves a home."""
    homes = Homes.locate()
    named = {homes.data: "GTL_DATA", homes.mlruns: "GTL_MLRUNS", homes.artifacts: "GTL_ARTIFACTS"}
    return named.get(path, "GTL_DAGSTER")


def _disk(homes: Homes) -> tuple[State, str]:
    from pipelines.preflight import NEEDED_BYTES

    folders = {
        path: next(folder for folder in (path, *path.parents) if folder.exists())
        for path in (homes.data, homes.mlruns, homes.artifacts, homes.dagster)
    }
    free, path = min((shutil.disk_usage(folder).free, str(path)) for path, folder in folders.items())
    message = f"{free / 1e9:.1f} GB free at {path}"
    if free < NEEDED_BYTES:
        return "failed", f"{message}; a run needs {NEEDED_BYTES / 1e9:.1f} GB"
    return ("ok" if free >= _COMFORTABLE_BYTES else "warning"), message


def _dagster(homes: Homes) -> tuple[State, str]:
    from pipelines.instance import open_instance

    with open_instance(homes) as instance:
        return "ok", f"{instance.get_runs_count()} runs in {homes.dagster}"


def _mlflow(homes: Homes) -> tuple[State, str]:
    """Opens the store, but makes none."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if not server and not (homes.mlruns / "mlflow.db").is_file():
        return "ok", f"no store yet; the first run makes {homes.mlruns / 'mlflow.db'}"
    from gtl_core.registry.reach import shown
    from gtl_core.registry.tracking import open_store

    models = len(open_store(homes).client.search_registered_models())
    return "ok", f"{models} registered models in {shown(server) if server else homes.mlruns / 'mlflow.db'}"


def _artifact_paths(homes: Homes, mend: bool) -> tuple[State, str]:
    from gtl_core.registry.relocation import find_moved, mend_moved

    if os.environ.get("MLFLOW_TRACKING_URI"):
        return _files_in_use(homes)
    if mend and (changed := mend_moved(homes)):
        return "ok", f"{changed} locations mended; they point to {homes.mlruns / 'artifacts'} now"
    moved = find_moved(homes)
    if moved:
        places = "; ".join(f"{place.rows} locations point to {place.folder}" for place in moved)
        return "failed", f"the project was moved: {places}; gtl doctor --mend points them here"
    return "ok", "MLflow's artifacts are where its store says"


def _files_in_use(homes: Homes) -> tuple[State, str]:
    """Whether the versions that are in use have their files, where the store is not this project's own to mend."""
    from gtl_core.registry.standing import aliases
    from gtl_core.registry.tracking import open_store, pages

    store = open_store(homes)
    names = sorted(model.name for model in pages(store.client.search_registered_models))
    used = {(name, version) for name in names for version in aliases(store, name).values()}
    gone = sorted(version for version in used if not store.has_files(*version))
    aside = "locations were not looked at, because MLFLOW_TRACKING_URI names a store that may serve other places too"
    if gone:
        listed = ", ".join(f"{name} version {version}" for name, version in gone)
        return "warning", f"{aside}; the files of {listed} are not where it says: restore them or mend the store"
    return "ok", f"{aside}; the files of all {len(used)} versions with an alias are there"


def _data(homes: Homes) -> tuple[State, str]:
    from gtl_core.data.versions import status

    found = status(homes)
    if found.pinned is None:
        return "warning", "no version is pinned in data.dvc; gtl data commit records one"
    if not found.present:
        return "warning", f"{homes.data} is empty; gtl data pull fetches or rebuilds what is pinned"
    if not found.matches:
        changed = ", ".join((*found.added, *found.changed, *found.missing)) or "other files"
        way_back = "gtl data pull goes back as far as it can without losing files of yours"
        if found.added:
            way_back += "; added sets stay until you remove them"
        return "warning", f"differs from the pin: {changed}; gtl data commit records it, {way_back}"
    return "ok", f"as pinned: {found.pinned}"


def _unfinished_imports(homes: Homes, mend: bool) -> tuple[State, str]:
    from pipelines.leftovers import remove_unfinished, unfinished_imports

    if mend and (removed := remove_unfinished(homes.data)):
        return "ok", f"removed what killed imports had left in {homes.data}: {_named(removed)}"
    if left := unfinished_imports(homes.data):
        return "warning", f"killed imports left {_named(left)} in {homes.data}; gtl doctor --mend removes that"
    return "ok", f"killed imports have left nothing in {homes.data}"


def _named(folders: list[Path]) -> str:
    return ", ".join(folder.name for folder in folders)


def _experiments(homes: Homes) -> tuple[State, str]:
    from gtl_core.config import load_experiment
    from pipelines.schedules import schedule_of

    experiments = [load_experiment(path) for path in sorted(homes.experiments.glob("*.yaml"))]
    names = [experiment.name for experiment in experiments]
    for experiment in experiments:
        schedule_of(experiment)
    return ("ok", ", ".join(names)) if names else ("warning", f"no experiment files in {homes.experiments}")


def _device() -> tuple[State, str]:
    import torch

    from gtl_core.training.runtime import device

    place = device()
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else f"{torch.get_num_threads()} threads"
    return "ok", f"{place.type}, {name}"
