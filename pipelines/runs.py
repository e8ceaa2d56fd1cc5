"""What a Dagster run of one partition works with: its experiment's chain, and the MLflow run that it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from gtl_core.config import load_experiment
from gtl_core.homes import Homes
from pipelines.reporting import Reporter
from pipelines.stages import Chain

FORCE_TAG = "gtl/force"
"""A run with this tag set to `true` makes every stage anew."""


@contextmanager
def running(context: dg.AssetExecutionContext, reporter: Reporter) -> Iterator[Chain]:
    """The chain of the experiment that the run's partition names.

    Where the block fails or is interrupted, the MLflow run of this Dagster run is ended as failed or killed.
    """
    homes = Homes.locate()
    chain = Chain(
        experiment=load_experiment(homes.experiments / f"{context.partition_key}.yaml"),
        homes=homes,
        on_progress=reporter.on_progress(context),
        force=context.run.tags.get(FORCE_TAG) == "true",
    )
    try:
        yield chain
    except BaseException as error:
        from pipelines.recording import close_parent

        close_parent(chain, context.run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
