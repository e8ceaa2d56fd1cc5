"""Progress of long work, as values that any screen can show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is.

    Attributes:
        task: what is being done, such as `source_gan` or `finetune, draw 2`.
        step: steps done; a fraction where they are cells of other work.
        total: steps in all.
        values: what to show beside it, such as losses or `images_per_second`.
    """

    task: str
    step: float
    total: int
    values: Mapping[str, float] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]
"""Takes a `Progress`; called from the process that started the work, at most a few times a second."""


def silent(progress: Progress) -> None:
    """Shows nothing."""
