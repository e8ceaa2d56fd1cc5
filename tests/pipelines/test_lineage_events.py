"""OpenLineage: every run and stage is told of by valid events, and nobody who listens can stop a run."""

from __future__ import annotations

import http.server
import json
import socketserver
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import jsonschema
import pytest
import yaml

from gtl_core.errors import DataFailure
from gtl_core.homes import Homes
from pipelines import runs
from pipelines.lineage_events import tell_killed
from pipelines.reporting import Reporter
from pipelines.stages import Chain
from tests.pipelines.small_chain import SMALL, project_of_digits

SCHEMA = json.loads(Path(__file__).with_name("openlineage_2_0_2.json").read_text())
Stages = dict[str, tuple[list[str], Callable[[Chain], object]]]


@pytest.fixture
def homes(tmp_path: Path, tiny_digits: Path, new_project: Callable[[Path], Homes], monkeypatch) -> Homes:
    """A project with image sets and one experiment."""
    made = new_project(tmp_path / "project")
    project_of_digits(made.root, tiny_digits)
    made.experiments.mkdir()
    (made.experiments / "small.yaml").write_text(yaml.safe_dump(SMALL))
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("MLFLOW_TRACKING_URI", "OPENLINEAGE_URL", "OPENLINEAGE_ENDPOINT", "OPENLINEAGE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(runs, "wait_seconds", lambda attempt: 0.0)
    return made


@pytest.fixture
def file(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that events are written to."""
    path = homes.root.parent / "events" / "lineage.jsonl"
    monkeypatch.setenv("GTL_OPENLINEAGE", str(path))
    return path


def run(stages: Stages, **options: Any) -> dg.ExecuteInProcessResult:
    """Runs stages as assets of the experiment, each after those that it names."""

    def asset(name: str, before: list[str], work: Callable[[Chain], object]) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=before, partitions_def=dg.StaticPartitionsDefinition(["small"]))
        def stage(context) -> None:
            with runs.running(context, Reporter()) as chain:
                work(chain)

        return stage

    assets = [asset(name, *about) for name, about in stages.items()]
    job = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("one", "*")]).resolve_job_def("one")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, partition_key="small", raise_on_error=False, **options)


DRAWS: Stages = {
    "source_images": ([], lambda chain: chain.sets),
    "target_images": ([], lambda chain: chain.sets),
    "data_validation": (["source_images", "target_images"], Chain.data_validation),
    "draws": (["data_validation"], Chain.draws),
}


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a file, each of them valid."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        jsonschema.validate(event, SCHEMA, format_checker=jsonschema.FormatChecker())
    return events


def told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in events]


def test_a_run_and_its_stages_are_told_of_from_start_to_end(homes: Homes, file: Path):
    result = run(DRAWS)
    assert result.success
    events = read(file)
    names = told(events)
    assert names[0] == ("small", "START")
    assert names[-1] == ("small", "COMPLETE")
    assert sorted(names[1:-1]) == sorted((f"small.{name}", kind) for name in DRAWS for kind in ("START", "COMPLETE"))
    parents = {event["run"]["facets"].get("parent", {}).get("run", {}).get("runId") for event in events[1:-1]}
    assert parents == {events[0]["run"]["runId"]} == {result.run_id}
    assert len({event["run"]["runId"] for event in events}) == 1 + len(DRAWS)


def test_data_sets_have_their_version_their_columns_and_their_size(homes: Homes, file: Path):
    run(DRAWS)
    events = {(event["job"]["name"], event["eventType"]): event for event in read(file)}
    source, target = events["small", "START"]["inputs"]
    chain = Chain(runs.load_experiment(homes.experiments / "small.yaml"), homes)
    assert (source["name"], target["name"]) == ("data/turned", "data/tiny-digits")
    assert target["facets"]["version"]["datasetVersion"] == chain.sets[1].version
    assert {"name": "sha256", "type": "string"} in target["facets"]["schema"]["fields"]
    assert target["inputFacets"]["inputStatistics"]["rowCount"] == 600
    (draws,) = events["small.draws", "COMPLETE"]["outputs"]
    assert draws["name"] == "small/draws"
    assert draws["facets"]["version"]["datasetVersion"] == chain.require("draws").version
    assert draws["outputFacets"]["outputStatistics"]["fileCount"] == 2
    read_by_draws = [dataset["name"] for dataset in events["small.draws", "START"]["inputs"]]
    assert read_by_draws == ["data/turned", "data/tiny-digits", "small/data_validation"]
    tags = {tag["key"]: tag["value"] for tag in events["small", "START"]["run"]["facets"]["tags"]["tags"]}
    assert len(tags["git_commit"].removesuffix("-dirty")) == 40
    assert tags["data_version"].endswith(".dir")


def test_a_stage_that_fails_ends_itself_and_the_run_with_the_reason(homes: Homes, file: Path):
    def fail(chain: Chain) -> None:
        raise DataFailure("the images are blank")

    assert not run({**DRAWS, "draws": (["data_validation"], fail)}).success
    events = read(file)
    assert told(events)[-2:] == [("small.draws", "FAIL"), ("small", "FAIL")]
    assert {event["run"]["facets"]["errorMessage"]["message"] for event in events[-2:]} == {
        "DataFailure: the images are blank"
    }


def test_what_is_tried_again_is_a_new_run_of_its_stage_and_the_run_goes_on(homes: Homes, file: Path):
    left = [sqlite3.OperationalError("database is locked")]

    def once(chain: Chain) -> None:
        if left:
            raise left.pop()

    assert run({"draws": ([], once)}).success
    events = read(file)
    assert told(events) == [
        ("small", "START"),
        ("small.draws", "START"),
        ("small.draws", "FAIL"),
        ("small.draws", "START"),
        ("small.draws", "COMPLETE"),
        ("small", "COMPLETE"),
    ]
    assert events[1]["run"]["runId"] == events[2]["run"]["runId"] != events[3]["run"]["runId"]


def test_data_that_fail_their_validation_end_the_run(homes: Homes, file: Path):
    import numpy as np

    pixels = np.load(homes.data / "turned" / "images.npy", mmap_mode="r+")
    pixels[:60] = 0
    pixels.flush()
    from gtl_core.data.image_set import ImageSet, ImageSetWriter

    blank = ImageSet.load(homes.data / "turned")
    with ImageSetWriter(homes.data / "turned", blank.classes) as writer:
        for index in range(len(blank)):
            image = np.zeros_like(blank.images[index]) if index < 60 else np.array(blank.images[index])
            writer.add(image, label=int(blank.labels[index]), source_file=str(index))
    run({name: DRAWS[name] for name in ("source_images", "target_images", "data_validation")})
    events = read(file)
    assert told(events)[-2:] == [("small.data_validation", "COMPLETE"), ("small", "FAIL")]
    assert "critical" in events[-1]["run"]["facets"]["errorMessage"]["message"]


def test_a_killed_run_is_told_of_by_whoever_closes_it(homes: Homes, file: Path):
    tell_killed("0b5e0f6e-6a6b-4f0e-8f0e-2f6d5a3c1b2a", "small", "process 7 is gone")
    (event,) = read(file)
    assert told([event]) == [("small", "ABORT")]


def test_a_killed_run_is_closed_also_where_it_cannot_be_told_of(homes: Homes, monkeypatch):
    class Refuses(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(10)
            self.request.sendall(b"SSH-2.0-OpenSSH_9\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_address[1]}")
        tell_killed("0b5e0f6e-6a6b-4f0e-8f0e-2f6d5a3c1b2a", "small", "process 7 is gone")
        server.shutdown()


class Listener(http.server.BaseHTTPRequestHandler):
    """Answers as it is told to, and keeps what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.path, self.headers["Authorization"], json.loads(body)))
        time.sleep(self.server.wait)
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    """A server that events can be sent to."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listening:
        listening.heard, listening.answer, listening.wait = [], 201, 0.0
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening
        listening.shutdown()


NOTHING: Stages = {"draws": ([], lambda chain: None)}


def test_events_are_sent_to_a_server_with_its_key(homes: Homes, server: Any, monkeypatch):
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "s3cret")
    assert run(NOTHING).success
    assert {(path, key) for path, key, _ in server.heard} == {("/api/v1/lineage", "Bearer s3cret")}
    assert told([event for *_, event in server.heard])[-1] == ("small", "COMPLETE")
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    server.heard.clear()
    assert run(NOTHING).success
    assert not server.heard


@pytest.mark.parametrize(
    "trouble", ["answers 500", "does not answer", "is not there", "is no address", "has a user", "no file"]
)
def test_who_does_not_listen_stops_no_run_and_is_one_warning(
    homes: Homes, server: Any, trouble: str, monkeypatch, capfd: pytest.CaptureFixture[str]
):
    from gtl_core.registry import open_lineage

    monkeypatch.setattr(open_lineage, "_TIMEOUT_SECONDS", 0.2)
    port = server.server_port
    if trouble == "answers 500":
        server.answer = 500
    elif trouble == "does not answer":
        server.wait = 2.0
    elif trouble == "is not there":
        port = 9
    scheme, user = "ftp" if trouble == "is no address" else "http", "u:s3cret@" if trouble == "has a user" else ""
    url = f"{scheme}://{user}127.0.0.1:{port}"
    if trouble == "no file":
        (homes.root.parent / "taken").write_text("")
        monkeypatch.setenv("GTL_OPENLINEAGE", str(homes.root.parent / "taken" / "events.jsonl"))
    else:
        monkeypatch.setenv("OPENLINEAGE_URL", url)
    started = time.monotonic()
    assert run(NOTHING).success
    assert time.monotonic() - started < 10
    warnings = [line for line in capfd.readouterr().err.splitlines() if "OpenLineage" in line]
    assert len(warnings) == 1
    assert "s3cret" not in warnings[0]
