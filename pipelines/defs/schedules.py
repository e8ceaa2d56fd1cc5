"""A schedule for each experiment whose file has one, and the sensor that starts those that are spread by jitter."""

import logging
from datetime import UTC, datetime

import dagster as dg

from gtl_core.errors import InputError
from gtl_core.homes import Homes
from pipelines.defs.jobs import run_experiment
from pipelines.partitions import EXPERIMENTS, read_experiments
from pipelines.schedules import delayed_start, schedules, switched_on, waits


@dg.sensor(
    job=run_experiment,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts what a schedule with jitter has put off, when it is due.",
)
def delayed_starts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Starts what a schedule with jitter has put off, when it is due, unless the schedule was stopped meanwhile."""
    now = datetime.now(UTC)
    after = datetime.fromisoformat(context.cursor) if context.cursor else now
    loaded = set(EXPERIMENTS.get_partition_keys())
    requests, lines = [], []
    for experiment in read_experiments(Homes.locate())[0]:
        try:
            request = delayed_start(experiment, after, now)
        except InputError as error:
            lines.append(str(error))
            continue
        if request and experiment.name in loaded and switched_on(context.instance, experiment):
            waiting = waits(context.instance, experiment.name)
            if waiting:
                lines.append(str(waiting.skip_message))
            else:
                requests.append(request)
    for line in lines:
        context.log.warning(line)
    skipped = None if requests else dg.SkipReason("; ".join(lines) or "no start that was put off is due")
    return dg.SensorResult(run_requests=requests, cursor=now.isoformat(), skip_reason=skipped)


@dg.definitions
def clocks() -> dg.Definitions:
    """The schedules as the files are now; what is wrong in one of them leaves the others as they are."""
    experiments, unreadable = read_experiments(Homes.locate())
    made, left_out = schedules(experiments)
    for line in [*unreadable.values(), *left_out]:
        logging.getLogger("gtl").warning(line)
    return dg.Definitions(schedules=made, sensors=[delayed_starts])
