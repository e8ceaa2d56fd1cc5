"""What all assets have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.partitions import EXPERIMENTS
from pipelines.stages import stage_code_version

OWNERS = ["team:gtl"]
TRAINING_POOL = "training"
"""Assets in this pool use every core: two of them at once would only slow each other down."""


def asset_options(group: str, kinds: set[str], stage: str | None = None, deps: Sequence[Any] = ()) -> Mapping[str, Any]:
    """Options of an asset: partitions, owner, group, kinds, code version.

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
    }
