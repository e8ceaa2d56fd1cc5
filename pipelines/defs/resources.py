"""Resources that assets are handed, and the executor of every job."""

from collections.abc import Iterator

import dagster as dg

from gtl_core.homes import Homes
from pipelines.busy import experiment_lock
from pipelines.reporting import Reporter

_WAIT_SECONDS = 60.0
"""The queue has made sure that no other run of the experiment is under way; what may hold its lock for a moment is a
`gtl gc`, or a `gtl run` that begins at the same time, for which Dagster's run retries wait in the queue."""


@dg.resource
def turn(context: dg.InitResourceContext) -> Iterator[None]:
    """The lock of the run's experiment, from the first step to the last."""
    run = context.run
    if run is None or "dagster/partition" not in run.tags:
        yield
        return
    name, who = run.tags["dagster/partition"], f"Dagster run {run.run_id[:8]}"
    with experiment_lock(Homes.locate(), name, who, wait=_WAIT_SECONDS):
        yield


@dg.resource(required_resource_keys={"turn"})
def reporter(_context: dg.InitResourceContext) -> Reporter:
    """How assets report. Every asset has it, so that a run holds its experiment's lock whatever it makes."""
    return Reporter()


@dg.definitions
def resources() -> dg.Definitions:
    """What assets are handed; one process a run, because a process for each step would take seconds to start."""
    return dg.Definitions(resources={"reporter": reporter, "turn": turn}, executor=dg.in_process_executor)
