"""A run that was killed is closed by whoever comes next, and `gtl resume` says how far it had come."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from two_stages import run_experiment

from gtl_core.homes import Homes
from gtl_core.registry.tracking import open_store
from pipelines.cli.main import invoke
from pipelines.defs.recovery import dead_runs
from pipelines.instance import open_instance
from pipelines.processes import belongs_to, is_gone, process_mark
from pipelines.recording import DAGSTER_RUN
from pipelines.recovery import close_dead_runs, close_their_tracking, close_tracking, unfinished

EXPERIMENT = """\
name: {name}
source: {{dataset: typeset}}
target: {{dataset: handwritten, labelled_per_class: 5}}
image: {{size: 16, channels: 1}}
transfer: {{strategies: [finetune]}}
"""

WORKER = Path(__file__).with_name("two_stages.py")


@pytest.fixture
def project(homes: Homes, tiny_digits: Path) -> Homes:
    """A project with two experiments that were never run."""
    for name in ("typeset", "handwritten"):
        shutil.copytree(tiny_digits, homes.data / name)
    homes.experiments.mkdir()
    for name in ("digits", "letters"):
        (homes.experiments / f"{name}.yaml").write_text(EXPERIMENT.format(name=name))
    return homes


@pytest.fixture
def kill(project: Homes) -> Callable[[str], None]:
    """Runs an experiment up to the middle of its second stage in a process of its own, and kills that."""

    def until_killed(name: str) -> None:
        process = work(project, name, "sleep")
        wait_for_the_middle(project, name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    return until_killed


def work(project: Homes, name: str, how: str) -> subprocess.Popen[bytes]:
    """Starts the two stages of an experiment in another process."""
    return subprocess.Popen(
        [sys.executable, str(WORKER), name, how],
        cwd=project.root,
        env=os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},  # nobody listens there
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_the_middle(project: Homes, name: str) -> None:
    """Waits until the second stage has been begun."""
    deadline = time.monotonic() + 100
    while not list((project.artifacts / name).rglob(".*.partial")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_run_is_listed_with_its_stage_and_closed_as_failed(
    project: Homes, kill: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    kill("digits")
    with open_instance(project) as instance:
        assert [run.status.value for run in instance.get_runs()] == ["STARTED"]
    assert invoke(["resume", "--json"]) == 0
    (left,) = json.loads(capfd.readouterr().out)
    assert (left["experiment"], left["ended"], left["stage"]) == ("digits", "failed", "source_gan")
    assert left["checkpoints"] == [{"stage": "source_gan", "step": None}]
    assert "is gone: it was killed" in left["reason"]
    with open_instance(project) as instance:
        assert [run.status.value for run in instance.get_runs()] == ["FAILURE"]
    assert invoke(["resume"]) == 0
    shown = capfd.readouterr()
    assert "source_gan: begun" in shown.out
    assert "gtl resume digits" in shown.err


def test_a_run_that_failed_is_listed_in_one_line_without_secrets(
    project: Homes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert work(project, "letters", "fail").wait(timeout=60) == 0
    assert invoke(["resume", "--json"]) == 0
    (left,) = json.loads(capfd.readouterr().out)
    assert left["reason"] == "source_gan: it broke at https://store.example/runs"


def test_where_nothing_is_unfinished_one_line_says_so(project: Homes, capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["resume"]) == 0
    assert capfd.readouterr().out == "nothing is unfinished\n"
    assert invoke(["resume", "digits"]) == 0
    assert capfd.readouterr().out == "nothing of digits is unfinished; gtl run digits runs it again\n"
    assert invoke(["resume", "digitz"]) == 2
    assert "did you mean digits?" in capfd.readouterr().err


def test_a_run_whose_process_is_alive_is_left_alone(project: Homes) -> None:
    process = work(project, "digits", "sleep")
    try:
        wait_for_the_middle(project, "digits")
        with open_instance(project) as instance:
            assert close_dead_runs(instance) == []
            assert unfinished(instance, project, ["digits"]) == []
    finally:
        process.kill()
        process.wait()


def test_the_sensor_closes_killed_runs_and_dagster_starts_them_again(
    project: Homes, kill: Callable[[str], None]
) -> None:
    kill("digits")
    with open_instance(project) as instance:
        (run,) = instance.get_runs()
        told = dead_runs(dg.build_sensor_context(instance=instance))
        assert run.run_id in str(told.skip_message)
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.FAILURE
        assert run.tags["dagster/will_retry"] == "true"
        assert "has its process" in str(dead_runs(dg.build_sensor_context(instance=instance)).skip_message)


def test_a_run_that_repeats_a_killed_one_is_not_taken_for_dead(project: Homes, kill: Callable[[str], None]) -> None:
    kill("digits")
    with open_instance(project) as instance:
        (run,) = instance.get_runs()
        # Dagster copies the tags of a run to the one that repeats it.
        again = instance.add_run(run.with_status(dg.DagsterRunStatus.STARTED)._replace(run_id=str(uuid4())))
        assert [closed.run_id for closed in close_dead_runs(instance)] == [run.run_id]
        assert instance.get_run_by_id(again.run_id).status == dg.DagsterRunStatus.STARTED


def test_the_mlflow_run_of_a_killed_run_is_ended_with_the_reason_and_no_other(
    project: Homes, kill: Callable[[str], None], empty_store: Path
) -> None:
    project.mlruns.mkdir()
    shutil.copy(empty_store, project.mlruns / "mlflow.db")
    store = open_store(project)
    kill("digits")
    with open_instance(project) as instance:
        (run,) = instance.get_runs()
        owners = {"killed": run.run_id, "of another machine": "f" * 8}
        begun = {name: store.start_run("gtl-digits", name, tags={DAGSTER_RUN: owner}) for name, owner in owners.items()}
        assert close_tracking(store, instance, "digits") == 0  # Dagster's run is still said to be under way
        close_their_tracking(instance, project, close_dead_runs(instance))
    ended, other = (store.client.get_run(begun[name]) for name in owners)
    assert (ended.info.status, other.info.status) == ("FAILED", "RUNNING")
    assert "is gone: it was killed" in ended.data.tags["gtl.failure"]


@pytest.mark.parametrize("how", ["sleep", "fail"])
def test_dagsters_reexecution_goes_on_from_the_stage_that_was_not_finished(
    project: Homes, kill: Callable[[str], None], how: str
) -> None:
    if how == "sleep":
        kill("digits")
    else:
        work(project, "digits", "fail").wait(timeout=60)
    with open_instance(project) as instance:
        close_dead_runs(instance)
        (run,) = instance.get_runs()
        options = dg.ReexecutionOptions.from_failure(run.run_id, instance)
        # With the tags of the run that is repeated, as Dagster's page and its run retries give them.
        with dg.execute_job(
            dg.reconstructable(run_experiment), instance, tags=run.tags, reexecution_options=options
        ) as result:
            assert result.success
            assert {event.step_key for event in result.get_step_success_events()} == {"source_gan"}
        assert unfinished(instance, project, ["digits"]) == []


def test_a_process_is_known_by_more_than_its_number() -> None:
    mark = process_mark("01234567-run")
    assert not is_gone(mark)
    assert belongs_to(mark, "01234567-run")
    host, pid, start, run = mark.rsplit(":", 3)
    assert is_gone(f"{host}:{pid}:{float(start) - 3600:.0f}:{run}")
    assert not is_gone(f"elsewhere:{pid}:{float(start) - 3600:.0f}:{run}")
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    ended = f"{host}:{child.pid}:{time.time():.0f}:{run}"
    time.sleep(0.5)  # it has ended, and nobody has asked for its exit code yet
    assert is_gone(ended)
    child.wait()
    assert is_gone(ended)
