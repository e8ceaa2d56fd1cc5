"""The command as a whole: what it says of itself, and how it fails."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gtl_core.errors import DataFailure, GateRefused, GtlError, InputError
from gtl_core.homes import Homes
from pipelines.cli.main import explain, invoke

COMMANDS = ("demo", "run", "data", "export", "verify", "models", "report", "compare", "lineage", "ui", "doctor")


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR])
def test_a_place_that_cannot_be_is_bad_input_and_named(number):
    error = OSError(number, os.strerror(number), "notes.txt/out")
    assert explain(error) == (f"notes.txt/out: {os.strerror(number).lower()}; name another file or folder", 2)


def test_help_names_every_command_the_usual_order_and_the_exit_codes(gtl):
    answer = gtl("--help")
    assert answer.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in answer.stdout
    steps = [answer.stdout.index(f"  gtl {step}") for step in ("doctor", "demo", "data import", "run", "models")]
    assert steps == sorted(steps)
    for code, meaning in enumerate(("done", "unexpected", "bad input", "failed validation", "gate refused")):
        assert any(line.strip().startswith(str(code)) and meaning in line for line in answer.stdout.splitlines())


def test_help_takes_less_than_a_second(gtl):
    def seconds() -> float:
        started = time.perf_counter()
        gtl("--help")
        return time.perf_counter() - started

    assert min(seconds() for _ in range(3)) < 1.0


def test_help_loads_nothing_heavy():
    heavy = "{'torch', 'dagster', 'mlflow', 'dvc', 'great_expectations', 'sklearn', 'matplotlib', 'pandas', 'pydantic'}"
    program = (
        f"import sys; from pipelines.cli.main import invoke; invoke(['--help']); sys.stdout = sys.stderr; "
        f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in (*COMMANDS, "resume", "restore", "stylise", "imagine", "tune")),
        *(["data", name] for name in ("import", "validate", "listen")),
        ["alerts", "test"],
    ],
)
def test_every_command_explains_itself(command, capfd):
    assert invoke([*command, "--help"]) == 0
    assert "Usage: gtl " + " ".join(command) in " ".join(capfd.readouterr().out.split())


def test_outside_of_a_project_help_works_and_commands_change_no_other(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GTL_")}

    def gtl(*arguments):
        command = [Path(sys.executable).with_name("gtl"), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    for command in ([], ["run"], ["data"], ["data", "import"], ["resume"], ["ui"]):
        assert gtl(*command, "--help").returncode == 0
    for command in (["data", "list"], ["data", "import", "pets", "."], ["run", "demo"], ["doctor"], ["models"]):
        answer = gtl(*command)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr.startswith(f"gtl: no project at or above {tmp_path}")
        assert answer.stderr.count("\n") == 1


def test_the_bare_command_shows_its_help(capfd):
    assert invoke([]) == 0
    assert "The usual order" in capfd.readouterr().out


def test_a_group_without_a_command_shows_its_help_and_exits_2(capfd):
    assert invoke(["data"]) == 2
    out, err = capfd.readouterr()
    assert "Usage: gtl data" in out
    assert err == ""


@pytest.mark.parametrize("arguments", [["modles"], ["models", "--jsn"], ["models", "spare"], ["run"], ["lineage"]])
def test_a_mistyped_command_is_told_in_one_line_and_exits_2(arguments, capfd):
    assert invoke(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("gtl: ") and err.count("\n") == 1 and "--help" in err


def test_a_mistyped_command_is_answered_with_the_near_one(capfd):
    invoke(["modles"])
    assert "models" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(GtlError("x"), 1), (InputError("x"), 2), (DataFailure("x"), 3), (GateRefused("x"), 4)]
)
def test_failures_for_the_user_have_their_own_exit_codes(error, code):
    assert explain(error) == ("x", code)


def test_a_message_of_several_lines_is_told_in_one():
    assert explain(InputError("first\n  second\n")) == ("first second", 2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_bad_input_and_names_the_file(number):
    message, code = explain(OSError(number, os.strerror(number), "/data/images.npy"))
    assert code == 2
    assert "no disk space left for /data/images.npy" in message


def test_a_file_that_may_not_be_written_is_bad_input():
    message, code = explain(PermissionError(errno.EACCES, "Permission denied", "/data"))
    assert code == 2
    assert "/data" in message


def test_what_a_library_wraps_keeps_its_meaning():
    def wrapped(cause: BaseException) -> RuntimeError:
        error = RuntimeError("the library gave up")
        error.__cause__ = cause
        return error

    assert explain(wrapped(wrapped(InputError("no such set")))) == ("no such set", 2)
    assert explain(wrapped(OSError(errno.ENOSPC, "No space left on device")))[1] == 2
    assert explain(wrapped(ValueError("(sqlite3.OperationalError) database or disk is full")))[1] == 2
    assert explain(wrapped(ValueError("odd")))[1] == 1


def test_ctrl_c_in_the_middle_of_a_dagster_run_is_told_as_stopped():
    import dagster as dg

    @dg.asset
    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    with pytest.raises(BaseException) as caught:
        dg.materialize([interrupted])
    assert explain(caught.value) == ("stopped", 130)


def test_what_nobody_expected_exits_1_and_points_to_debug():
    message, code = explain(ZeroDivisionError("division by zero"))
    assert code == 1
    assert "ZeroDivisionError" in message and "--debug" in message


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_shows_the_traceback_wherever_it_stands(place, homes: Homes, capfd):
    arguments = ["models", "--json"]
    arguments.insert(place, "--debug")
    (homes.root / "mlruns").mkdir()
    (homes.root / "mlruns" / "mlflow.db").write_text("no database")
    assert invoke(arguments) == 2
    err = capfd.readouterr().err
    assert "Traceback" in err and err.splitlines()[-1].startswith("gtl: ")


def test_without_debug_the_same_failure_is_one_line(homes: Homes, capfd):
    (homes.root / "mlruns").mkdir()
    (homes.root / "mlruns" / "mlflow.db").write_text("no database")
    assert invoke(["models", "--json"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1


def test_a_reader_that_goes_away_ends_the_command_quietly(homes: Homes):
    line = f"{Path(sys.executable).with_name('gtl')} --help | true"
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert answer.stderr == ""
