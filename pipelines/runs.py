"""What a Dagster run of one partition works with: its experiment's chain, and the MLflow run that it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from gtl_core.config import load_experiment
from gtl_core.errors import GtlError
from gtl_core.homes import Homes
from gtl_core.registry.tracking import RunStatus
from pipelines.lineage_events import tell_failure, telling
from pipelines.observation import hold_to
from pipelines.processes import PROCESS_TAG, process_mark
from pipelines.reporting import Reporter
from pipelines.retries import MOST_RETRIES, can_pass, wait_seconds
from pipelines.stages import Chain

FORCE_TAG = "gtl/force"
"""A run with this tag set to `true` makes every stage anew."""
NO_RETRY = {"dagster/max_retries": "0"}
"""Tags of a run that Dagster's daemon is not to start again, such as one that was stopped at the terminal."""


@contextmanager
def running(context: dg.AssetExecutionContext, reporter: Reporter) -> Iterator[Chain]:
    """The chain of the experiment that the run's partition names.

    Where the block fails by something that can pass, Dagster tries the asset again a little later. Where it fails for
    good or is interrupted, the MLflow run of this Dagster run is ended as failed or killed.
    """
    _sign(context)
    homes = Homes.locate()
    chain = Chain(
        experiment=load_experiment(homes.experiments / f"{context.partition_key}.yaml"),
        homes=homes,
        on_progress=reporter.on_progress(context),
        force=context.run.tags.get(FORCE_TAG) == "true",
    )
    try:
        with telling(context, chain):
            hold_to(context, chain)
            yield chain
    except BaseException as error:
        if context.retry_number < MOST_RETRIES and can_pass(error):
            seconds = wait_seconds(context.retry_number)
            context.log.warning(f"{' '.join(str(error).split())}; this can pass, so it is tried again in {seconds:g} s")
            raise dg.RetryRequested(MOST_RETRIES, seconds_to_wait=seconds) from error
        _close(context, chain, "FAILED" if isinstance(error, Exception) else "KILLED")
        tell_failure(context, error)
        raise


def _sign(context: dg.AssetExecutionContext) -> None:
    """Notes on the run which process works on it, so that others can tell when it was killed (see `recovery.py`)."""
    mark = process_mark(context.run_id)
    run = context.instance.get_run_by_id(context.run_id)
    if run is None or run.tags.get(PROCESS_TAG) != mark:
        context.instance.add_run_tags(context.run_id, {PROCESS_TAG: mark})


def _close(context: dg.AssetExecutionContext, chain: Chain, status: RunStatus) -> None:
    """Ends the MLflow run. A store that is in trouble itself must not hide what went wrong before."""
    from mlflow.exceptions import MlflowException

    from pipelines.recording import close_parent

    try:
        close_parent(chain, context.run_id, status)
    except (GtlError, MlflowException) as error:
        context.log.warning(f"the MLflow run is not ended yet: {error}; the experiment's next run ends it")
