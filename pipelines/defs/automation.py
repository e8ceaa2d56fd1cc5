"""New data: a committed version that is new to an experiment starts that experiment, once.

This is a sensor and not Dagster's automation conditions, because those take a first observation for a change, stand at
an asset and so cannot be switched on in an experiment's file for its partition alone, start what a user made by hand
goes into, and need somebody to observe, who then knows already what is to be run.
"""

import dagster as dg

from gtl_core.errors import InputError
from gtl_core.homes import Homes
from pipelines.defs.jobs import run_experiment
from pipelines.observation import (
    Seen,
    committed_versions,
    dump_seen,
    load_seen,
    observation,
    require_present,
    sets_of,
)
from pipelines.partitions import EXPERIMENTS, experiment_names, read_experiments


@dg.sensor(
    job=run_experiment,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Observes the committed data, and runs the experiments with retrain.on_new_data whose sets changed.",
)
def new_data(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Observes the committed data of every experiment; runs those with `retrain.on_new_data` where they changed.

    The first observation of an experiment's sets starts nothing. What is committed but not there, or not whole, is
    looked at again at the next tick.
    """
    homes = Homes.locate()
    try:
        committed = committed_versions(homes)
    except (InputError, OSError) as error:
        return dg.SkipReason(" ".join(str(error).split()))
    experiments, unreadable = read_experiments(homes)
    before = load_seen(context.cursor)
    # What was seen of a file that cannot be read just now is kept.
    seen = {name: before[name] for name in experiment_names(homes) if name in before}
    loaded = set(EXPERIMENTS.get_partition_keys())
    observed, requests, waiting = [], [], list(unreadable.values())
    for experiment in experiments:
        name = experiment.name
        if name not in loaded:
            waiting.append(f"{name} is new; reload the code location to have it run by schedules and sensors")
            continue
        try:
            sets, last = sets_of(experiment, committed), before.get(name)
            changed = last is not None and last.sets.keys() == sets.keys() and last.sets != sets
            if changed and experiment.retrain.on_new_data:
                require_present(homes, sets)
        except (InputError, OSError) as error:
            waiting.append(f"{name} waits: {' '.join(str(error).split())}")
            continue
        if last and last.sets == sets:
            continue
        seen[name] = Seen(sets, (last.changes if last else 0) + changed)
        observed.append(observation(name, sets))
        if changed and experiment.retrain.on_new_data:
            run_key = f"{name}/{seen[name].changes}/{'/'.join(sets.values())}"
            requests.append(dg.RunRequest(run_key=run_key, partition_key=name))
    for line in waiting:
        context.log.warning(line)
    reason = "; ".join(waiting) or "no experiment's committed data have changed"
    return dg.SensorResult(
        run_requests=requests,
        asset_events=observed,
        cursor=dump_seen(seen),
        skip_reason=None if requests else dg.SkipReason(reason),
    )
