"""One partition an experiment file, so that schedules and sensors launch any experiment without run config.

The partitions are those that there are files of when Dagster loads the definitions: a new file appears when the code
location is reloaded on Dagster's page, or when Dagster starts again, and in `gtl run` at once.
"""

from __future__ import annotations

import re

import dagster as dg

from gtl_core.config import Experiment, load_experiment
from gtl_core.errors import InputError
from gtl_core.homes import Homes

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What an experiment may be called; a file of another name could never be read, and Dagster might refuse to load it."""


def experiment_names(homes: Homes) -> list[str]:
    """Names of the experiments that there are files of, readable or not."""
    return sorted(path.stem for path in homes.experiments.glob("*.yaml") if _NAME.fullmatch(path.stem))


def read_experiments(homes: Homes) -> tuple[list[Experiment], dict[str, str]]:
    """All experiments whose files can be read, so that one bad file does not stop what the others need.

    Returns:
        The experiments by name, and for each that cannot be read the reason.
    """
    read: list[Experiment] = []
    unreadable: dict[str, str] = {}
    for name in experiment_names(homes):
        try:
            read.append(load_experiment(homes.experiments / f"{name}.yaml"))
        except (InputError, OSError) as error:
            unreadable[name] = " ".join(str(error).split())
    return read, unreadable


EXPERIMENTS = dg.StaticPartitionsDefinition(experiment_names(Homes.locate()))
