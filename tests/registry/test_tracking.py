"""Runs in the MLflow store, and stores that cannot be used."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.registry.open_lineage import Sender
from gtl_core.registry.reach import check_reachable, shown
from gtl_core.registry.tracking import TrackingStore, open_store


def test_a_run_records_parameters_curves_data_sets_and_files_below_its_parent(store: TrackingStore, tmp_path: Path):
    curves = tmp_path / "curves.csv"
    curves.write_text("step,loss_d,loss_g\n0,1.5,nan\n50,1.25,0.5\n100,,0.25\n")
    picture = tmp_path / "samples.png"
    picture.write_bytes(b"png")
    parent = store.start_run("gtl-demo", "demo")
    run = store.start_run("gtl-demo", "source_gan", parent, {"gtl.stage": "source_gan"})
    store.log_params(run, {"seed": 0, "gan": {"width": 32, "augmentation": ["cutout"]}, "long": "x" * 9000})
    store.log_curves(run, curves, "draw-0/")
    store.log_metrics(run, {"seconds": 1.5, "nothing": float("nan")})
    store.log_artifact(run, picture, "pictures")
    store.log_dataset_input(run, "usps", "target", "0123456789abcdef0123456789abcdef.dir", 9298)
    store.finish(run)

    found = store.client.get_run(run)
    assert found.data.tags["mlflow.parentRunId"] == parent
    assert found.data.tags["gtl.stage"] == "source_gan"
    assert found.info.status == "FINISHED"
    assert found.data.params["gan.width"] == "32"
    assert found.data.params["gan.augmentation"] == '["cutout"]'
    assert len(found.data.params["long"]) == 6000
    assert found.data.metrics["seconds"] == 1.5
    assert "nothing" not in found.data.metrics
    history = store.client.get_metric_history(run, "draw-0/loss_g")
    assert [(point.step, point.value) for point in history] == [(50, 0.5), (100, 0.25)]
    assert [file.path for file in store.client.list_artifacts(run, "pictures")] == ["pictures/samples.png"]
    (read,) = found.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("usps", "0123456789abcdef0123456789abcdef.dir")
    assert [tag.value for tag in read.tags] == ["target"]
    assert json.loads(read.dataset.profile) == {"images": 9298}


def test_artifacts_lie_in_the_mlflow_home_also_where_its_path_holds_a_space(empty_store: Path, tmp_path: Path):

    mlruns = tmp_path / "a b" / "mlruns"
    mlruns.mkdir(parents=True)
    (mlruns / "mlflow.db").write_bytes(empty_store.read_bytes())
    homes = Homes(tmp_path, tmp_path, mlruns, tmp_path, tmp_path, tmp_path)
    store = open_store(homes)
    note = tmp_path / "note.txt"
    note.write_text("kept")
    run = store.start_run("gtl-demo", "demo")
    store.log_artifact(run, note)
    assert (mlruns / "artifacts" / "gtl-demo" / run / "artifacts" / "note.txt").read_text() == "kept"


def test_processes_that_find_no_store_at_the_same_moment_make_one_together(homes: Homes):
    (homes.mlruns / "mlflow.db").unlink()
    code = "from gtl_core.homes import Homes; from gtl_core.registry.tracking import open_store; "
    code += "open_store(Homes.locate()).start_run('together', 'run')"
    variables = {**os.environ, **homes.environment()}
    both = [subprocess.Popen([sys.executable, "-c", code], env=variables) for _ in range(2)]
    assert [process.wait(180) for process in both] == [0, 0]
    client = open_store(homes).client
    [experiment] = [each for each in client.search_experiments() if each.name == "together"]
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_an_experiment_that_was_deleted_on_the_page_is_used_again(store: TrackingStore):
    run = store.start_run("gtl-demo", "first")
    store.client.delete_experiment(store.client.get_run(run).info.experiment_id)
    again = store.start_run("gtl-demo", "second")
    assert store.client.get_run(again).info.experiment_id == store.client.get_run(run).info.experiment_id


def test_curves_without_steps_are_refused(store: TrackingStore, tmp_path: Path):
    curves = tmp_path / "curves.csv"
    curves.write_text("loss\n1\n")
    with pytest.raises(InputError, match="step"):
        store.log_curves(store.start_run("gtl-demo", "demo"), curves)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "postgresql", "mysql+pymysql"])
def test_a_server_that_does_not_answer_is_named_within_seconds_and_without_its_password(
    scheme: str, monkeypatch, homes
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://someone:secret@127.0.0.1:{free_port()}/mlflow")
    started = time.monotonic()
    with pytest.raises(InputError, match=r"127\.0\.0\.1") as caught:
        open_store(homes)
    assert time.monotonic() - started < 10
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "databricks"])
def test_an_address_that_is_no_store_is_refused_with_what_is_allowed(uri: str):
    with pytest.raises(InputError, match="sqlite:///FILE"):
        check_reachable(uri)


@pytest.mark.parametrize(
    "uri",
    ["http://host:port", "http://host:70000", "http://[secret", "postgresql://ada:se/cret@host/db", "http://a b/"],
)
def test_an_address_that_cannot_be_read_is_refused_without_being_repeated(uri: str):
    with pytest.raises(InputError, match="is no address whose host and port can be read") as caught:
        check_reachable(uri)
    assert "cret" not in str(caught.value)


@pytest.fixture
def chatterbox() -> Iterator[int]:
    """The port of a server that speaks something else than HTTP or a database's language."""

    class Chatter(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(10)
            self.request.sendall(b"SSH-2.0-OpenSSH_9\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Chatter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def test_a_server_that_speaks_no_http_is_refused_and_stops_no_event(chatterbox: int):
    with pytest.raises(InputError, match="does not answer as an MLflow server does") as caught:
        check_reachable(f"http://ada:secret@127.0.0.1:{chatterbox}")
    assert "secret" not in str(caught.value)
    sender = Sender(None, f"http://127.0.0.1:{chatterbox}", "")
    (trouble,) = sender.send({"eventType": "START"})
    assert "does not answer as a web server does (BadStatusLine)" in trouble
    assert sender.send({"eventType": "COMPLETE"}) == []


def test_a_server_that_is_no_database_and_a_driver_that_is_not_there_are_told_in_one_line(chatterbox: int):
    for scheme, told in (
        ("postgresql", "cannot be used"),
        ("postgresql+nosuch", "cannot be used"),
        ("postgresql+pg8000", "needs the Python module pg8000, which is not installed"),
    ):
        with pytest.raises(InputError, match=told) as caught:
            check_reachable(f"{scheme}://ada:secret@127.0.0.1:{chatterbox}/models")
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("postgresql://ada:secret@db:5433/models", "postgresql://***@db:5433/models"),
        ("postgresql://:secret@db/models", "postgresql://***@db/models"),
        ("postgresql://ada:sec@ret@db/models", "postgresql://***@db/models"),
        (
            "postgresql:///models?host=/run/pg&user=ada&password=secret&port=5433",
            "postgresql:///models?host=/run/pg&user=***&password=***&port=5433",
        ),
        ("https://tracking.example/a?token=secret", "https://tracking.example/a?token=***"),
        ("sqlite:////home/ada/mlruns/mlflow.db", "sqlite:////home/ada/mlruns/mlflow.db"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(uri: str, told: str):
    assert shown(uri) == told


def test_a_store_that_is_no_database_is_refused_within_seconds(homes: Homes):
    (homes.mlruns / "mlflow.db").write_bytes(b"this is no database, whatever its name says" * 100)
    started = time.monotonic()
    with pytest.raises(InputError, match=r"mlflow\.db"):
        open_store(homes)
    assert time.monotonic() - started < 10


def test_a_store_of_a_newer_mlflow_is_refused(homes: Homes):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(homes.mlruns / "mlflow.db")) as connection, connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")
    with pytest.raises(InputError, match="schema"):
        open_store(homes)


def test_a_store_whose_folder_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make"):
        check_reachable(f"sqlite:///{tmp_path / 'file' / 'mlruns' / 'mlflow.db'}")
