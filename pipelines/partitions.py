"""One partition an experiment file, so that schedules and sensors launch any experiment without run config."""

from __future__ import annotations

import dagster as dg

from gtl_core.homes import Homes


def experiment_names(homes: Homes) -> list[str]:
    """Names of the experiments that there are files of."""
    return sorted(path.stem for path in homes.experiments.glob("*.yaml"))


EXPERIMENTS = dg.StaticPartitionsDefinition(experiment_names(Homes.locate()))
