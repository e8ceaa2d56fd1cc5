"""Incoming folders: each full window of new images is checked for drift once, and what follows is asked for once.

What was taken of a folder is kept in `artifacts/EXPERIMENT/drift/incoming.json`, written after each window's report.
What was asked for is kept in the sensor's cursor, which Dagster writes after it has started the runs: a process that
is killed in between finds the report again, and the key of its run keeps it from being started twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtl_core.config import DriftConfig, Experiment
from gtl_core.data.catalog import find
from gtl_core.data.incoming import NOTHING, Memory, Waiting, next_window
from gtl_core.data.mel import scale_of
from gtl_core.errors import InputError
from gtl_core.evaluation.report.drift import HTML, JSON
from gtl_core.files import read_json, write_json
from gtl_core.homes import Homes
from pipelines.drift import FOLDER, Reference, look_at, reports, write_check

_STATE, _LOCK = "incoming.json", ".incoming.lock"
_NAMED = 3
"""Files that a line names of those that are left out."""


@dataclass(frozen=True)
class Progress:
    """How far an incoming folder has been checked.

    Attributes:
        memory: the files that were taken.
        consecutive: how many windows in a row have drifted, up to now.
        against: key of what they were compared with.
    """

    memory: Memory = NOTHING
    consecutive: int = 0
    against: str = ""

    @classmethod
    def load(cls, homes: Homes, experiment: str) -> Progress:
        """What was saved; the beginning where nothing was.

        Raises:
            InputError: the file is damaged.
        """
        path = _file(homes, experiment)
        if not path.is_file():
            return cls()
        try:
            saved = read_json(path)
            return cls(Memory.of_json(saved["memory"]), saved["consecutive"], saved["against"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{path} is damaged; remove it, and the incoming images are checked anew") from None

    def save(self, homes: Homes, experiment: str) -> None:
        """Writes it in one atomic step."""
        content = {"memory": self.memory.to_json(), "consecutive": self.consecutive, "against": self.against}
        write_json(_file(homes, experiment), content)


def check_incoming(homes: Homes, experiment: Experiment, until: float) -> str:
    """Checks every full window of an experiment's incoming folder, as long as there is time.

    Args:
        homes: where everything lies.
        experiment: one with `drift`.
        until: `time.monotonic()` after which no further window is begun; the rest is for the next call.

    Returns:
        How things stand, in a line.

    Raises:
        InputError: the folder or the target is not there, the images do not fit the model, the store of the champion
            cannot be reached, or the folder is being checked already, by a tick that Dagster has given up waiting for.
            What was not checked is not taken.
    """
    from filelock import FileLock, Timeout

    if experiment.drift is None:
        raise InputError(f"{experiment.name}: drift.incoming is not set, so there is no folder to check")
    lock = _file(homes, experiment.name).with_name(_LOCK)
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            return _checked(homes, experiment, experiment.drift, until)
    except Timeout:
        raise InputError("its incoming folder is still being checked") from None


def _checked(homes: Homes, experiment: Experiment, settings: DriftConfig, until: float) -> str:
    """Checks window after window; see `check_incoming`."""
    from gtl_core.metrics.drift import blocks, chosen, every, observe

    name, target = experiment.name, find(homes.data, experiment.target.dataset)
    progress = Progress.load(homes, name)
    reference: Reference | None = None
    checked = 0
    while not checked or time.monotonic() < until:
        window = next_window(
            homes.root / settings.incoming,
            progress.memory,
            count=settings.window,
            size=target.size,
            channels=target.channels,
            scale=scale_of(target.card, target.name),
        )
        if isinstance(window, Waiting):
            if window.memory != progress.memory:
                Progress(window.memory, progress.consecutive, progress.against).save(homes, name)
            return f"{name}: {_windows(checked)}{_waiting(window, settings.window)}"
        found, memory = window
        reference = reference or look_at(homes, target, experiment)
        now = observe(blocks(found.images, chosen(every(found.images), experiment.seed)), reference.lens)
        before = progress.consecutive if progress.against == reference.key else 0
        check = write_check(homes, reference, now, found, new=settings.incoming, before=before)
        progress = Progress(memory, check["consecutive"], reference.key)
        progress.save(homes, name)
        checked += 1
    return f"{name}: {_windows(checked)}more images wait for the next tick"


def unanswered(homes: Homes, answered: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The windows of all experiments that were checked since.

    Args:
        homes: where they are kept.
        answered: name of the last folder of each experiment that was answered.

    Returns:
        For each, the oldest first, the name of its folder and what its `drift.json` says.
    """
    for folder in reports(homes):
        if folder.name > answered.get(folder.parent.parent.name, ""):
            try:
                check = read_json(folder / JSON)
                by_hand = check["by_hand"]
            except (OSError, ValueError, KeyError):  # somebody has just removed or changed it
                continue
            if not by_hand:
                yield folder.name, {**check, "page": str(folder / HTML)}


def load_answered(cursor: str | None) -> dict[str, str]:
    """What was answered, from a sensor's cursor; nothing where there is none."""
    return dict(json.loads(cursor or "{}"))


def dump_answered(answered: Mapping[str, str]) -> str:
    """What was answered, for a sensor's cursor."""
    return json.dumps(dict(answered), sort_keys=True)


def _file(homes: Homes, experiment: str) -> Path:
    return homes.artifacts / experiment / FOLDER / _STATE


def _windows(windows: int) -> str:
    """How many windows were checked, in front of what comes after."""
    return f"{windows} window{'s' if windows > 1 else ''} checked, " if windows else ""


def _waiting(window: Waiting, count: int) -> str:
    """How much of a window is there, and what beside it is no image."""
    first = ", ".join(f"{one.file} ({one.why})" for one in window.left_out[:_NAMED])
    more = ", …" if len(window.left_out) > _NAMED else ""
    aside = f"; {len(window.left_out)} other files are left aside: {first}{more}" if window.left_out else ""
    return f"{window.images} of {count} images for the next window{aside}"
