"""How much memory PyTorch takes for a piece of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate

from torch.profiler import ProfilerActivity, profile


@contextmanager
def most_memory() -> Iterator[Callable[[], int]]:
    """Gives a function that tells, after the work, the most bytes that its tensors had at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        yield lambda: max(accumulate(changes()))

    def changes() -> Iterator[int]:
        events = watched.profiler.kineto_results.events()
        return (event.nbytes() for event in events if event.name() == "[memory]")
