"""`gtl ui`: real servers, real requests, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from gtl_core.errors import GtlError, InputError
from gtl_core.homes import Homes
from pipelines.servers import HOST, ServerSpec, free_port, running

GTL = Path(sys.executable).with_name("gtl")


def _free() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _get(address: str) -> tuple[int, str]:
    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - http only
        return answer.status, answer.read().decode()


def _of_project(root: Path) -> list[psutil.Process]:
    """Processes that were started for a project, by the variable that all its children carry."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("GTL_ROOT") == str(root):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.pid != os.getpid()]


def test_both_pages_open_and_ctrl_c_leaves_nothing_behind(homes: Homes, tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    before = {path.name for path in homes.root.iterdir()}
    ports = [_free(), _free()]
    command = [GTL, "ui", "--no-browser", "--dagster-port", str(ports[0]), "--mlflow-port", str(ports[1])]
    with subprocess.Popen(
        command,
        cwd=homes.root,
        env=os.environ | {"HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stderr
        lines = [process.stdout.readline().split(), process.stdout.readline().split()]
        assert lines == [["Dagster", f"http://{HOST}:{ports[0]}"], ["MLflow", f"http://{HOST}:{ports[1]}"]]
        for _, address in lines:
            status, page = _get(address)
            assert status == 200
            assert "<html" in page.lower()
        assert len(_of_project(homes.root)) >= 4  # web server, daemon, code server, MLflow
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
        assert process.stderr.read().splitlines()[-1] == "stopped"
    deadline = time.monotonic() + 5
    while _of_project(homes.root) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _of_project(homes.root) == []
    assert {path.name for path in homes.root.iterdir()} - before == {homes.dagster.name, homes.mlruns.name}
    assert list(home.iterdir()) == []


def _spec(homes: Homes, program: str, port: int) -> ServerSpec:
    log = homes.dagster / "test.log"
    return ServerSpec("Test", [sys.executable, "-c", program, str(port)], homes.root, {}, port, "/", log)


def test_a_server_that_dies_is_told_with_its_last_words(homes: Homes):
    spec = _spec(homes, "import sys; sys.exit('the store is locked')", _free())
    with pytest.raises(GtlError, match=r"Test stopped by itself \(the store is locked\)"), running(homes, [spec]):
        pass


def test_a_server_that_will_not_stop_is_killed_with_its_children(homes: Homes, monkeypatch):
    monkeypatch.setattr("pipelines.servers._STOP_SECONDS", 0.5)
    program = (
        "import http.server, os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "if os.fork() == 0: time.sleep(100)\n"
        "handler = http.server.BaseHTTPRequestHandler\n"
        "handler.do_GET = lambda self: (self.send_response(200), self.end_headers())\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), handler).serve_forever()\n"
    )
    with running(homes, [_spec(homes, program, _free())]) as processes:
        family = [psutil.Process(processes[0].pid), *psutil.Process(processes[0].pid).children()]
        assert len(family) == 2
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_signal_handlers_are_given_back(homes: Homes):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(GtlError), running(homes, [_spec(homes, "", _free())]):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_port_that_was_asked_for_and_is_in_use_is_refused():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use"):
            free_port(port, 3000)
        assert free_port(None, port) > port


def test_two_servers_never_get_the_same_port():
    port = _free()
    assert free_port(None, port, {port}) > port
    with pytest.raises(InputError):
        free_port(port, 3000, {port})
