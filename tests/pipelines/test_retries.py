"""What can pass is tried again, with longer and longer waits; what cannot fails at once, in one line."""

from __future__ import annotations

import http.server
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from gtl_core.errors import DataFailure, InputError
from gtl_core.homes import Homes
from gtl_core.registry.reach import check_reachable
from pipelines import runs
from pipelines.cli.main import explain
from pipelines.processes import PROCESS_TAG, is_gone
from pipelines.reporting import Reporter
from pipelines.retries import can_pass, wait_seconds

EXPERIMENT = """\
name: digits
source: {dataset: typeset}
target: {dataset: handwritten, labelled_per_class: 5}
image: {size: 16, channels: 1}
transfer: {strategies: [finetune]}
"""


@pytest.fixture
def homes(tmp_path: Path, tiny_digits: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """A project with one experiment and its images."""
    for variable in ("GTL_DATA", "GTL_MLRUNS", "GTL_ARTIFACTS", "GTL_DAGSTER", "GTL_EXPERIMENTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GTL_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody listens there
    for name in ("typeset", "handwritten"):
        shutil.copytree(tiny_digits, tmp_path / "data" / name)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "digits.yaml").write_text(EXPERIMENT)
    return Homes.locate()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for; the tests do not sit them out."""
    asked: list[float] = []

    def short(attempt: int) -> float:
        asked.append(wait_seconds(attempt))
        return 0.0

    monkeypatch.setattr(runs, "wait_seconds", short)
    return asked


def execute(work: Callable[[], None], instance: dg.DagsterInstance, **options: bool) -> dg.ExecuteInProcessResult:
    """Runs `work` as the assets of GTL do theirs, in a job with one partition, as `gtl run` executes it."""

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["digits"]))
    def stage(context) -> None:
        with runs.running(context, Reporter()):
            work()

    job = dg.Definitions(assets=[stage], jobs=[dg.define_asset_job("one", [stage])]).resolve_job_def("one")
    return job.execute_in_process(instance=instance, partition_key="digits", **options)


def failing(*errors: Exception) -> Callable[[], None]:
    """Work that fails once with each of these, and then succeeds."""
    left = list(errors)

    def work() -> None:
        if left:
            raise left.pop(0)

    return work


def locked() -> sqlite3.OperationalError:
    return sqlite3.OperationalError("database is locked")


def test_a_locked_database_is_tried_again_with_longer_waits(homes: Homes, waits: list[float]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert execute(failing(locked(), locked(), locked()), instance).success
    assert waits == [2.0, 4.0, 8.0]


def test_what_does_not_pass_in_three_tries_fails_with_its_own_line(homes: Homes, waits: list[float]) -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(sqlite3.OperationalError) as caught:
        execute(failing(*(locked() for _ in range(9))), instance)
    assert len(waits) == 3
    assert explain(caught.value)[0].startswith("unexpected failure: OperationalError: database is locked")


def test_a_store_that_another_process_holds_for_a_while_is_waited_for(homes: Homes, waits: list[float]) -> None:
    path = homes.root / "mlflow.db"
    with closing(sqlite3.connect(path, check_same_thread=False)) as holder:
        holder.execute("create table runs (id)")
        holder.execute("begin exclusive")
        release = threading.Timer(7.0, holder.rollback)  # SQLite itself waits for 5 s
        release.start()
        with dg.DagsterInstance.ephemeral() as instance:
            assert execute(lambda: check_reachable(f"sqlite:///{path}"), instance).success
        release.join()
    assert waits[0] == 2.0


def test_a_server_that_is_away_for_a_moment_is_waited_for(homes: Homes, waits: list[float]) -> None:
    class Well(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    answers = iter([503, 200])
    with http.server.HTTPServer(("127.0.0.1", 0), Well) as server, dg.DagsterInstance.ephemeral() as instance:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = execute(lambda: check_reachable(f"http://127.0.0.1:{server.server_port}"), instance)
        server.shutdown()
    assert result.success
    assert waits == [2.0]


@pytest.mark.parametrize(
    "error",
    [
        DataFailure("digits: 3 images of the training part are in the test part"),
        InputError("no image set 'typeset'"),
        ValueError("a bug"),
        sqlite3.OperationalError("no such table: runs"),
        FileNotFoundError(2, "No such file"),
    ],
)
def test_what_cannot_pass_fails_at_once(homes: Homes, waits: list[float], error: Exception) -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(type(error), match=str(error.args[-1])):
        execute(failing(error), instance)
    assert waits == []


def test_bad_data_stay_bad_even_where_a_connection_was_lost_before(homes: Homes) -> None:
    with pytest.raises(DataFailure) as caught:
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            raise DataFailure("leak") from None
    assert not can_pass(caught.value)
    caught.value.__cause__ = ConnectionResetError()
    assert not can_pass(caught.value)


def test_a_store_that_is_lost_while_a_run_fails_does_not_hide_why(homes: Homes, waits: list[float]) -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(DataFailure, match="leak"):
        execute(failing(DataFailure("leak")), instance)


def test_errors_of_mlflow_pass_where_a_server_says_so() -> None:
    from mlflow.exceptions import MlflowException, RestException

    assert can_pass(RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "locked"}))
    assert can_pass(MlflowException("API request to endpoint /runs failed with error code 502 != 200"))
    assert not can_pass(RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}))
    assert not can_pass(MlflowException("no such metric"))
    with pytest.raises(MlflowException) as caught:
        try:
            raise locked()
        except sqlite3.OperationalError as error:
            raise MlflowException("(sqlite3.OperationalError) database is locked") from error
    assert can_pass(caught.value)


def test_a_run_says_which_process_works_on_it(homes: Homes) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(failing(), instance)
        run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert not is_gone(run.tags[PROCESS_TAG])
