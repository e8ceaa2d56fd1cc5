"""No experiment is run twice at once, and no two trainings share the cores: the lock, and Dagster's queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import RunFailureReason

from gtl_core.config import load_experiment
from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.progress import silent
from pipelines.busy import experiment_lock
from pipelines.definitions import defs
from pipelines.defs import resources
from pipelines.instance import TRAINING_POOL, open_instance
from pipelines.launch import launch
from pipelines.schedules import waits

ROOT = Path(__file__).resolve().parents[2]

FILE = """\
name: {name}
source: {{dataset: source}}
target: {{dataset: target, labelled_per_class: 1}}
image: {{size: 16, channels: 1}}
transfer: {{strategies: [finetune]}}
"""

HOLD = """\
import sys, time
from gtl_core.homes import Homes
from pipelines.busy import experiment_lock
with experiment_lock(Homes.locate(), "demo", "gtl run"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """A project with the shipped settings, two experiments, and no data, so that its runs end soon."""
    root = tmp_path / "project"
    found = Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))
    found.experiments.mkdir(parents=True)
    (root / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    for name in ("demo", "demo_unlabelled"):
        (found.experiments / f"{name}.yaml").write_text(FILE.format(name=name))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for variable, value in found.environment().items():
        monkeypatch.setenv(variable, value)
    return found


@pytest.fixture
def holder(homes: Homes) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs the experiment `demo`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_who_finds_an_experiment_under_way_is_told_by_whom(homes: Homes, holder: subprocess.Popen[str]) -> None:
    told = rf"demo is being run by gtl run \(process {holder.pid} on .+\) since 20\d\d-.+; wait for it to end"
    with pytest.raises(InputError, match=told), experiment_lock(homes, "demo", "gtl gc"):
        pass
    with experiment_lock(homes, "demo_unlabelled", "gtl gc"):
        pass


def test_a_process_that_is_killed_keeps_nothing(homes: Homes, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with (
        experiment_lock(homes, "demo", "gtl gc"),
        pytest.raises(InputError, match="being run by gtl gc"),
        experiment_lock(homes, "demo", "gtl run"),
    ):
        pass
    with experiment_lock(homes, "demo", "gtl run", wait=1):
        pass


def test_a_run_of_dagster_holds_the_lock_and_waits_for_it(
    homes: Homes, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_WAIT_SECONDS", 0.5)
    with open_instance(homes) as instance:
        result = _run(instance, "demo")
        assert not result.success
        (failure,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
        # Dagster's run retries, which leave failed stages alone, take such a run up again.
        assert failure.job_failure_data.failure_reason is RunFailureReason.RUN_EXCEPTION
        assert "demo is being run by gtl run" in _told(result)
        other = _run(instance, "demo_unlabelled")
        assert "no image set 'source'" in _told(other)
        monkeypatch.setattr(resources, "_WAIT_SECONDS", 30.0)
        holder.kill()
        assert "no image set 'source'" in _told(_run(instance, "demo"))
    with experiment_lock(homes, "demo", "gtl run"):
        pass


def test_a_run_from_the_command_is_refused_at_once_and_leaves_no_run_behind(
    homes: Homes, holder: subprocess.Popen[str]
) -> None:
    experiment = load_experiment(homes.experiments / "demo.yaml")
    with pytest.raises(InputError, match="demo is being run by gtl run"):
        launch(experiment, homes, force=False, on_progress=silent)
    with open_instance(homes) as instance:
        assert instance.get_runs_count() == 0


def test_the_queue_starts_one_training_at_a_time_and_never_two_of_one_experiment(homes: Homes) -> None:
    """Two backfills over both experiments while a `gtl run` is under way, taken up by Dagster's own daemon."""
    from dagster._core.test_utils import create_test_daemon_workspace_context, load_remote_repo
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

    queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
    target = ModuleTarget("pipelines.definitions", None, str(homes.root), "gtl")
    with open_instance(homes) as instance, create_test_daemon_workspace_context(target, instance) as workspace:
        job = defs().resolve_job_def("run_experiment")
        ours = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "demo"})
        repository = load_remote_repo(workspace, "__repository__")
        _backfill(instance, workspace, repository)
        _backfill(instance, workspace, repository)

        def started() -> list[str]:
            """The experiments under way after another look of the queue."""
            list(queue.run_iteration(workspace))
            return sorted(run.tags["dagster/partition"] for run in _runs(instance, "STARTING", "STARTED"))

        assert len(_runs(instance, "QUEUED")) == 4
        assert "of demo waits in the queue already" in str(waits(instance, "demo"))
        assert waits(instance, "another") is None
        assert started() == ["demo"], "the pool is taken by the gtl run"
        instance.event_log_storage.set_concurrency_slots(TRAINING_POOL, 4)
        assert started() == ["demo", "demo_unlabelled"], "whatever room the pool has, an experiment is run once"
        instance.event_log_storage.set_concurrency_slots(TRAINING_POOL, 2)
        instance.report_run_failed(ours)
        assert started() == ["demo", "demo_unlabelled"]
        assert len(_runs(instance, "QUEUED")) == 2

        for run in _runs(instance, "QUEUED"):
            instance.report_run_canceled(run)
        deadline = time.monotonic() + 60
        while _runs(instance, "STARTING", "STARTED"):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def _runs(instance: dg.DagsterInstance, *statuses: str) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus(status) for status in statuses])))


def _backfill(instance: dg.DagsterInstance, workspace: Any, repository: Any) -> None:
    """A backfill of the job over all experiments, as Dagster's page asks for it."""
    import logging
    import uuid

    from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
    from dagster._daemon.backfill import execute_backfill_iteration

    origin = repository.get_partition_set("run_experiment_partition_set").get_remote_origin()
    backfill = PartitionBackfill(
        backfill_id=uuid.uuid4().hex[:8],
        partition_set_origin=origin,
        status=BulkActionStatus.REQUESTED,
        partition_names=["demo", "demo_unlabelled"],
        from_failure=False,
        reexecution_steps=None,
        tags={},
        backfill_timestamp=time.time(),
    )
    instance.add_backfill(backfill)
    problems = [problem for problem in execute_backfill_iteration(workspace, logging.getLogger("test")) if problem]
    assert not problems


def _run(instance: dg.DagsterInstance, name: str) -> dg.ExecuteInProcessResult:
    """A run of the job with the resources that it has in the daemon's processes."""
    job = defs().resolve_job_def("run_experiment")
    return job.execute_in_process(instance=instance, partition_key=name, raise_on_error=False)


def _told(result: dg.ExecuteInProcessResult) -> str:
    """What a run failed with, its causes included."""
    return " ".join(
        str(event.event_specific_data) for event in result.all_events if event.is_failure and event.event_specific_data
    )
