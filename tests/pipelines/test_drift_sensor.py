"""The sensor over incoming folders: two drifted windows in a row, once, and nothing that comes in can stop it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from gtl_core.data.demo import EMBEDDED
from gtl_core.data.image_set import ImageSet
from gtl_core.files import file_sha256, read_json
from gtl_core.homes import Homes
from gtl_core.registry.register import classifier_name
from gtl_core.registry.tracking import open_store
from gtl_core.training.classifier import new_classifier, save_classifier
from pipelines.defs.drift import drift
from pipelines.drift import reports

FILE = """\
name: {name}
source: {{dataset: typeset-digits}}
target: {{dataset: handwritten-digits, labelled_per_class: 3}}
image: {{size: 16, channels: 1}}
transfer: {{strategies: [finetune]}}
drift: {{incoming: incoming/{name}, action: {action}, window: 50}}
"""
LONG_AGO = time.time() - 86_400


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp("data") / "handwritten-digits"
    EMBEDDED["handwritten-digits"](folder)
    return ImageSet.load(folder)


@dataclass
class Watched:
    """A project with incoming folders, and the sensor over them, tick after tick.

    Attributes:
        homes: the project's.
        digits: the target.
        instance: a Dagster instance of its own.
        cursor: what the sensor remembers.
        said: why the last tick started nothing; empty where it did.
        observed: what the last tick told Dagster of the windows.
    """

    homes: Homes
    digits: ImageSet
    instance: dg.DagsterInstance
    cursor: str | None = None
    said: str = ""
    observed: list[Any] = field(default_factory=list)
    arrived: int = 0

    def experiment(self, name: str = "demo", action: str = "review") -> None:
        """Writes a file, of one of the shipped names, because partitions are those that Dagster has loaded."""
        self.homes.experiments.mkdir(exist_ok=True)
        (self.homes.experiments / f"{name}.yaml").write_text(FILE.format(name=name, action=action))
        self.folder(name).mkdir(parents=True, exist_ok=True)

    def folder(self, name: str = "demo") -> Path:
        return self.homes.root / "incoming" / name

    def arrive(self, count: int, brightness: float = 1.0, name: str = "demo") -> None:
        """Lets images arrive: other ones each time, copied a day ago."""
        rows = np.random.default_rng(self.arrived).choice(self.digits.indices("train"), count, replace=False)
        for row in rows:
            path = self.folder(name) / f"{self.arrived:05}.png"
            Image.fromarray((self.digits.images[row, 0] * brightness).astype(np.uint8)).save(path)
            os.utime(path, (LONG_AGO + self.arrived, LONG_AGO + self.arrived))
            self.arrived += 1

    def tick(self) -> list[dg.RunRequest]:
        """One tick, after which the daemon has kept the cursor."""
        result = drift(dg.build_sensor_context(self.instance, cursor=self.cursor))
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.said = str(result.skip_reason.skip_message) if result.skip_reason else ""
        self.observed = list(result.asset_events)
        return list(result.run_requests or [])

    def checks(self, name: str = "demo") -> list[dict[str, Any]]:
        """What the checks so far say, the newest last."""
        return [read_json(folder / "drift.json") for folder in reports(self.homes, name)]


@pytest.fixture
def watched(digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    root = tmp_path / "project"
    homes = Homes(root, *(root / name for name in ("data", "mlruns", "artifacts", ".dagster", "experiments")))
    shutil.copytree(digits.folder, homes.data / "handwritten-digits")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for variable, value in homes.environment().items():
        monkeypatch.setenv(variable, value)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watched(homes, digits, instance)


def test_without_an_incoming_folder_there_is_nothing_to_do(watched: Watched) -> None:
    assert watched.tick() == []
    assert watched.said == "no experiment names drift.incoming"


def test_images_wait_until_their_window_is_full_and_foreign_files_are_told_of(watched: Watched) -> None:
    watched.experiment()
    watched.arrive(49)
    (watched.folder() / "notes.txt").write_text("the camera's log")
    assert watched.tick() == []
    assert (
        watched.said == "demo: 49 of 50 images for the next window; 1 other files are left aside: notes.txt (no image)"
    )
    assert watched.checks() == []
    watched.arrive(1)
    assert watched.tick() == []
    assert watched.said.startswith("demo: 1 window checked, 0 of 50 images for the next window")
    (check,) = watched.checks()
    assert check["files"] == [f"{index:05}.png" for index in range(50)]
    assert check["left_out"] == {"files": 1, "first": [{"file": "notes.txt", "why": "no image"}]}
    assert (check["drifted"], check["consecutive"], check["action"]) == (False, 0, "none")
    assert (reports(watched.homes)[0] / "drift.html").is_file()


def test_review_is_asked_for_at_the_second_drifted_window_in_a_row_and_only_then(watched: Watched) -> None:
    watched.experiment()
    for brightness in (0.6, 1.0, 0.6, 0.6, 0.6):
        watched.arrive(50, brightness)
        assert watched.tick() == []
    found = [
        (check["drifted"], check["consecutive"], check["triggered"], check["action"]) for check in watched.checks()
    ]
    assert found == [
        (True, 1, False, "none"),
        (False, 0, False, "none"),
        (True, 1, False, "none"),
        (True, 2, True, "review"),
        (True, 3, False, "none"),
    ]
    assert watched.checks()[0]["sentence"].startswith("Drifted: ")


def test_retraining_is_requested_once_for_that_experiment_alone(watched: Watched) -> None:
    watched.experiment("demo", action="retrain")
    watched.experiment("mnist_usps", action="retrain")
    watched.arrive(100, 0.6)
    (request,) = watched.tick()
    assert (request.partition_key, request.job_name) == ("demo", None)
    assert request.run_key == f"drift/demo/{watched.checks()[-1]['key']}"
    assert request.tags["gtl/drift"] == reports(watched.homes)[-1].name
    assert [event.metadata["windows in a row"].value for event in watched.observed] == [1, 2]
    assert watched.tick() == []
    assert watched.observed == []


def test_a_daemon_that_was_killed_before_its_cursor_was_kept_asks_for_the_same_run(watched: Watched) -> None:
    watched.experiment(action="retrain")
    watched.arrive(100, 0.6)
    before = watched.cursor
    (first,) = watched.tick()
    watched.cursor = before
    (second,) = watched.tick()
    assert first.run_key == second.run_key


def test_a_window_that_was_checked_by_a_killed_process_is_not_checked_again(watched: Watched) -> None:
    watched.experiment()
    watched.arrive(50, 0.6)
    watched.tick()
    (watched.homes.artifacts / "demo" / "drift" / "incoming.json").unlink()
    watched.tick()
    assert len(watched.checks()) == 1
    watched.arrive(50, 0.6)
    watched.tick()
    assert [check["consecutive"] for check in watched.checks()] == [1, 2]


def test_a_folder_is_never_checked_twice_at_once(watched: Watched) -> None:
    watched.experiment()
    watched.arrive(50)
    (watched.homes.artifacts / "demo" / "drift").mkdir(parents=True)
    with FileLock(watched.homes.artifacts / "demo" / "drift" / ".incoming.lock"):
        watched.tick()
    assert watched.said == "demo waits: its incoming folder is still being checked"
    assert watched.checks() == []
    watched.tick()
    assert len(watched.checks()) == 1


def test_images_of_several_windows_are_checked_in_the_order_of_their_arrival(watched: Watched) -> None:
    watched.experiment()
    watched.arrive(50)
    watched.arrive(50, 0.6)
    watched.arrive(30)
    watched.tick()
    assert [(check["drifted"], check["files"][0]) for check in watched.checks()] == [
        (False, "00000.png"),
        (True, "00050.png"),
    ]
    assert "2 windows checked, 30 of 50 images" in watched.said


def test_whatever_is_wrong_with_one_experiment_the_others_are_checked(watched: Watched) -> None:
    for name in ("demo", "demo_unlabelled", "mnist_usps"):
        watched.experiment(name)
    watched.folder("demo").rmdir()
    (watched.homes.experiments / "broken.yaml").write_text("name: [")
    artifacts = watched.homes.artifacts / "demo_unlabelled" / "drift"
    artifacts.mkdir(parents=True)
    (artifacts / "incoming.json").write_text("{cut off")
    watched.arrive(50, name="mnist_usps")
    assert watched.tick() == []
    assert len(watched.checks("mnist_usps")) == 1
    for told in ("broken.yaml", "demo waits: the incoming folder", "incoming.json is damaged; remove it"):
        assert told in watched.said
    watched.folder("demo").mkdir()
    watched.arrive(50, name="demo")
    watched.tick()
    assert len(watched.checks("demo")) == 1


def test_a_set_that_is_not_there_keeps_the_images_waiting(watched: Watched) -> None:
    watched.experiment()
    watched.arrive(50)
    moved = watched.homes.data / "handwritten-digits"
    moved.rename(watched.homes.root / "elsewhere")
    watched.tick()
    assert "no image set 'handwritten-digits'" in watched.said
    (watched.homes.root / "elsewhere").rename(moved)
    watched.tick()
    assert len(watched.checks()) == 1


def test_the_incoming_folder_is_left_as_it_is(watched: Watched) -> None:
    watched.experiment()
    watched.arrive(60, 0.6)
    (watched.folder() / "broken.png").write_text("no image")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in watched.folder().rglob("*")}
    watched.tick()
    assert len(watched.checks()) == 1
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in watched.folder().rglob("*")} == before


def weights(path: Path, seed: int) -> Path:
    save_classifier(path, new_classifier(size=16, channels=1, width=4, classes=3, seed=seed), ("a", "b", "c"))
    return path


def make_champion(homes: Homes, folder: Path, seed: int) -> Path:
    """Registers a classifier whose weights lie in a folder as MLflow lays them out, as champion of `demo`."""
    path = weights(folder / "artifacts" / "classifier.safetensors", seed)
    client, name = open_store(homes).client, classifier_name("demo")
    if not client.search_registered_models(filter_string=f"name='{name}'"):
        client.create_registered_model(name)
    version = client.create_model_version(name, source=folder.as_uri())
    client.set_registered_model_alias(name, "champion", version.version)
    return path


def test_the_champion_looks_at_the_images_and_else_the_newest_source_classifier(
    watched: Watched, empty_store: Path, tmp_path: Path
) -> None:
    watched.experiment()
    watched.arrive(50, 0.6)
    watched.tick()
    assert watched.checks()[-1]["classifier"] is None
    assert "no classifier" in watched.checks()[-1]["missing"]["classifier"]

    source = watched.homes.artifacts / "demo" / "source_classifier"
    weights(source / "0123" / "classifier.safetensors", 0)
    os.utime(source / "0123" / "classifier.safetensors", (LONG_AGO, LONG_AGO))
    newest = weights(source / "4567" / "classifier.safetensors", 1)
    watched.arrive(50, 0.6)
    watched.tick()
    seen = watched.checks()[-1]
    assert seen["classifier"] == {"what": "source classifier 4567", "sha256": file_sha256(newest)}
    assert [test["name"] for test in seen["tests"]][4:] == ["class/a", "class/b", "class/c", "features"]
    assert seen["consecutive"] == 1, "with another model the windows are counted anew"
    assert seen["reference"]["images"] == 997

    watched.homes.mlruns.mkdir()
    shutil.copy(empty_store, watched.homes.mlruns / "mlflow.db")
    champion = make_champion(watched.homes, tmp_path / "packaged", 2)
    watched.arrive(100, 0.6)
    watched.tick()
    last = watched.checks()[-1]
    assert last["classifier"] == {"what": "champion gtl-demo-classifier/1", "sha256": file_sha256(champion)}
    assert (last["consecutive"], last["action"]) == (2, "review")
    assert 997 - 5 * 3 * 10 <= last["reference"]["images"] < 997, "what the draws have labelled is left out"
    assert last["missing"] == {}

    shutil.rmtree(tmp_path / "packaged")
    watched.arrive(50)
    watched.tick()
    assert watched.checks()[-1]["classifier"]["what"] == "source classifier 4567"


def test_a_store_that_does_not_answer_keeps_the_images_waiting(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.experiment()
    watched.arrive(50)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    watched.tick()
    assert watched.said.startswith("demo waits: ")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    watched.tick()
    assert len(watched.checks()) == 1


def test_dagster_knows_the_sensor_and_runs_it_without_being_asked() -> None:
    assert drift.job_name == "run_experiment"
    assert drift.default_status is dg.DefaultSensorStatus.RUNNING
