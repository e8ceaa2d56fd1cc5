"""Days of production in minutes: the real daemon, web server and MLflow server, with nobody watching but this test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from PIL import Image
from project_copy import Project
from sklearn.datasets import load_digits

from gtl_core.homes import Homes
from pipelines.observation import COMMITTED
from pipelines.servers import free_port

pytestmark = pytest.mark.end_to_end

EXPERIMENT = """\
name: {name}
source: {{dataset: typeset-digits}}
target: {{dataset: {target}, labelled_per_class: 5, validation_per_class: 5}}
image: {{size: 16, channels: 1}}
gan: {{width: 8, latent: 16, steps: {steps}, batch: 32, checkpoint_every: 20}}
transfer: {{strategies: [finetune], steps: 20}}
synthesis: {{per_class: 20}}
classifier: {{width: 8, steps: {learning}, source_steps: 60, batch: 32}}
evaluation: {{arms: [source_finetuned, best_plus_gan], draws: 2, bootstrap: 200}}
{more}
"""
PATIENCE = 600.0
"""Seconds that anything may take that a daemon has been asked for."""


@dataclass
class Site:
    """A project in production.

    Attributes:
        project: its checkout.
        instance: its Dagster instance, as this process sees it.
        variables: environment of everything that is started.
        told: what arrived at the webhook.
        mlflow_port: where the MLflow server listens.
        said: file that gets what `gtl ui` and its servers print.
        process: `gtl ui`, with all servers below it.
        tick: when the schedule of `set_clock` ticks.
    """

    project: Project
    instance: dg.DagsterInstance
    variables: dict[str, str]
    told: list[dict[str, Any]]
    dagster_port: int
    mlflow_port: int
    said: Path
    process: subprocess.Popen[bytes] | None = field(default=None)
    tick: datetime = field(default=datetime.min.replace(tzinfo=UTC))

    def experiment(self, name: str, *, target: str = "handwritten-digits", more: str = "", **sizes: int) -> None:
        """Writes an experiment file."""
        text = EXPERIMENT.format(name=name, target=target, more=more, **({"steps": 40, "learning": 40} | sizes))
        (self.project.root / "experiments" / f"{name}.yaml").write_text(text)

    def start(self) -> None:
        """Starts the servers and the daemon, and waits until both pages answer."""
        ports = ["--dagster-port", str(self.dagster_port), "--mlflow-port", str(self.mlflow_port)]
        # To a file: a pipe that nobody reads would fill up, and the daemon would wait for ever to write its next line.
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("gtl")), "ui", "--no-browser", *ports],
                cwd=self.project.root,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        self.until(lambda: "\nMLflow" in self.said.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.last_words()

    def reload(self) -> None:
        """Lets Dagster see new experiment files, as its page's button does."""
        query = 'mutation { reloadRepositoryLocation(repositoryLocationName: "gtl") { __typename } }'
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.dagster_port}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 - http only
            assert "WorkspaceLocationEntry" in answer.read().decode()

    def stop(self) -> None:
        """Stops everything in order."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)

    def kill(self) -> None:
        """Kills daemon, servers and runs at once, as a power cut does."""
        assert self.process
        for pid in reversed(descendants(self.process.pid)):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(60)

    def runs(self, experiment: str) -> list[dg.DagsterRun]:
        """All runs of an experiment, oldest first."""
        found = self.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": experiment}))
        return sorted((run for run in found if run.job_name == "run_experiment"), key=lambda run: self._created(run))

    def _created(self, run: dg.DagsterRun) -> datetime:
        record = self.instance.get_run_record_by_id(run.run_id)
        assert record
        return record.create_timestamp

    def finished(self, experiment: str, count: int) -> list[dg.DagsterRun]:
        """Waits until so many runs of an experiment have succeeded, and gives all of its runs."""
        self.until(
            lambda: [run.status for run in self.runs(experiment)].count(dg.DagsterRunStatus.SUCCESS) >= count,
            lambda: f"{count} runs of {experiment}: {[run.status.value for run in self.runs(experiment)]}",
        )
        return self.runs(experiment)

    def set_clock(self, experiment: str) -> str:
        """Gives an experiment a schedule that ticks once, in two or three minutes; gives the schedule."""
        self.tick = datetime.now(UTC).replace(second=0) + timedelta(minutes=3)
        schedule = f'schedule: {{cron: "{self.tick.minute} {self.tick.hour} {self.tick.day} {self.tick.month} *"}}'
        self.experiment(experiment, more=schedule)
        self.reload()
        return schedule

    def started_by_clock(self, experiment: str) -> str:
        """Waits for the run of `set_clock`, and gives the schedule that started it.

        The daemon looks for new schedules once a minute and starts what ticks after that. Where a busy machine has
        taken longer to show it the file than the tick was away, another tick is set.
        """
        for _ in range(3):
            while not self.runs(experiment) and datetime.now(UTC) < self.tick + timedelta(minutes=2):
                time.sleep(0.3)
            if self.runs(experiment):
                return (self.project.root / "experiments" / f"{experiment}.yaml").read_text().splitlines()[-1]
            self.set_clock(experiment)
        raise AssertionError(f"no run of {experiment}'s schedule\n{self.last_words()}")

    def last_words(self) -> str:
        """What `gtl ui` printed last."""
        return "\n".join(self.said.read_text().splitlines()[-40:])

    def until(self, condition: Callable[[], Any], state: Callable[[], str] = str) -> Any:
        """Waits for a condition; says, where it does not come true, how things stand."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not so within {PATIENCE:.0f} s: {state()}\n{self.last_words()}")
            time.sleep(0.3)
        return found

    def version_tag(self, model: str, version: str, name: str) -> str | None:
        """A tag of a model version, by the MLflow server."""
        return self.client().get_model_version(model, version).tags.get(name)

    def client(self) -> Any:
        """The API of the MLflow server."""
        from mlflow import MlflowClient

        return MlflowClient(f"http://127.0.0.1:{self.mlflow_port}")

    def champion(self, experiment: str) -> str | None:
        """Version of an experiment's champion, by the MLflow server."""
        aliases = self.client().get_registered_model(f"gtl-{experiment}-classifier").aliases
        return str(aliases["champion"]) if "champion" in aliases else None


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in listing.splitlines()]
    found = [pid]
    for each in found:
        found += [child for child, parent in parents if parent == each]
    return found


