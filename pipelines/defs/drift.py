"""Drift: a sensor over the incoming folder of every experiment whose file names one."""

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg

from gtl_core.homes import Homes
from pipelines.defs.jobs import run_experiment
from pipelines.incoming import check_incoming, dump_answered, load_answered, unanswered
from pipelines.partitions import EXPERIMENTS, read_experiments

DRIFT_TAG = "gtl/drift"
"""Tag of a run that drift has asked for: the folder of the check."""

_SECONDS = 15.0
"""After so long a tick begins no further window; Dagster ends a tick after a minute."""


@dg.sensor(
    job=run_experiment,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Compares new images of each drift.incoming with the target, and retrains where the file says so.",
)
def drift(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Compares each full window of new images with the target; where two in a row drift, the file's action follows.

    `review` leaves it at the record, of which the alerts tell; `retrain` also runs the experiment, once for each time
    that drift begins. The incoming folders are only read. An experiment in trouble does not keep the others waiting.
    """
    homes = Homes.locate()
    experiments, unreadable = read_experiments(homes)
    lines, until = list(unreadable.values()), time.monotonic() + _SECONDS
    for experiment in experiments:
        if experiment.drift:
            try:
                lines.append(check_incoming(homes, experiment, until))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the next one is looked at
                lines.append(f"{experiment.name} waits: {' '.join(str(error).split())}")
                context.log.warning(lines[-1])
    answered, loaded = load_answered(context.cursor), set(EXPERIMENTS.get_partition_keys())
    requests, observed = [], []
    for folder, check in unanswered(homes, answered):
        name = check["experiment"]
        if name not in loaded:
            lines.append(f"{name} is new; reload the code location to have it run by schedules and sensors")
            continue
        if check["action"] == "retrain":
            tags = {DRIFT_TAG: folder}
            requests.append(dg.RunRequest(run_key=f"drift/{name}/{check['key']}", partition_key=name, tags=tags))
        observed.append(_observation(check))
        answered[name] = folder
    return dg.SensorResult(
        run_requests=requests,
        asset_events=observed,
        cursor=dump_answered(answered),
        skip_reason=None if requests else dg.SkipReason("; ".join(lines) or "no experiment names drift.incoming"),
    )


def _observation(check: Mapping[str, Any]) -> dg.AssetObservation:
    """A checked window as Dagster shows it, its largest difference as a number that is plotted over time."""
    return dg.AssetObservation(
        dg.AssetKey(["drift", check["experiment"]]),
        description=check["sentence"],
        metadata={
            "drifted": check["drifted"],
            "largest difference": max(test["effect"] for test in check["tests"]),
            "windows in a row": check["consecutive"],
            "action": check["action"],
            "page": dg.MetadataValue.path(check["page"]),
        },
    )
