"""Runs that were left unfinished: closes those whose process is gone, and says how far an experiment had come.

A killed process cannot say that it ended: its Dagster run stays "started" for ever, holds its place in its pools, and
its MLflow run stays "running". Whoever comes next closes both: the sensor `dead_runs`, `gtl run` or `gtl resume`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from gtl_core.homes import Homes
from pipelines.failures import failure_line
from pipelines.leftovers import remove_temporary
from pipelines.lineage_events import tell_killed
from pipelines.processes import PROCESS_TAG, belongs_to, is_gone, told
from pipelines.recording import DAGSTER_RUN, experiment_title
from pipelines.runs import NO_RETRY

if TYPE_CHECKING:
    from dagster._core.storage.dagster_run import RunRecord

    from gtl_core.registry.tracking import TrackingStore

FAILURE = "gtl.failure"
"""Tag of an MLflow run that was closed by another process, with the reason."""

_PARTITION = "dagster/partition"
_UNSIGNED_SECONDS = 600.0
"""A run of an experiment that has started signs with its process at its first stage: seconds later, or a few minutes on
a machine that is busy beyond reason."""


@dataclass(frozen=True)
class Unfinished:
    """The newest run of an experiment, where it did not come to its end.

    Attributes:
        experiment: its name.
        run_id: the Dagster run.
        ended: `failed` or `cancelled`; a killed run has failed.
        at: when, UTC, ISO 8601.
        stage: the asset that was being made; None where none had begun.
        reason: why it ended, in one line.
        checkpoints: `{stage, step}` of each training that was under way, with the step of its newest checkpoint, or
            None where it had none yet.
    """

    experiment: str
    run_id: str
    ended: str
    at: str
    stage: str | None
    reason: str
    checkpoints: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """How far it came and why it ended."""
        at = f" in {self.stage}" if self.stage else ""
        steps = ", ".join(f"{kept['stage']} at step {kept['step']}" for kept in self.checkpoints if kept["step"])
        reached = f" ({steps})" if steps else ""
        return f"{self.experiment}: run {self.run_id[:8]} {self.ended}{at}{reached}: {self.reason}"


def clear_away(instance: dg.DagsterInstance, homes: Homes, experiment: str) -> None:
    """Closes what killed runs of an experiment left open, before it is run again.

    Raises:
        InputError: the MLflow store cannot be reached.
    """
    from gtl_core.registry.tracking import open_store

    close_dead_runs(instance, experiment, again=False)
    close_tracking(open_store(homes), instance, experiment)
    list(remove_temporary(dry_run=False))


def close_dead_runs(
    instance: dg.DagsterInstance, experiment: str | None = None, *, again: bool = True
) -> list[dg.DagsterRun]:
    """Ends Dagster's runs whose process is gone, as failed, or as cancelled where that was asked for.

    A run of another machine is left alone: nobody can see its process from here.

    Args:
        instance: where runs are recorded.
        experiment: only this one's.
        again: let Dagster's daemon start those of its queue again.

    Returns:
        The closed runs.
    """
    statuses = [dg.DagsterRunStatus[name] for name in ("NOT_STARTED", "STARTING", "STARTED", "CANCELING")]
    tags = {_PARTITION: experiment} if experiment else None
    closed = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=statuses, tags=tags)):
        reason = _why_dead(record)
        # Read again: it may have come to its end between the two looks, and its process with it.
        run = instance.get_run_by_id(record.dagster_run.run_id) if reason else None
        if run is None or run.is_finished:
            continue
        if not again:
            instance.add_run_tags(run.run_id, NO_RETRY)
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, reason)
        else:
            instance.report_run_failed(run, reason)
        if _PARTITION in run.tags:
            tell_killed(run.run_id, run.tags[_PARTITION], reason)
        closed.append(run)
    return closed


def close_their_tracking(instance: dg.DagsterInstance, homes: Homes, closed: Sequence[dg.DagsterRun]) -> None:
    """Ends the MLflow runs of runs that were closed.

    Raises:
        InputError: the MLflow store cannot be reached; the experiment's next run ends them.
    """
    from gtl_core.registry.tracking import has_store, open_store

    experiments = {run.tags[_PARTITION] for run in closed if _PARTITION in run.tags}
    if experiments and has_store(homes):
        store = open_store(homes)
        for experiment in experiments:
            close_tracking(store, instance, experiment)


def _why_dead(record: RunRecord) -> str:
    """Why a run that is said to be under way is not; empty where it is, or where nobody can tell."""
    run = record.dagster_run
    mark = run.tags.get(PROCESS_TAG, "")
    if belongs_to(mark, run.run_id):
        return f"{told(mark)} is gone: it was killed, or its machine stopped" if is_gone(mark) else ""
    started = record.start_time
    if _PARTITION in run.tags and started is not None and time.time() - started > _UNSIGNED_SECONDS:
        return f"it started {time.time() - started:.0f} s ago and never reached its first stage"
    return ""


def close_tracking(store: TrackingStore, instance: dg.DagsterInstance, experiment: str) -> int:
    """Ends the MLflow runs of an experiment whose Dagster run has ended without them.

    Args:
        store: the MLflow store.
        instance: where Dagster's runs are recorded; runs that it does not know belong to another project.
        experiment: the experiment's name.

    Returns:
        How many were ended.
    """
    found = store.client.get_experiment_by_name(experiment_title(experiment))
    if found is None:
        return 0
    ended = 0
    for run in store.client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'"):
        known = instance.get_run_by_id(run.data.tags.get(DAGSTER_RUN, ""))
        if known and known.is_finished:
            store.client.set_tag(run.info.run_id, FAILURE, failure_line(instance, known.run_id))
            store.finish(run.info.run_id, "FAILED")
            ended += 1
    return ended


def unfinished(instance: dg.DagsterInstance, homes: Homes, experiments: Sequence[str]) -> list[Unfinished]:
    """What was left of experiments whose newest run did not come to its end.

    Args:
        instance: where runs are recorded; dead ones have been closed.
        homes: where the artifacts are.
        experiments: names of experiments.
    """
    found = (_newest(instance, name) for name in experiments)
    return [_left(instance, homes, record) for record in found if record and _ended(record)]


def _newest(instance: dg.DagsterInstance, experiment: str) -> RunRecord | None:
    """The newest run of the whole chain of an experiment."""
    chosen = dg.RunsFilter(job_name="run_experiment", tags={_PARTITION: experiment})
    return next(iter(instance.get_run_records(chosen, limit=1)), None)


def _ended(record: RunRecord) -> str:
    """How a run ended before its end; empty for any other."""
    return {"FAILURE": "failed", "CANCELED": "cancelled"}.get(record.dagster_run.status.value, "")


def _left(instance: dg.DagsterInstance, homes: Homes, record: RunRecord) -> Unfinished:
    """How far a run came."""
    run = record.dagster_run
    name = run.tags[_PARTITION]
    steps = instance.get_run_step_stats(run.run_id)
    open_steps = [step.step_key for step in steps if step.status is None or step.status.value != "SUCCESS"]
    ended = record.end_time or record.update_timestamp.timestamp()
    return Unfinished(
        experiment=name,
        run_id=run.run_id,
        ended=_ended(record),
        at=datetime.fromtimestamp(ended, UTC).isoformat(timespec="seconds"),
        stage=open_steps[0] if open_steps else None,
        reason=failure_line(instance, run.run_id),
        checkpoints=tuple(_checkpoints(homes.artifacts / name, record.start_time or 0.0)),
    )


def _checkpoints(folder: Path, since: float) -> Iterator[dict[str, Any]]:
    """Stages that a run had begun to build, with the step of the newest checkpoint in them."""
    for partial in sorted(folder.rglob(".*.partial")):
        # A worker that has not noticed yet that its run was killed may still end a stage.
        with contextlib.suppress(FileNotFoundError):
            if max(path.stat().st_mtime for path in (partial, *partial.rglob("*"))) >= since:
                yield {"stage": partial.parent.relative_to(folder).as_posix(), "step": _step(partial)}


def _step(partial: Path) -> int | None:
    """The step of the checkpoint in an unfinished stage."""
    from gtl_core.errors import InputError
    from gtl_core.training.checkpoint import GanCheckpoint
    from gtl_core.training.loop import LAST

    try:
        return GanCheckpoint.load(partial / LAST).step if (partial / LAST).is_file() else None
    except InputError:  # it is not whole, and the training begins anew
        return None