@pytest.fixture(scope="module")
def site(project: Project) -> Iterator[Site]:
    """A project whose daemon, servers and webhook run from here to the end."""
    told: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    webhook = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=webhook.serve_forever, daemon=True).start()
    root = project.root
    homes = Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("GTL_", "DAGSTER_"))}
    variables = {**plain, "GTL_ALERT_WEBHOOK": f"http://127.0.0.1:{webhook.server_port}/gtl"}
    for path in (root / "experiments").glob("*.yaml"):
        path.unlink()
    digits(root / "arrivals", range(997))
    project.gtl("data", "import", "arrivals", "arrivals")
    project.gtl("data", "commit")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in homes.environment().items():
            patch.setenv(name, value)
        from pipelines.instance import open_instance

        with open_instance(homes) as instance:
            dagster_port = free_port(None, 3100)
            mlflow_port = free_port(None, 5100, {dagster_port})
            said = root.parent / "ui.log"
            made = Site(project, instance, variables, told, dagster_port, mlflow_port, said)
            yield made
            made.stop()
    webhook.shutdown()


def digits(folder: Path, rows: range, *, brightness: float = 1.0, flat: bool = False) -> None:
    """Writes handwritten digits as PNG files: in class folders of `train/` and `test/`, or side by side."""
    bunch = load_digits()
    for index in rows:
        image = np.clip(np.round(bunch.images[index] * 255 / 16) * brightness, 0, 255).astype(np.uint8)
        part = "test" if index % 3 == 0 else "train"
        path = folder / f"{index}.png" if flat else folder / part / str(bunch.target[index]) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((16, 16)).save(path)


