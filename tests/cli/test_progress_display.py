"""Progress on standard error."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from gtl_core.progress import Progress
from pipelines.cli.progress import LINE_SECONDS, PlainLines, describe, duration

PROGRAM = """
import os
from gtl_core.progress import Progress
from pipelines.cli.progress import terminal_progress
with terminal_progress() as on_progress:
    if {redirected}:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for step in range(101):
        on_progress(Progress("source_gan [a]", step, 100, {{"images_per_second": 1234.5}}))
"""


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _lines(steps, seconds, total, tasks=("a",)):
    stream, clock = io.StringIO(), Clock()
    show = PlainLines(stream, clock)
    for step, wait in zip(steps, seconds, strict=True):
        clock.now += wait
        for task in tasks:
            show(Progress(task, step, total))
    return stream.getvalue().splitlines(), clock.now


@given(seconds=st.lists(st.floats(0, 3), min_size=2, max_size=200))
def test_a_task_writes_at_most_one_line_in_five_seconds_and_always_its_last(seconds):
    total = len(seconds)
    lines, elapsed = _lines(range(1, total + 1), seconds, total)
    assert len(lines) <= 2 + elapsed / LINE_SECONDS
    assert lines[-1].startswith(f"a: {total} of {total}")


def test_tasks_at_the_same_time_have_lines_of_their_own():
    lines, _ = _lines([1, 2], [0, 6], 2, tasks=("first", "second"))
    assert [line.split(":")[0] for line in lines] == ["first", "second"] * 2


def test_the_time_that_is_left_follows_the_pace():
    lines, _ = _lines([0, 25], [0, 10], 100)
    assert lines[1] == "a: 25 of 100, 30 s left"


def test_a_finished_task_is_told_once_and_can_begin_again():
    lines, _ = _lines([2, 2, 0, 2], [0, 1, 10, 4], 2)
    assert lines == ["a: 2 of 2, took 0 s", "a: 0 of 2", "a: 2 of 2, took 4 s"]


def test_values_and_times_are_short():
    assert describe({"images_per_second": 1234.5, "loss_d": 0.51234}) == "images/s 1234, loss d 0.512"
    assert [duration(value) for value in (3.4, 119, 600, 9000)] == ["3 s", "119 s", "10 min", "2 h 30 min"]


def test_plain_lines_go_to_standard_error_alone():
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(redirected=False)], capture_output=True, text=True, check=True
    )
    assert answer.stdout == ""
    assert answer.stderr.splitlines()[-1].startswith("source_gan [a]: 100 of 100, images/s 1234, took ")


def test_lines_are_seen_also_while_standard_error_is_captured_by_a_run():
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(redirected=True)], capture_output=True, text=True, check=True
    )
    assert "100 of 100" in answer.stderr


def test_a_terminal_shows_a_bar_that_gives_way_to_a_line():
    parent, child = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(redirected=False)], stderr=child, stdout=child, env=environment
    ) as process:
        os.close(child)
        shown = b""
        try:
            while chunk := os.read(parent, 4096):
                shown += chunk
        except OSError:  # Linux answers so when the other end is closed
            pass
        os.close(parent)
    assert process.returncode == 0
    assert "━" in shown.decode()
    assert "source_gan [a]: 100 of 100, images/s 1234, took " in shown.decode()
