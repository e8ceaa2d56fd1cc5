"""What a Dagster run writes to MLflow: one parent run, and a child for pretraining, each strategy and evaluation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from gtl_core.data.versions import data_version
from gtl_core.files import read_json
from gtl_core.registry.lineage import git_commit
from gtl_core.registry.tracking import RunStatus, TrackingStore, open_store
from gtl_core.store import Stage
from pipelines.stages import Chain

DAGSTER_RUN = "gtl.dagster_run_id"
"""Tag with which an MLflow run names the Dagster run that it belongs to."""


def experiment_title(experiment: str) -> str:
    """Name of the MLflow experiment of an experiment."""
    return f"gtl-{experiment}"


def find_parent(store: TrackingStore, chain: Chain, dagster_run_id: str) -> str | None:
    """The parent run of a Dagster run, where one was begun."""
    experiment = store.client.get_experiment_by_name(experiment_title(chain.experiment.name))
    if experiment is None:
        return None
    runs = store.client.search_runs(
        [experiment.experiment_id], f"tags.`{DAGSTER_RUN}` = '{dagster_run_id}' and tags.`gtl.stage` = 'experiment'"
    )
    return str(runs[0].info.run_id) if runs else None


def parent_run(store: TrackingStore, chain: Chain, dagster_run_id: str) -> str:
    """The parent run of a Dagster run, begun when the first stage has something to record.

    A run in which everything is reused begins none.
    """
    found = find_parent(store, chain, dagster_run_id)
    if found:
        return found
    run_id = store.start_run(
        experiment_title(chain.experiment.name),
        chain.experiment.name,
        tags={
            DAGSTER_RUN: dagster_run_id,
            "gtl.stage": "experiment",
            "gtl.git_commit": git_commit(chain.homes.root),
            "gtl.data_version": data_version(chain.homes),
        },
    )
    store.log_params(run_id, chain.experiment.model_dump(mode="json"))
    for images, role in zip(chain.sets, ("source", "target"), strict=True):
        store.log_dataset_input(run_id, images.name, role, images.version, len(images))
    return run_id


def record_stages(chain: Chain, stages: Sequence[Stage], dagster_run_id: str) -> None:
    """Records stages that were made or taken over in this run, each with its curves, scores and pictures.

    Args:
        chain: the chain that they belong to.
        stages: finished stages. Those that were reused have been recorded by the run that made them, but not for this
            experiment where they were another one's. The stages of one strategy (`transferred_gan/STRATEGY/draw-N`)
            share a child run.
        dagster_run_id: the Dagster run.
    """
    made = [stage for stage in stages if not stage.reused or stage.taken_over]
    if not made:
        return
    store = open_store(chain.homes)
    parent = parent_run(store, chain, dagster_run_id)
    for name, group in itertools.groupby(made, key=lambda stage: "/".join(stage.name.split("/")[:2])):
        run_id = store.start_run(
            experiment_title(chain.experiment.name),
            name,
            parent,
            tags={DAGSTER_RUN: dagster_run_id, "gtl.stage": name},
        )
        for stage in group:
            _record(store, run_id, stage)
        store.finish(run_id)


def _record(store: TrackingStore, run_id: str, stage: Stage) -> None:
    """Writes one stage into a child run."""
    draw = stage.name.split("/")[2] if stage.name.count("/") == 2 else ""
    prefix = f"{draw}." if draw else ""
    store.log_params(run_id, {f"{prefix}stage_key": stage.key, f"{prefix}stage_version": stage.version})
    store.log_metrics(run_id, {f"{prefix}seconds": stage.seconds})
    curves = stage.path / "curves.csv"
    if curves.is_file():
        store.log_curves(run_id, curves, f"{draw}/" if draw else "")
    for artifact in sorted(stage.path.glob("*.png")) + sorted(stage.path.glob("*.json")):
        store.log_artifact(run_id, artifact, draw or None)
    if (stage.path / "arms.json").is_file():
        store.log_metrics(run_id, _scores(stage.path))


def _scores(evaluation: Path) -> dict[str, float]:
    """The scores of every arm and the verdict's numbers as metrics."""
    arms, verdict = read_json(evaluation / "arms.json"), read_json(evaluation / "verdict.json")
    scores = {f"{arm['arm']}/{part}": arm[part] for arm in arms for part in ("mean", "low", "high")}
    return scores | {f"verdict/{part}": verdict[part] for part in ("difference", "low", "high", "detectable")}


def close_parent(chain: Chain, dagster_run_id: str, status: RunStatus) -> None:
    """Ends the parent run of a Dagster run, where one was begun."""
    store = open_store(chain.homes)
    parent = find_parent(store, chain, dagster_run_id)
    if parent:
        store.finish(parent, status)
