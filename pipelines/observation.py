"""What version of its data each experiment has: the committed one, and whether it is there to be learned from.

What counts is `data.dvc`, set by set, and not whatever lies in `data/` at the moment: an import that is half done, or
that nobody has committed, is no new version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from gtl_core.config import Experiment
from gtl_core.data import dvc
from gtl_core.data.catalog import find
from gtl_core.data.directory_hash import directory_md5, directory_rows, rows_md5
from gtl_core.errors import InputError
from gtl_core.files import canonical_sha256
from gtl_core.homes import Homes

if TYPE_CHECKING:
    from pipelines.stages import Chain

COMMITTED = dg.AssetKey("committed_data")
"""The asset that stands for `data.dvc`: observed, never made."""
VALIDATION = dg.AssetKey("data_validation")
DATA_TAG = "gtl/data"
"""Tag of a run: versions of the sets that it has validated."""


@dataclass(frozen=True)
class Seen:
    """What was last seen of an experiment's data.

    Attributes:
        sets: committed versions of its source and its target, by name.
        changes: how often they have changed since the first observation; it makes the key of each request its own,
            also where data go back to an earlier version.
    """

    sets: Mapping[str, str]
    changes: int = 0


def committed_versions(homes: Homes) -> dict[str, str]:
    """Version of each image set as `data.dvc` pins it.

    Raises:
        InputError: there is no `data.dvc`, it is damaged, or the files of its version are not known on this machine.
    """
    pinned = dvc.pinned(homes.root)
    if pinned is None:
        raise InputError(f"no data.dvc in {homes.root}; gtl data commit makes one")
    try:
        rows = dvc.cached_rows(homes.root, pinned)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"DVC's cache is damaged at version {pinned}; gtl data pull mends it") from error
    if rows is None:
        rows = directory_rows(homes.data)
        if rows_md5(rows) != pinned:
            raise InputError(f"the files of version {pinned} in data.dvc are not here; gtl data pull fetches them")
    return dvc.versions_by_set(rows)


def sets_of(experiment: Experiment, committed: Mapping[str, str]) -> dict[str, str]:
    """Committed versions of an experiment's source and target.

    Raises:
        InputError: one of them was never committed.
    """
    names = (experiment.source.dataset, experiment.target.dataset)
    missing = [name for name in names if name not in committed]
    if missing:
        raise InputError(f"{experiment.name}: data.dvc has no {' and no '.join(missing)}; gtl data commit")
    return {name: committed[name] for name in names}


def require_present(homes: Homes, sets: Mapping[str, str]) -> None:
    """Makes sure that what lies in `data/` is what was committed.

    Raises:
        InputError: a set is missing, is damaged, or is another version than the committed one.
    """
    for name, version in sets.items():
        find(homes.data, name)
        if directory_md5(homes.data / name) != version:
            raise InputError(
                f"{name} in {homes.data} is not the committed version; gtl data commit, or gtl data pull to go back"
            )


def hold_to(context: dg.AssetExecutionContext, chain: Chain) -> None:
    """Makes sure that all assets of a run are made from the same data: from those that the validation has seen.

    Raises:
        InputError: a set was changed since, so that what comes now would not belong to what is there.
    """
    now = {images.name: images.version for images in chain.sets}
    if context.asset_key == VALIDATION:
        context.instance.add_run_tags(context.run_id, {DATA_TAG: json.dumps(now)})
        return
    run = context.instance.get_run_by_id(context.run_id)
    validated = json.loads(run.tags.get(DATA_TAG, "null")) if run else None
    if validated is not None and validated != now:
        changed = " and ".join(name for name in now if now[name] != validated.get(name))
        raise InputError(f"{changed} in {chain.homes.data} was changed during the run; run the experiment again")


def observation(experiment: str, sets: Mapping[str, str]) -> dg.AssetObservation:
    """What Dagster is told of an experiment's committed data."""
    return dg.AssetObservation(
        COMMITTED,
        partition=experiment,
        metadata=dict(sets),
        tags={"dagster/data_version": canonical_sha256(dict(sets))[:16]},
    )


def load_seen(cursor: str | None) -> dict[str, Seen]:
    """What was seen, from a sensor's cursor; nothing where there is none."""
    return {name: Seen(row["sets"], row["changes"]) for name, row in json.loads(cursor or "{}").items()}


def dump_seen(seen: Mapping[str, Seen]) -> str:
    """What was seen, for a sensor's cursor."""
    return json.dumps({name: {"sets": dict(each.sets), "changes": each.changes} for name, each in seen.items()})
