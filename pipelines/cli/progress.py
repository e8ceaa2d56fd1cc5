"""Progress on standard error: bars on a terminal, elsewhere a plain line every few seconds."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from gtl_core.progress import OnProgress, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_SECONDS = 5.0
"""Least time between two plain lines of one task."""


@contextmanager
def terminal_progress() -> Iterator[OnProgress]:
    """Gives a callback that shows progress, one bar or line a task, while the block runs.

    Inside a run, Dagster turns standard error into a log file and mirrors it a second later. So the display holds a
    descriptor of its own on what standard error was when the block began. Callbacks may come from several threads.
    """
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace") as stream:
        if stream.isatty() and os.environ.get("TERM") != "dumb":
            with _bars(stream) as on_progress:
                yield on_progress
        else:
            yield PlainLines(stream)


@dataclass
class _Timing:
    """When a task was first heard of and at which step, and when a line of it was last written."""

    begun: float
    first_step: float
    written: float | None = None


class PlainLines:
    """Writes a task's first and last step, and between them at most one line in `LINE_SECONDS`."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._running: dict[str, _Timing] = {}
        self._finished: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        """Takes one step of progress."""
        now, finished = self._clock(), progress.step >= progress.total
        with self._lock:
            if finished and progress.task in self._finished:
                return
            self._finished.discard(progress.task)
            timing = self._running.setdefault(progress.task, _Timing(now, progress.step))
            if finished:
                del self._running[progress.task]
                self._finished.add(progress.task)
            elif timing.written is not None and now - timing.written < LINE_SECONDS:
                return
            timing.written = now
            self._stream.write(_line(progress, timing, now) + "\n")
            self._stream.flush()


def _line(progress: Progress, timing: _Timing, now: float) -> str:
    """Steps, values, and the time that is left or that it took."""
    parts = [f"{progress.task}: {progress.step:.0f} of {progress.total}", describe(progress.values)]
    if progress.step >= progress.total:
        parts.append(f"took {duration(now - timing.begun)}")
    elif progress.step > timing.first_step:
        pace = (now - timing.begun) / (progress.step - timing.first_step)
        parts.append(f"{duration(pace * (progress.total - progress.step))} left")
    return ", ".join(filter(None, parts))


@contextmanager
def _bars(stream: TextIO) -> Iterator[OnProgress]:
    """One bar a task on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    display = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[values]}", markup=False),
        console=Console(file=stream),
        refresh_per_second=4,
        # Standard output and error belong to Dagster's log capture while a run is on.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with display:
        yield TaskBars(display)


class TaskBars:
    """Moves the bar of a task, which appears with its first call; a finished task becomes a line above the bars.

    Without that, a run's dozens of tasks would push the bars of the present ones off the screen.
    """

    def __init__(self, display: Bars) -> None:
        self._display = display
        self._running: dict[str, tuple[TaskID, _Timing]] = {}
        self._finished: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        """Takes one step of progress."""
        now, values = time.monotonic(), describe(progress.values)
        with self._lock:
            finished = progress.step >= progress.total
            if finished and progress.task in self._finished:
                return
            self._finished.discard(progress.task)
            if progress.task not in self._running:
                bar = self._display.add_task(progress.task, total=progress.total, values=values)
                self._running[progress.task] = bar, _Timing(now, progress.step)
            bar, timing = self._running[progress.task]
            if finished:
                self._finished.add(progress.task)
                del self._running[progress.task]
                self._display.remove_task(bar)
                self._display.console.print(_line(progress, timing, now), markup=False, highlight=False)
            else:
                self._display.update(bar, completed=progress.step, total=progress.total, values=values)


def describe(values: Mapping[str, float]) -> str:
    """Values as words: three significant digits, `images_per_second` as `images/s`."""
    return ", ".join(f"{_label(name)} {_number(value)}" for name, value in values.items())


def duration(seconds: float) -> str:
    """Seconds up to two minutes, then minutes, then hours and minutes."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _label(name: str) -> str:
    return name.replace("_per_second", "/s").replace("_", " ")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
