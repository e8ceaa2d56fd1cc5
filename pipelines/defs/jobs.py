"""The jobs: a whole experiment, and the data. Each runs in one process, as `pipelines/defs/resources.py` says."""

import dagster as dg

from gtl_core.data.versions import pull
from gtl_core.errors import DataFailure, InputError
from gtl_core.homes import Homes
from pipelines.instance import TRAINING_POOL
from pipelines.observation import committed_versions, observation, sets_of
from pipelines.partitions import read_experiments

run_experiment = dg.define_asset_job(
    "run_experiment",
    selection=dg.AssetSelection.all(),
    description="The whole chain of one experiment: validate, pretrain, transfer, synthesise, evaluate, register.",
)


@dg.op(pool=TRAINING_POOL)
def pull_data(context: dg.OpExecutionContext) -> None:
    """Brings `data/` to the version in `data.dvc`, without losing anything of the user's, and under no training."""
    pulled = pull(Homes.locate())
    told = {"fetched": pulled.fetched, "rebuilt": pulled.rebuilt, "left as they are, though they differ": pulled.kept}
    for what, names in told.items():
        if names:
            context.log.info(f"{what}: {', '.join(names)}")
    if pulled.trouble:
        context.log.warning(pulled.trouble)


@dg.op(ins={"start": dg.In(dg.Nothing)})
def validate_sets(context: dg.OpExecutionContext) -> None:
    """Validates every image set alone, as `gtl data validate NAME` does.

    Raises:
        DataFailure: names the sets that failed a critical check; all of them have been looked at by then.
    """
    from gtl_core.data.catalog import find, names
    from gtl_core.validation.suite import validate_set

    homes, failed = Homes.locate(), []
    for name in names(homes.data):
        report = validate_set(find(homes.data, name))
        report.save(homes.artifacts / "validation" / name)
        for finding in report.findings:
            if not finding.passed:
                context.log.warning(f"{name}: {finding.summary}")
        if not report.passed:
            failed.append(f"{name}: {', '.join(finding.check for finding in report.blocking)}")
    if failed:
        raise DataFailure(f"failed critical checks: {'; '.join(failed)}; gtl data validate NAME lists the images")


@dg.op(ins={"start": dg.In(dg.Nothing)})
def observe_sets(context: dg.OpExecutionContext) -> None:
    """Tells Dagster the committed version of every experiment's data."""
    homes = Homes.locate()
    committed = committed_versions(homes)
    for experiment in read_experiments(homes)[0]:
        try:
            context.log_event(observation(experiment.name, sets_of(experiment, committed)))
        except InputError as error:
            context.log.warning(str(error))


@dg.job
def refresh_data() -> None:
    """Pulls the image sets that `data.dvc` pins, validates each of them, and observes their versions."""
    observe_sets(validate_sets(pull_data()))
