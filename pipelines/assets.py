"""What all assets have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gtl_core.homes import Homes
from pipelines.instance import TRAINING_POOL
from pipelines.partitions import EXPERIMENTS, read_experiments
from pipelines.schedules import freshness
from pipelines.stage_rooms import stage_code_version

OWNERS = ["team:gtl"]
_FRESHNESS = freshness(read_experiments(Homes.locate())[0])


def asset_options(group: str, kinds: set[str], stage: str | None = None, deps: Sequence[Any] = ()) -> Mapping[str, Any]:
    """Options of an asset: partitions, owner, group, kinds, code version; of what people take away, how fresh it is.

    Args:
        group: the group that Dagster shows it in.
        kinds: the technologies behind it.
        stage: the stage whose code version it has; None for data that GTL does not make.
        deps: the assets before it.
    """
    return {
        "partitions_def": EXPERIMENTS,
        "owners": OWNERS,
        "group_name": group,
        "kinds": kinds,
        "pool": TRAINING_POOL if "torch" in kinds else None,
        "code_version": stage_code_version(stage) if stage else None,
        "deps": list(deps),
        "freshness_policy": _FRESHNESS if group == "registry" else None,
    }
