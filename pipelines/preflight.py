"""What is looked at before a run starts, so that bad input is told in one line and not after an hour."""

from __future__ import annotations

import difflib
import shutil

from gtl_core.config import Experiment, load_experiment
from gtl_core.errors import InputError
from gtl_core.homes import Homes

NEEDED_BYTES = 500_000_000
"""Room for the checkpoints, images and runs of one experiment at the shipped sizes, several times over."""


def named_experiment(name: str, homes: Homes) -> Experiment:
    """Reads `experiments/NAME.yaml`.

    Args:
        name: the experiment's name; the path of its file is taken too.
        homes: where the experiment files are.

    Raises:
        InputError: there is none of that name (near names are suggested), or the file is wrong.
    """
    stem = name.removesuffix(".yaml").rsplit("/", 1)[-1]
    path = homes.experiments / f"{stem}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in homes.experiments.glob("*.yaml"))
        near = difflib.get_close_matches(stem, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise InputError(f"no experiment {stem!r} in {homes.experiments}; {hint}")
    return load_experiment(path)


def check_ready(experiment: Experiment, homes: Homes) -> None:
    """Looks at everything that would stop a run later.

    Raises:
        InputError: the schedule's cron expression is none, a set is missing or does not fit the experiment, a
            strategy's settings do not fit the networks, the classifier's backbone cannot be read, this is no git
            checkout, there is no disk space, or the MLflow store cannot be reached.
    """
    from gtl_core.data.catalog import load_pair
    from gtl_core.registry.lineage import git_commit
    from gtl_core.registry.tracking import open_store
    from gtl_core.training.pretrained import check_backbone
    from gtl_core.transfer.strategies import check_strategies
    from pipelines.schedules import schedule_of

    schedule_of(experiment)
    check_strategies(experiment, *load_pair(experiment, homes.data))
    check_backbone(experiment, homes.root)
    git_commit(homes.root)
    homes.artifacts.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(homes.artifacts).free
    if free < NEEDED_BYTES:
        raise InputError(
            f"{free / 1e6:.0f} MB of disk free at {homes.artifacts}, a run needs {NEEDED_BYTES / 1e6:.0f} MB; "
            "free some or move the homes (GTL_ARTIFACTS, GTL_MLRUNS)"
        )
    open_store(homes)
