"""When an experiment is run again by itself: on a schedule, on new data, on drift."""

from __future__ import annotations

from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from gtl_core.config.base import Positive, Strict


class ScheduleConfig(Strict):
    """A clock. In the file it may also stand as its cron expression alone."""

    cron: str
    """Five fields, such as `0 3 * * 1`: every Monday at three."""
    timezone: str = "UTC"
    jitter: int = Field(default=0, ge=0, le=86_400)
    """A run starts up to so many seconds late, so that many experiments do not start at the same moment."""
    enabled: bool = True
    """Whether the schedule runs without anybody switching it on in Dagster."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no such time zone; name one of the IANA database, such as Europe/Berlin") from None
        return value


class RetrainConfig(Strict):
    """What besides a clock starts a run."""

    on_new_data: bool = False
    """Whether a new data version of the source or the target starts a run."""


class DriftConfig(Strict):
    """What is compared with the target, and what follows where it has drifted."""

    incoming: str
    """The folder into which new images of the target arrive; relative to the project's root."""
    action: Literal["review", "retrain"] = "review"
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """The chance of a false alarm of one window, over all tests of it."""
    effect: Positive = 0.2
    """How big a significant difference must be to count; a Kolmogorov–Smirnov distance."""
    window: int = Field(default=100, ge=50)
    """How many images are compared at a time. Two windows in a row must have drifted before anything follows."""


def as_schedule(value: Any) -> Any:
    """A cron expression on its own as the mapping that it stands for."""
    return {"cron": value} if isinstance(value, str) else value
