"""Ctrl-C that waits for the end of a step, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interruption:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def pass_on(self) -> None:
        """Interrupts the way that it would have happened without the wait."""
        if callable(self._previous):
            self._previous(signal.SIGINT, None)
        raise KeyboardInterrupt


@contextmanager
def deferred_interrupts() -> Iterator[Interruption]:
    """Notes the first Ctrl-C instead of raising, until the block passes it on or ends; a second interrupts at once.

    Outside the main thread Python delivers no signals, and nothing is changed.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interruption.requested:
            interruption.pass_on()
        interruption.requested = True

    interruption._previous = signal.signal(signal.SIGINT, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, interruption._previous)
    if interruption.requested:  # after the block had looked for it last
        interruption.pass_on()
