"""`gtl gc` clears away what killed processes and old steps have left, and what it began itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from gtl_core.files import write_text
from gtl_core.homes import Homes
from gtl_core.registry.tracking import open_store
from tests.registry.retention.kept_runs import ROOT, RUNS, be_champion, collected, states, weights_of


def test_a_killed_call_is_finished_by_the_next(homes: Homes, capfd):
    be_champion(open_store(homes), 2)
    wanted = collected(capfd, "--keep", "1", "--dry-run")
    dying = (
        "import os, shutil, signal, sys\n"
        "whole, calls = shutil.rmtree, []\n"
        "def rmtree(path, *rest, **options):\n"
        "    calls.append(path)\n"
        "    if len(calls) == 6:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return whole(path, *rest, **options)\n"
        "shutil.rmtree = rmtree\n"
        "from pipelines.cli.main import invoke\n"
        "sys.exit(invoke(['gc', '--keep', '1']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", dying], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -9, ended.stderr
    done = collected(capfd, "--keep", "1")
    assert 0 < len(done["removed"]) <= len(wanted["removed"])
    assert collected(capfd, "--keep", "1")["removed"] == []
    assert states(homes, 2) == states(homes, RUNS) == {"same"}
    assert weights_of(homes, 1) == []
    assert not [path for path in homes.artifacts.rglob("*") if path.name.endswith(".removed")]


def test_output_of_old_steps_goes_and_that_of_needed_runs_stays(homes: Homes, capfd):
    import dagster as dg

    from pipelines.instance import open_instance

    @dg.job
    def nothing() -> None:
        """Does nothing."""

    def output(run_id: str) -> Path:
        return homes.dagster / "storage" / run_id / "compute_logs" / "step.out"

    with open_instance(homes) as instance:
        runs = [
            instance.create_run_for_job(nothing, tags={"dagster/partition": "digits"}, status=status).run_id
            for status in (*[dg.DagsterRunStatus.SUCCESS] * 3, dg.DagsterRunStatus.STARTED)
        ]
    for run_id in runs:
        write_text(output(run_id), "a line\n")
    collected(capfd, "--keep", "2")
    assert [output(run_id).is_file() for run_id in runs] == [False, False, True, True]


def test_temporary_folders_of_killed_processes_go_after_a_day(homes: Homes, capfd, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names = ["gtl-gate-abcdefgh", "gtl-register-0_cdefgh", "gtl-mine-abcdefgh", "gtl-gate-fresh000"]
    for name in names:
        write_text(tmp_path / name / "file", "")
    for name in names[:3]:
        for path in (tmp_path / name / "file", tmp_path / name):
            os.utime(path, (time.time() - 90_000,) * 2)
    collected(capfd, "--keep", "1")
    assert [(tmp_path / name).exists() for name in names] == [False, False, True, True]
