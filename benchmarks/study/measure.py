"""One case, run through the chain of stages, as rows and a record."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from benchmarks.study.cases import Case, Published
from benchmarks.study.results import UNTRAINED, Record, Row, resolved
from gtl_core.config import Experiment
from gtl_core.data.draws import Draw
from gtl_core.evaluation.arms import PLAIN_ARMS, POOL_ARMS, SCRATCH
from gtl_core.evaluation.held_out import OPENED, Predictions
from gtl_core.evaluation.scores import image_weights
from gtl_core.evaluation.statistics import two_level_paired_bootstrap
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress
from gtl_core.store import Stage
from gtl_core.training.parallel import worker_count
from pipelines.reporting import verdict_sentence
from pipelines.stages import Chain


def measure(
    case: Case,
    homes: Homes,
    published: Sequence[Published],
    measured: dict[str, str],
    before: Record | None,
    on_progress: OnProgress,
) -> tuple[list[Row], Record]:
    """Makes the stages of a case that are not there yet, and reads what came out.

    Args:
        case: the case.
        homes: where data are read and stages are kept.
        published: numbers to stand beside the case's.
        measured: `date, machine, command` of this run.
        before: the case's record of an earlier run, whose `measured` stays where its evaluation was used again.
        on_progress: shows progress.

    Returns:
        The rows of `results.json`, and the record.
    """
    chain = Chain(case.experiment, homes, on_progress)
    chain.draws()
    shared = [chain.source_classifier(), *([chain.source_gan()] if chain.needs_source_gan else [])]
    made = [*chain.transferred_gans(), *chain.synthetic_images()]
    evaluation = chain.evaluation()
    arms = read_json(evaluation.path / "arms.json")
    verdict = read_json(evaluation.path / "verdict.json")
    choices = read_json(evaluation.path / OPENED)["choices"]
    trained = sum(len(arm["draws"]) for arm in arms if arm["arm"].split("/")[0] not in UNTRAINED)
    again = before is not None and evaluation.reused and before["evaluation"] == evaluation.key
    stamp: dict[str, Any] = before["measured"] if before and again else {**measured, "workers": worker_count(trained)}
    record: Record = {
        "evaluation": evaluation.key,
        "chosen": {"best": choices["best_arm"], "gan": choices["gan_arm"], "without_gan": choices["baseline_arm"]},
        "chosen_by": verdict["chosen_by"],
        "verdict": verdict_sentence(verdict),
        "left_out": verdict["left_out"],
        "test_images": verdict["test_images"],
        "shared_seconds": {stage.name: round(stage.seconds, 1) for stage in shared},
        "measured": stamp,
    }
    record["differences"] = differences(case, Predictions.load(evaluation.path), record)
    training = evaluation.seconds * stamp["workers"] / trained
    rows = [_row(case, arm, chain.load_draws(), made, training, published) for arm in arms]
    return rows, record


def _row(
    case: Case,
    arm: dict[str, Any],
    draws: Sequence[Draw],
    made: Sequence[Stage],
    training: float,
    published: Sequence[Published],
) -> Row:
    """One row of `results.json`.

    Args:
        case: the case.
        arm: a row of `arms.json`.
        draws: the case's draws.
        made: stages of transfer and of synthesis.
        training: seconds that one classifier took.
        published: numbers to stand beside.
    """
    kind, _, strategy = arm["arm"].partition("/")
    pool = case.experiment.target.use_unlabelled and (kind in POOL_ARMS or kind not in (*PLAIN_ARMS, SCRATCH))
    return {
        "case": case.name,
        "arm": kind,
        "strategy": strategy or None,
        "labelled_per_class": case.experiment.target.labelled_per_class,
        "pool": round(fmean(len(draw.unlabelled) for draw in draws)) if pool else 0,
        "mean": percent(arm["mean"]),
        "low": percent(arm["low"]),
        "high": percent(arm["high"]),
        "draws": len(arm["draws"]),
        "seconds": round(
            gan_seconds(SCRATCH if kind == SCRATCH else strategy, made) + (0.0 if kind in UNTRAINED else training), 1
        ),
        "published": [{"method": row.method, "value": row.value, "source": row.source} for row in published] or None,
    }


def gan_seconds(strategy: str, made: Sequence[Stage]) -> float:
    """Seconds a GAN that the stages of a strategy, or of `SCRATCH`, took with its images; 0 for neither."""
    own = [stage for stage in made if strategy in stage.name.split("/")[:2]]
    gans = {stage.name.split("/")[2] for stage in own}
    return sum(stage.seconds for stage in own) / len(gans) if gans else 0.0


def differences(case: Case, predictions: Predictions, record: Record) -> list[dict[str, Any]]:
    """The differences that the case's goals ask for, in points, with their 95 % intervals.

    Returns:
        `arm, versus, value, low, high`; an arm that was left out has no difference.
    """
    found = []
    for goal in case.goals:
        if goal.versus is None:
            continue
        arm, versus = (resolved(name, record, predictions.arms) for name in (goal.arm, goal.versus))
        if {arm, versus} <= set(predictions.arms):
            found.append({"arm": arm, "versus": versus, **_difference(case.experiment, predictions, arm, versus)})
    return found


def _difference(experiment: Experiment, predictions: Predictions, arm: str, versus: str) -> dict[str, float]:
    """Accuracy of `arm` minus that of `versus`, in points."""
    estimate = two_level_paired_bootstrap(
        predictions.hits(arm).mean(axis=1),
        predictions.hits(versus).mean(axis=1),
        image_weights(predictions.labels, "accuracy"),
        None,
        resamples=experiment.evaluation.bootstrap,
        seed=experiment.seed,
    )
    return {"value": percent(estimate.value), "low": percent(estimate.low), "high": percent(estimate.high)}


def percent(share: float) -> float:
    """A share as a percentage, to a thousandth of a point: finer than one test image in one draw."""
    return round(100.0 * share, 3)
