"""Launches an experiment through Dagster in this process, and sums up what came out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import dagster as dg

from gtl_core.config import Experiment
from gtl_core.errors import DataFailure, GtlError
from gtl_core.evaluation.report.making import HTML
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress
from pipelines.busy import experiment_lock
from pipelines.instance import open_instance
from pipelines.processes import PROCESS_TAG, process_mark
from pipelines.recovery import clear_away
from pipelines.report import find_report
from pipelines.reporting import Reporter
from pipelines.runs import FORCE_TAG, NO_RETRY
from pipelines.stages import Chain


class DirectReporter(Reporter):
    """Shows progress where the caller wants it, such as on a terminal, and not in Dagster's log."""

    def __init__(self, callback: OnProgress) -> None:
        self._callback = callback

    def on_progress(self, context: dg.AssetExecutionContext) -> OnProgress:
        """The callback itself."""
        return self._callback


def launch(experiment: Experiment, homes: Homes, *, force: bool, on_progress: OnProgress) -> dict[str, Any]:
    """Runs all stages of an experiment as one Dagster run, after it has cleared away what a killed run left.

    Args:
        experiment: a checked experiment.
        homes: where everything lies; the environment has been prepared for it.
        force: make every stage anew.
        on_progress: shows progress.

    Returns:
        The summary that `gtl run --json` prints.

    Raises:
        DataFailure: a critical validation failed, and nothing was trained.
        InputError: the experiment is being run already.
        GtlError: whatever a stage raised for the user to read.
    """
    from pipelines.definitions import defs

    started, run_id = time.monotonic(), str(uuid4())
    job = defs().resolve_job_def("run_experiment")
    with (
        experiment_lock(homes, experiment.name, "gtl run"),
        open_instance(homes) as instance,
        _data_failures(experiment, homes),
    ):
        clear_away(instance, homes, experiment.name)
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            partition_key=experiment.name,
            resources={"reporter": DirectReporter(on_progress)},
            tags={**NO_RETRY, PROCESS_TAG: process_mark(run_id), **({FORCE_TAG: "true"} if force else {})},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    stages = [
        {
            "name": event.asset_key.to_user_string(),
            "seconds": round(float(event.materialization.metadata["seconds"].value), 3),
            "reused": bool(event.materialization.metadata["reused"].value),
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key
    ]
    return summarise(experiment, homes, result.run_id, stages, time.monotonic() - started)


@contextmanager
def _data_failures(experiment: Experiment, homes: Homes) -> Iterator[None]:
    """Turns Dagster's word for a failed blocking check into the data failure that it stands for."""
    from dagster._core.errors import DagsterAssetCheckFailedError

    try:
        yield
    except DagsterAssetCheckFailedError as error:
        Chain(experiment, homes).require_valid()
        raise DataFailure(" ".join(str(error).split())) from error


def summarise(
    experiment: Experiment, homes: Homes, dagster_run_id: str, stages: list[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    """What came out of a run, from the folders of its stages.

    Raises:
        GtlError: a stage that should be there is not.
    """
    from gtl_core.registry.standing import current_alias

    chain = Chain(experiment, homes)
    evaluation, registration = chain.found("evaluation"), chain.found("registered_models")
    if evaluation is None or registration is None:
        raise GtlError(f"the run {dagster_run_id} ended without an evaluation; see it in gtl ui")
    report = find_report(chain)
    verdict = read_json(evaluation.path / "verdict.json")
    record = read_json(registration.path / "registration.json")
    shown = (
        *("label", "strategy", "arm", "baseline_arm", "chosen_by", "metric", "difference", "low", "high", "detectable"),
        *("min_gain", "needed_draws", "needed_images", "left_out", "scope", "sentence"),
    )
    return {
        "experiment": experiment.name,
        "dagster_run_id": dagster_run_id,
        "mlflow_run_id": record["mlflow_run_id"],
        "data_version": record["data_version"],
        "seconds": round(seconds, 3),
        "stages": stages,
        "verdict": {key: verdict[key] for key in shown},
        "arms": [
            {key: arm[key] for key in ("arm", "mean", "low", "high")}
            for arm in read_json(evaluation.path / "arms.json")
        ],
        "pilot": _pilot(chain),
        "models": [
            {
                "name": model["name"],
                "version": model["version"],
                "alias": current_alias(homes, model["name"], model["version"]),
            }
            for model in record["models"]
        ],
        "gate": {
            **{key: record["models"][0]["gate"][key] for key in ("passed", "reasons", "rules")},
            "approval": experiment.promotion.approval,
            "waits": record["models"][0]["waits"],
        },
        "report": str(report.path / HTML) if report else None,
        "folder": str(evaluation.path),
    }


def _pilot(chain: Chain) -> dict[str, Any] | None:
    """What the pilots showed, where the experiment has them."""
    stage = chain.found("pilot") if chain.pilot_key else None
    return read_json(stage.path / "pilot.json") if stage else None
