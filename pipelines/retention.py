"""What `gtl gc` does: removes what no model and no history needs, and never what one does.

| kept | of which |
|---|---|
| every stage | an experiment as its file is today; the newest runs that registered models |
| the stages that a lineage record names, and all but the GANs and images of its run | every other needed version |
| weights; pictures and reports of runs | needed versions (see `gtl_core/registry/retention.py`); the newest runs |
| what steps have printed | the same |

An experiment is looked at only while nobody runs it. Folders of `artifacts/` that belong to no experiment file and to
no registered model, such as those of a study, are somebody's own and left alone. So are `data/`, which DVC looks
after, the registry's entries, and the records of Dagster's and MLflow's runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gtl_core.config import load_experiment
from gtl_core.errors import GtlError, InputError
from gtl_core.evaluation.budgets import BUDGETS
from gtl_core.evaluation.report.making import JSON
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.registry.retention import (
    Freed,
    Version,
    collect_run_files,
    collect_versions,
    recorded_lineage,
    registered_experiments,
)
from gtl_core.registry.tracking import TrackingStore, has_store, open_store
from gtl_core.store import RECORD
from pipelines.budgets import budgets_folder, with_labels
from pipelines.busy import experiment_lock
from pipelines.leftovers import remove_logs, remove_temporary
from pipelines.recording import experiment_title
from pipelines.report import report_folder
from pipelines.stage_folders import Inode, StageFolder, stage_folders
from pipelines.stages import Chain

_MANY = ("transferred_gan/", "scratch_gan/", "synthetic_images/")
"""Stages that a run has one of for every strategy and draw: what of them a version needs, its lineage names."""


@dataclass
class Collected:
    """What one call removed, or would remove.

    Attributes:
        removed: by experiment; under an empty name what belongs to none.
        kept: the versions that are needed, with the reason.
        left: experiments that were left alone, with the reason.
    """

    removed: dict[str, list[Freed]] = field(default_factory=dict)
    kept: list[Version] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """How much room it all took."""
        return sum(freed.bytes for every in self.removed.values() for freed in every)


def collect_garbage(homes: Homes, keep: int, *, dry_run: bool) -> Collected:
    """Removes what is not needed, experiment by experiment; a killed call is finished by the next.

    Args:
        homes: where everything lies.
        keep: how many of the newest runs of each experiment to keep whole.
        dry_run: only look.

    Raises:
        InputError: the MLflow store cannot be reached.
    """
    outcome = Collected()
    store = open_store(homes) if has_store(homes) else None
    run = {path.stem for path in homes.experiments.glob("*.yaml") if (homes.artifacts / path.stem).is_dir()}
    names = sorted(run | set(registered_experiments(store) if store else []))
    dagster_runs: set[str] = set()
    gone: Counter[Inode] = Counter()
    for name in names:
        try:
            with experiment_lock(homes, name, "gtl gc"):
                dagster_runs |= _Experiment(name, homes, store, keep, dry_run, outcome, gone).collect()
        except GtlError as error:
            outcome.left[name] = str(error)
    looked_at = set(names) - outcome.left.keys()
    outcome.removed[""] = [
        *remove_logs(homes, looked_at, keep, dagster_runs, dry_run=dry_run),
        *remove_temporary(dry_run=dry_run),
    ]
    return outcome


@dataclass(frozen=True)
class _Experiment:
    """One experiment, which nobody runs meanwhile."""

    name: str
    homes: Homes
    store: TrackingStore | None
    keep: int
    dry_run: bool
    outcome: Collected
    gone: Counter[Inode]

    def collect(self) -> set[str]:
        """Removes what is not needed of it.

        Returns:
            The Dagster runs of the versions that are needed.

        Raises:
            GtlError: it cannot be told which stages are needed; at most weights were removed.
        """
        chains = self._chains()
        present = {self._path(*stage) for chain in chains for stage in chain.stage_keys()}
        present |= {report_folder(chain) for chain in chains}
        folders = list(stage_folders(self.homes.artifacts / self.name))
        registrations = _read(folders, "registered_models", "registration.json")
        removed = self.outcome.removed.setdefault(self.name, [])
        needed, lineages = self._versions(
            {record["mlflow_run_id"] for path, record in registrations.items() if path in present}, removed
        )
        recent = {version.run: version.recent for version in needed}
        kept = present | self._of_runs(recent, registrations) | _of_reports(recent, folders) | self._of(lineages)
        for folder in folders:
            if not _is_needed(folder, kept, present):
                kind = "stage" if folder.state == "finished" else "unfinished stage"
                name = folder.path.relative_to(self.homes.artifacts).as_posix()
                removed.append(Freed(kind, name, folder.bytes(self.gone if self.dry_run else None)))
                if not self.dry_run:
                    folder.remove()
        if self.store:
            keys, title = {path.name for path in kept}, experiment_title(self.name)
            removed += collect_run_files(self.store, title, self.keep, recent, keys, dry_run=self.dry_run)
        return {lineage["dagster_run_id"] for lineage in lineages if lineage["dagster_run_id"]}

    def _chains(self) -> list[Chain]:
        """The experiment as its file is today, also with the label counts of its learning curve; none without a file.

        Raises:
            InputError: the file or a set cannot be read, so nobody knows which stages it asks for.
        """
        path = self.homes.experiments / f"{self.name}.yaml"
        if not path.is_file():
            return []
        experiment = load_experiment(path)
        curve = budgets_folder(experiment, self.homes) / BUDGETS
        counts = {row["labelled_per_class"] for row in read_json(curve)["budgets"]} if curve.is_file() else set()
        variants = [experiment, *(with_labels(experiment, count) for count in sorted(counts))]
        return [Chain(variant, self.homes) for variant in variants]

    def _versions(self, runs: Collection[str], removed: list[Freed]) -> tuple[list[Version], list[Mapping[str, Any]]]:
        """Collects the weights of versions; gives those that are needed, and their lineage records."""
        if self.store is None:
            return [], []
        versions, freed = collect_versions(self.store, self.name, self.keep, runs, dry_run=self.dry_run)
        removed += freed
        needed = [version for version in versions if version.why]
        self.outcome.kept += needed
        return needed, [recorded_lineage(self.store, version) for version in needed]

    def _of_runs(self, recent: Mapping[str, bool], registrations: Mapping[Path, Any]) -> set[Path]:
        """What is kept of the runs of needed versions: every stage, or all but those of which there are many."""
        kept = set()
        for path, record in registrations.items():
            run = record["mlflow_run_id"]
            if run in recent:
                # Registrations that are older than this list have their lineage only.
                stages = record.get("stages", [])
                kept |= {
                    path,
                    *(self._path(*stage) for stage in stages if recent[run] or not stage[0].startswith(_MANY)),
                }
        return kept

    def _of(self, lineages: Iterable[Mapping[str, Any]]) -> set[Path]:
        """The stages that hold what lineage records name."""
        named = [
            self.homes.artifacts / file["path"]
            for lineage in lineages
            for file in (*lineage["checkpoints"], lineage["synthetic"])
        ]
        return {folder for path in named for folder in (path, *path.parents) if (folder / RECORD).is_file()}

    def _path(self, stage: str, key: str) -> Path:
        return self.homes.artifacts / self.name / stage / key


def _is_needed(folder: StageFolder, kept: Collection[Path], present: Collection[Path]) -> bool:
    """Whether a stage is kept, or is what a killed process left of one that its next run goes on with."""
    if folder.state == "finished":
        return folder.stage in kept
    if folder.state == "partial":
        return folder.stage in present
    return folder.state == "old" and folder.stage in kept and not folder.stage.exists()


def _of_reports(runs: Collection[str], folders: Iterable[StageFolder]) -> set[Path]:
    """The reports of some MLflow runs."""
    return {
        path
        for path, report in _read(folders, "report", JSON).items()
        if report["sections"].get("provenance", {}).get("numbers", {}).get("facts", {}).get("MLflow run") in runs
    }


def _read(folders: Iterable[StageFolder], stage: str, file: str) -> dict[Path, Any]:
    """The content of a JSON file in every finished folder of a stage, by folder.

    Raises:
        InputError: one is damaged, so nobody knows what it needs.
    """
    found = {}
    for folder in folders:
        path = folder.path / file
        if folder.state == "finished" and folder.path.parent.name == stage and path.is_file():
            try:
                found[folder.path] = read_json(path)
            except ValueError as error:
                raise InputError(f"{path} is damaged; remove its folder, or run the experiment with --force") from error
    return found
