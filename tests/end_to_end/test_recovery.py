"""Runs that are killed or cancelled, through the installed command: nothing half written, lost or made twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from project_copy import Project

from gtl_core.files import file_sha256, read_json
from gtl_core.store import RECORD
from pipelines.servers import free_port

pytestmark = pytest.mark.end_to_end

EXPERIMENT = """\
name: {name}
source: {{dataset: typeset-digits}}
target: {{dataset: handwritten-digits, labelled_per_class: 5, validation_per_class: 5}}
image: {{size: 16, channels: 1}}
gan: {{width: 8, latent: 16, steps: {steps}, batch: 32, checkpoint_every: 20}}
transfer: {{strategies: [finetune], steps: 100}}
synthesis: {{per_class: 20}}
classifier: {{width: 8, steps: 40, source_steps: 60, batch: 32}}
evaluation: {{arms: [source_finetuned, best_plus_gan], draws: 2, bootstrap: 200}}
"""
PATIENCE = 600.0


def until(condition: Callable[[], Any], seconds: float = PATIENCE, pause: float = 0.01) -> Any:
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it did not come true within {seconds:.0f} s"
        time.sleep(pause)
    return found


def write(project: Project, name: str, steps: int) -> Path:
    """Writes an experiment file; gives the folder of its stages."""
    (project.root / "experiments" / f"{name}.yaml").write_text(EXPERIMENT.format(name=name, steps=steps))
    return project.root / "artifacts" / name


def require_whole(stages: Path) -> int:
    """Checks that every finished stage has all its files as they were written; gives how many there are."""
    finished = [path for path in stages.glob("**/*") if path.is_dir() and not path.name.startswith(".")]
    whole = [path for path in finished if (path / RECORD).is_file()]
    for path in whole:
        for name, sha256 in read_json(path / RECORD)["files"].items():
            assert file_sha256(path / name) == sha256, path / name
    keys = [path for path in finished if len(path.name) == 16 and set(path.name) <= set("0123456789abcdef")]
    assert set(keys) == set(whole)
    return len(whole)


def rows(project: Project, query: str, *values: str) -> list[Any]:
    """What the MLflow database says."""
    with closing(sqlite3.connect(project.root / "mlruns" / "mlflow.db")) as store:
        return store.execute(query, values).fetchall()


def test_a_run_that_is_killed_at_every_stage_ends_as_if_it_had_never_been(project: Project, tmp_path: Path) -> None:
    write(project, "steady", 300)
    calm = project.json("run", "steady")
    # Out of sight, or the other experiment would take over what this one has trained.
    steady = Path(shutil.move(project.root / "artifacts" / "steady", tmp_path / "steady"))
    stages = write(project, "killed", 300)

    def versions() -> list[Any]:
        return rows(project, "select version from model_versions where name = 'gtl-killed-classifier'")

    def unfinished() -> dict[str, Any]:
        return {run["experiment"]: run for run in project.json("resume")}

    moments: dict[str, Callable[[], Any]] = {
        "source_gan": lambda: list(stages.glob("source_gan/.*.partial/last.safetensors")),
        "transferred_gans": lambda: list(stages.glob("transferred_gan/finetune/*/.*.partial")),
        "synthetic_images": lambda: list(stages.glob("synthetic_images/finetune/*/.*.partial")),
        "evaluation": lambda: list(stages.glob("evaluation/.*.partial")),
        "registered_models": versions,
    }
    before = 0
    for asset, moment in moments.items():
        process = project.start("resume" if before else "run", "killed")
        until(lambda moment=moment, process=process: moment() or process.poll() is not None)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.communicate()
        assert require_whole(stages) >= before
        left = unfinished()["killed"]
        assert (left["ended"], left["stage"]) == ("failed", asset)
        assert "is gone: it was killed" in left["reason"]
        if asset == "source_gan":
            assert left["checkpoints"][0]["step"] % 20 == 0
        before = require_whole(stages)
    assert versions() == [(1,)]

    resumed = project.json("resume", "killed")
    assert resumed["resumed"]["stage"] == "registered_models"
    assert {stage["name"] for stage in resumed["stages"] if not stage["reused"]} == {"registered_models", "report"}
    assert resumed["verdict"] == calm["verdict"]
    weights = {str(path.relative_to(steady)): file_sha256(path) for path in steady.rglob("*.safetensors")}
    assert len(weights) > 10
    assert {str(path.relative_to(stages)): file_sha256(path) for path in stages.rglob("*.safetensors")} == weights
    assert not list(stages.rglob(".*.partial"))

    assert [(model["version"], model["alias"]) for model in resumed["models"]] == [("1", "champion")] * 2
    assert [entry["action"] for entry in project.json("history", "gtl-killed-classifier")["entries"]] == [
        "registered",
        "promoted",
    ]
    running = "select count(*) from runs r join experiments e using (experiment_id) where e.name = ? and r.status = ?"
    assert rows(project, running, "gtl-killed", "RUNNING") == [(0,)]
    assert "killed" not in unfinished()
    assert project.gtl("resume", "killed").startswith("nothing of killed is unfinished")


@pytest.fixture
def graphql(project: Project) -> Iterator[Callable[..., Any]]:
    """Asks Dagster's server, whose daemon runs beside it until the test ends."""
    port = free_port(None, 3200)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("GTL_", "DAGSTER_"))}
    command = [str(Path(sys.executable).with_name("gtl")), "ui", "--no-browser", "--dagster-port", str(port)]
    process = subprocess.Popen(
        [*command, "--mlflow-port", str(free_port(None, 5200, {port}))],
        cwd=project.root,
        env=plain,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    assert any(line.startswith("MLflow") for line in process.stdout), "gtl ui stopped by itself"

    def ask(query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the server just started
            return json.load(answer)["data"]

    yield ask
    process.send_signal(signal.SIGINT)
    process.wait(60)


LAUNCH = """\
mutation ($name: String!) { launchRun(executionParams: {
  selector: {repositoryLocationName: "gtl", repositoryName: "__repository__", jobName: "run_experiment"},
  executionMetadata: {tags: [{key: "dagster/partition", value: $name}]}
}) { ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
CANCEL = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"


@pytest.fixture
def two_long_experiments(project: Project) -> tuple[Path, Path]:
    """Experiments that train for hours; they are there before the daemon reads which there are."""
    return write(project, "first-long", 1_000_000), write(project, "second-long", 1_000_000)


def test_a_cancelled_run_frees_its_place_for_the_next(
    two_long_experiments: tuple[Path, Path], graphql: Callable[..., Any]
) -> None:
    first, second = (graphql(LAUNCH, name=name)["launchRun"]["run"]["runId"] for name in ("first-long", "second-long"))

    def status(run: str) -> str:
        return str(graphql(STATUS, run=run)["runOrError"]["status"])

    until(lambda: list(two_long_experiments[0].glob("source_gan/.*.partial/last.safetensors")), pause=0.5)
    assert (status(first), status(second)) == ("STARTED", "QUEUED")
    graphql(CANCEL, run=first)
    until(lambda: status(first) == "CANCELED", pause=0.5)
    until(lambda: list(two_long_experiments[1].glob("source_gan/.*.partial/last.safetensors")), pause=0.5)
    assert status(second) == "STARTED"
    graphql(CANCEL, run=second)
    until(lambda: status(second) == "CANCELED", pause=0.5)
    for stages in two_long_experiments:
        assert not list(stages.glob("source_gan/[!.]*"))
