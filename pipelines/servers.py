"""Local servers with a page: the Dagster and MLflow of this project, as child processes that are always stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from gtl_core.errors import GtlError, InputError
from gtl_core.homes import Homes
from pipelines.delivery import DAGSTER_URL
from pipelines.instance import prepare

HOST = "127.0.0.1"
DAGSTER_PORT = 3000
MLFLOW_PORT = 5000
_PORTS_TRIED = 100
_READY_SECONDS = 180.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class ServerSpec:
    """How to start a server and how to see that it is ready.

    Attributes:
        name: for people.
        command: the program and its arguments.
        folder: working directory.
        variables: environment variables besides those of this process.
        port: where it listens, on `HOST`.
        health: path that answers 200 when it is ready.
        log: file that takes its output.
    """

    name: str
    command: Sequence[str]
    folder: Path
    variables: Mapping[str, str]
    port: int
    health: str
    log: Path

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}"


def dagster_server(homes: Homes, port: int) -> ServerSpec:
    """Dagster's page with its daemon, which starts the runs that are asked for on the page."""
    # `dagster dev` finds the code location by [tool.dg] of the pyproject.toml in its working directory.
    command = [sys.executable, "-m", "dagster", "dev", "--host", HOST, "--port", str(port)]
    log = homes.dagster / "dagster-server.log"
    # Alerts link to the page; where it is reached by another address, that is set already.
    variables = {DAGSTER_URL: f"http://{HOST}:{port}"} if not os.environ.get(DAGSTER_URL) else {}
    return ServerSpec("Dagster", command, homes.root, homes.environment() | variables, port, "/server_info", log)


def mlflow_server(homes: Homes, port: int) -> ServerSpec:
    """MLflow's page over the store that `MLFLOW_TRACKING_URI` names, or over `mlflow.db` in the MLflow home."""
    homes.mlruns.mkdir(parents=True, exist_ok=True)
    store = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{homes.mlruns / 'mlflow.db'}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--default-artifact-root", (homes.mlruns / "artifacts").as_uri()]
    command += ["--no-serve-artifacts"]
    # The jobs are for judging language models; they would keep eight more processes busy.
    variables = homes.environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return ServerSpec("MLflow", command, homes.mlruns, variables, port, "/health", homes.dagster / "mlflow-server.log")


def free_port(wanted: int | None, default: int, taken: Collection[int] = ()) -> int:
    """A port to listen on.

    Args:
        wanted: the port that the user asked for, or None.
        default: where to begin looking when none was asked for.
        taken: ports that are to be left alone.

    Raises:
        InputError: the wanted port, or every port that was tried, is in use.
    """
    if wanted is not None:
        if wanted in taken or not _is_free(wanted):
            raise InputError(f"port {wanted} is in use; name another, or none to have a free one chosen")
        return wanted
    for port in range(default, default + _PORTS_TRIED):
        if port not in taken and _is_free(port):
            return port
    raise InputError(f"no free port between {default} and {default + _PORTS_TRIED - 1}; name one")


@contextmanager
def running(homes: Homes, specs: Sequence[ServerSpec]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Starts servers, waits until all are ready, and stops them and all their children when the block ends.

    SIGTERM and SIGHUP end the block as Ctrl-C does, by `KeyboardInterrupt`. Call it from the main thread.

    Raises:
        GtlError: a server stopped by itself or did not become ready.
    """
    prepare(homes)
    processes: list[subprocess.Popen[bytes]] = []
    # SIGINT too: a shell script starts background jobs with it ignored, and the servers would inherit that.
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        for spec in specs:
            with spec.log.open("wb") as log:
                # A session of its own: Ctrl-C on the terminal reaches us alone, and we stop the servers in order.
                process = subprocess.Popen(
                    list(spec.command),
                    cwd=spec.folder,
                    env=os.environ | spec.variables,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            processes.append(process)
        deadline = time.monotonic() + _READY_SECONDS
        for spec in specs:
            while not _is_ready(spec):
                require_alive(specs, processes)
                if time.monotonic() > deadline:
                    raise GtlError(f"{spec.name} was not ready after {_READY_SECONDS:.0f} s; see {spec.log}")
                time.sleep(_POLL_SECONDS)
        yield processes
    finally:
        _stop(processes)
        for number, handler in before.items():
            signal.signal(number, handler)


def require_alive(specs: Sequence[ServerSpec], processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Checks that all servers run.

    Raises:
        GtlError: one has stopped; the message gives the last line of its log.
    """
    for spec, process in zip(specs, processes, strict=True):
        if process.poll() is not None:
            lines = spec.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1] if lines else "it said nothing"
            raise GtlError(f"{spec.name} stopped by itself ({last}); all it said is in {spec.log}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
        return True


def _is_ready(spec: ServerSpec) -> bool:
    try:
        with urllib.request.urlopen(spec.address + spec.health, timeout=5) as answer:  # noqa: S310 - http only
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Asks every server to stop, then kills what is left of its session; a second Ctrl-C kills at once."""
    try:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