def test_days_of_production(site: Site) -> None:
    """One story, told in order, because each day builds on the one before; what need not wait goes side by side."""
    root = site.project.root
    retraining = "retrain: {on_new_data: true}\ndrift: {incoming: incoming, window: 50, effect: 0.2, action: review}"
    site.experiment("watched", target="arrivals", more=retraining)
    site.experiment("broken", more='schedule: "at three"')
    site.start()

    # A clock is set. Meanwhile new images are committed, and exactly their experiment retrains.
    site.set_clock("nightly")
    site.until(lambda: site.instance.fetch_observations(COMMITTED, limit=1).records)
    assert site.runs("watched") == []
    digits(root / "arrivals", range(997, 1297))
    site.project.gtl("data", "import", "arrivals", "arrivals", "--replace")
    site.project.gtl("data", "commit")
    site.finished("watched", 1)
    assert site.champion("watched") == "1"

    # Images come in that look otherwise. Meanwhile the schedule ticks and trains, once; what is wrong in another file
    # does not keep the daemon from it.
    digits(root / "incoming", range(1297, 1397), brightness=0.4, flat=True)
    (root / "incoming" / "notes.txt").write_text("left here by somebody")
    once = site.started_by_clock("nightly")
    [scheduled] = site.finished("nightly", 1)
    assert scheduled.tags["dagster/schedule_name"] == "nightly_schedule"
    assert site.champion("nightly") == "1"
    assert site.runs("broken") == []

    # What came in asks for a review, and trains nothing.
    reports = site.until(lambda: sorted((root / "artifacts" / "watched" / "drift").glob("*/drift.json"))[1:])
    last = json.loads(reports[-1].read_text())
    assert last["drifted"]
    assert last["triggered"]
    assert last["action"] == "review"
    assert len(site.runs("watched")) == 1
    site.until(lambda: any(alert["kind"] == "drift" for alert in site.told))

    # While somebody trains a better model by hand, more images are committed, and the power of the daemon and its
    # servers fails in mid-training.
    digits(root / "arrivals", range(1297, 1397))
    site.experiment("watched", target="arrivals", more=retraining, steps=1000)
    site.project.gtl("data", "import", "arrivals", "arrivals", "--replace")
    site.project.gtl("data", "commit")
    site.experiment("nightly", more=once, learning=400)
    by_hand = site.project.start("run", "nightly", "--json")
    training = root / "artifacts" / "watched" / "source_gan"
    site.until(lambda: any(training.glob(".*.partial/*")))
    site.kill()
    assert [run.status for run in site.runs("watched")].count(dg.DagsterRunStatus.SUCCESS) == 1
    site.start()

    # The better model waits until somebody approves of it in MLflow, and is then promoted.
    better = json.loads(site.project.ended(by_hand))
    assert better["gate"]["passed"]
    assert better["models"][0]["alias"] == "challenger"
    assert site.champion("nightly") == "1"
    site.until(lambda: any(alert["kind"] == "waiting" for alert in site.told))
    client, model = site.client(), "gtl-nightly-classifier"
    client.set_model_version_tag(model, "2", "gtl.approval", "approved")
    client.set_model_version_tag(model, "2", "gtl.approved_by", "Ada")
    site.until(lambda: site.champion("nightly") == "2")
    site.until(lambda: site.version_tag(model, "2", "gtl.approval") == "promoted")

    # A worse one is refused.
    site.experiment("nightly", more=once, learning=1)
    worse = site.project.json("run", "nightly")
    assert not worse["gate"]["passed"]
    assert worse["models"][0]["alias"] is None
    assert site.champion("nightly") == "2"

    # Back to the first, in one move; and the history says all of it and holds together.
    site.project.gtl("rollback", model, "--by", "Grace", "--reason", "complaints")
    assert site.champion("nightly") == "1"
    history = site.project.json("history", model)
    assert [entry["action"] for entry in history["entries"]][-3:] == ["promoted", "refused", "rolled_back"]
    site.project.gtl("history", model, "--verify")
    site.until(lambda: {"promoted", "rolled_back"} <= {alert["kind"] for alert in site.told})

    # The run that the power cut has killed is finished without anybody's help.
    runs = site.finished("watched", 2)
    assert [run.status for run in runs].count(dg.DagsterRunStatus.STARTED) == 0
    assert not any(path.name.endswith(".partial") for path in (root / "artifacts" / "watched").rglob(".*"))
    site.project.gtl("history", "gtl-watched-classifier", "--verify")
    shutil.rmtree(root / "incoming")
