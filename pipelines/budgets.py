"""An experiment with one label count after the other, up to its evaluation; nothing is registered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gtl_core.config import Experiment, tuned
from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.progress import OnProgress, Progress
from gtl_core.store import Stage
from pipelines.busy import experiment_lock
from pipelines.stages import Chain


def budgets_folder(experiment: Experiment, homes: Homes) -> Path:
    """Where the learning curve of an experiment lies."""
    return homes.artifacts / experiment.name / "budgets"


def run_budgets(experiment: Experiment, counts: Sequence[int], homes: Homes, on_progress: OnProgress) -> dict[str, Any]:
    """Runs an experiment with several label counts, and writes the learning curve.

    The stages lie beside those of `gtl run`, so that what does not depend on the count, such as what is learned from
    the source, is made once, and what a stopped command has made is used again.

    Args:
        experiment: a checked experiment.
        counts: labelled images a class; two or more different ones.
        homes: where data are read and stages are kept.
        on_progress: shows progress.

    Returns:
        The content of `budgets.json`.

    Raises:
        InputError: the counts are not two or more different numbers above 0, the data cannot give one of them, or
            the experiment is being run; nothing was trained.
    """
    from gtl_core.evaluation.budgets import Budget, write_budgets

    if len(set(counts)) != len(counts) or len(counts) < 2 or min(counts) < 1:
        given = ", ".join(map(str, counts))
        raise InputError(f"--labelled: name two or more different numbers from 1 upwards, such as 1,3,5; got {given}")
    chains = [_chain(experiment, count, homes, on_progress) for count in sorted(counts)]
    for chain in chains:
        _check(chain)
    with experiment_lock(homes, experiment.name, "gtl study budgets"):
        budgets = [Budget.load(chain.experiment.target.labelled_per_class, _evaluated(chain).path) for chain in chains]
        return write_budgets(experiment, budgets, budgets_folder(experiment, homes))


def with_labels(experiment: Experiment, count: int) -> Experiment:
    """The experiment with another label count.

    Raises:
        InputError: its other settings cannot be with that count.
    """
    try:
        return tuned(experiment, {"target.labelled_per_class": count})
    except InputError as error:
        raise InputError(f"--labelled {count}: {error}") from error


def _chain(experiment: Experiment, count: int, homes: Homes, on_progress: OnProgress) -> Chain:
    """The chain of the experiment with another label count."""

    def told(progress: Progress) -> None:
        on_progress(replace(progress, task=f"{count} labelled a class: {progress.task}"))

    return Chain(with_labels(experiment, count), homes, told)


def _check(chain: Chain) -> None:
    """Looks at what would stop one of the runs later.

    Raises:
        InputError: names the count, and says what is wrong.
    """
    from gtl_core.training.pretrained import check_backbone
    from gtl_core.transfer.strategies import check_strategies

    try:
        check_strategies(chain.experiment, *chain.sets)
        check_backbone(chain.experiment, chain.homes.root)
    except InputError as error:
        raise InputError(f"--labelled {chain.experiment.target.labelled_per_class}: {error}") from error


def _evaluated(chain: Chain) -> Stage:
    """Makes the stages up to the evaluation that are not there yet."""
    chain.data_validation()
    chain.require_valid()
    chain.draws()
    chain.source_classifier()
    if chain.needs_source_gan:
        chain.source_gan()
    if chain.pilot_key is not None:
        chain.pilot()
    chain.transferred_gans()
    chain.synthetic_images()
    return chain.evaluation()
