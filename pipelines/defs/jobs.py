"""Jobs over the assets."""

import dagster as dg

run_experiment = dg.define_asset_job(
    "run_experiment",
    selection=dg.AssetSelection.all(),
    description="The whole chain of one experiment: validate, pretrain, transfer, synthesise, evaluate, register.",
    executor_def=dg.in_process_executor,
)
