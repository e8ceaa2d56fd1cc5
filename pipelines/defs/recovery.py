"""The sensor that notices runs whose process was killed, so that they hold no pool and are started again."""

import dagster as dg

from gtl_core.errors import GtlError
from gtl_core.homes import Homes


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process is gone, after which Dagster's run retries take them up from the last stage.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Closes dead runs in Dagster, which frees their places, and their MLflow runs."""
    from pipelines.recovery import close_dead_runs, close_their_tracking

    closed = close_dead_runs(context.instance)
    if not closed:
        return dg.SkipReason("every run that is under way has its process")
    try:
        close_their_tracking(context.instance, Homes.locate(), closed)
    except GtlError as error:
        context.log.warning(f"their MLflow runs are not ended yet: {error}; the experiment's next run ends them")
    return dg.SkipReason(f"ended runs whose process is gone: {', '.join(run.run_id for run in closed)}")
