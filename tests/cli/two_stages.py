"""An experiment's job cut down to two stages, run in a process of its own: `two_stages.py EXPERIMENT sleep|fail|pass`.

The second stage stops in its middle: it sleeps there, so that the test can kill it, or fails.
"""

import os
import sys
import time

import dagster as dg

from gtl_core.homes import Homes
from pipelines.instance import open_instance
from pipelines.reporting import Reporter
from pipelines.runs import running

NAMES = dg.StaticPartitionsDefinition(["digits", "letters"])


@dg.asset(partitions_def=NAMES)
def draws(context):
    with running(context, Reporter()):
        pass


@dg.asset(deps=[draws], partitions_def=NAMES)
def source_gan(context):
    with running(context, Reporter()) as chain:
        folder = chain.homes.artifacts / context.partition_key / "source_gan" / ".0123456789abcdef.partial"
        folder.mkdir(parents=True, exist_ok=True)
        if os.environ.get("STAGE") == "sleep":
            time.sleep(120)
        elif os.environ.get("STAGE") == "fail":
            raise ValueError("it broke\nat https://user:secret@store.example/runs?token=secret")


def run_experiment() -> dg.JobDefinition:
    """The job."""
    job = dg.define_asset_job("run_experiment", [draws, source_gan], executor_def=dg.in_process_executor)
    return dg.Definitions(assets=[draws, source_gan], jobs=[job]).resolve_job_def("run_experiment")


if __name__ == "__main__":
    os.environ["STAGE"] = sys.argv[2]
    with open_instance(Homes.locate()) as instance:
        run_experiment().execute_in_process(instance=instance, partition_key=sys.argv[1], raise_on_error=False)
