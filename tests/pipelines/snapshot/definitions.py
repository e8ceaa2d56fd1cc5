"""Everything that Dagster shows of GTL, as JSON, for the experiments beside this file.

`python tests/pipelines/snapshot/definitions.py` writes `definitions.json` anew; look at its difference before you
commit it. The test compares without writing.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SNAPSHOT = HERE / "definitions.json"


def describe() -> dict[str, Any]:
    """Assets, checks, jobs, schedules and sensors by name."""
    from pipelines.definitions import defs

    repository = defs().get_repository_def()
    graph = repository.asset_graph
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    return {
        "assets": {name: _asset(node) for name, node in nodes.items()},
        "checks": {
            f"{key.asset_key.to_user_string()}/{key.name}": _check(graph.get_check_spec(key))
            for key in graph.asset_check_keys
        },
        "jobs": {job.name: _job(job) for job in repository.get_all_jobs() if not job.name.startswith("__")},
        "schedules": {each.name: _schedule(each) for each in repository.schedule_defs},
        "sensors": {each.name: _sensor(each) for each in repository.sensor_defs},
    }


def _asset(node: Any) -> dict[str, Any]:
    policy = node.freshness_policy
    return {
        "group": node.group_name,
        "kinds": ", ".join(sorted(node.kinds)),
        "owners": ", ".join(node.owners),
        "description": node.description,
        "from": ", ".join(sorted(key.to_user_string() for key in node.parent_keys)),
        "made by GTL": node.is_materializable,
        "pools": ", ".join(sorted(node.pools or ())),
        "partitions": ", ".join(node.partitions_def.get_partition_keys()) if node.partitions_def else "",
        "stale after hours": policy.fail_window.to_timedelta().total_seconds() / 3600 if policy else None,
    }


def _check(spec: Any) -> dict[str, Any]:
    return {"blocking": spec.blocking, "description": spec.description}


def _job(job: Any) -> dict[str, Any]:
    return {
        "description": job.description,
        "steps": ", ".join(sorted(node.name for node in job.nodes)),
        "executor": job.executor_def.name,
        "partitions": job.partitions_def is not None,
        "settings": ", ".join(f"{name}{'' if field.is_required else '?'}" for name, field in _settings(job).items()),
    }


def _settings(job: Any) -> dict[str, Any]:
    """Fields that whoever starts the job by hand fills in."""
    fields: dict[str, Any] = {}
    for node in job.nodes:
        if node.definition.has_config_field:
            fields |= getattr(node.definition.config_field.config_type, "fields", {})
    return fields


def _schedule(schedule: Any) -> dict[str, Any]:
    return {
        "job": schedule.job_name,
        "cron": schedule.cron_schedule,
        "time zone": schedule.execution_timezone,
        "status": schedule.default_status.value,
        "description": schedule.description,
    }


def _sensor(sensor: Any) -> dict[str, Any]:
    return {
        "type": sensor.sensor_type.value,
        "jobs": ", ".join(sorted(target.job_name for target in sensor.targets)),
        "every seconds": sensor.minimum_interval_seconds,
        "status": sensor.default_status.value,
        "description": sensor.description,
    }


if __name__ == "__main__":
    os.environ["GTL_EXPERIMENTS"] = str(HERE / "experiments")
    text = json.dumps(describe(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if "--print" in sys.argv:
        sys.stdout.write(text)
    else:
        SNAPSHOT.write_text(text, encoding="utf-8")
