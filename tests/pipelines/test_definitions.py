"""The Dagster definitions as they are meant to be: a change of them is a change of the product."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from PIL import Image

from gtl_core.validation.report import CHECKS
from pipelines.definitions import defs
from pipelines.partitions import EXPERIMENTS
from pipelines.reporting import picture

ROOT = Path(__file__).resolve().parents[2]

ASSETS = {
    # name: group, kinds, what it is made from, pool
    "source_images": ("data", {"dvc"}, {"committed_data"}, None),
    "target_images": ("data", {"dvc"}, {"committed_data"}, None),
    "data_validation": ("data", {"greatexpectations"}, {"source_images", "target_images"}, None),
    "draws": ("data", {"pandas"}, {"data_validation"}, None),
    "source_gan": ("gan", {"torch"}, {"data_validation"}, "training"),
    "pilot": ("gan", {"torch"}, {"source_gan", "source_classifier", "draws"}, "training"),
    "transferred_gans": ("gan", {"torch"}, {"source_gan", "source_classifier", "draws", "pilot"}, "training"),
    "synthetic_images": ("gan", {"torch", "pandas"}, {"transferred_gans"}, "training"),
    "source_classifier": ("classifiers", {"torch"}, {"data_validation"}, "training"),
    "evaluation": ("classifiers", {"torch", "pandas"}, {"synthetic_images", "source_classifier", "draws"}, "training"),
    "domain_gap": ("metrics", {"torch"}, {"source_classifier", "draws"}, "training"),
    "synthetic_quality": (
        "metrics",
        {"torch", "pandas"},
        {"synthetic_images", "source_classifier", "draws"},
        "training",
    ),
    "registered_models": ("registry", {"mlflow"}, {"evaluation", "synthetic_quality"}, None),
    "report": ("registry", {"html"}, {"registered_models", "domain_gap"}, None),
}


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    return defs()


@pytest.fixture(scope="module")
def nodes(loaded: dg.Definitions) -> dict[str, Any]:
    graph = loaded.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.materializable_asset_keys}


def test_the_assets_are_the_stages_of_the_chain(nodes: dict[str, Any]) -> None:
    found = {
        name: (
            node.group_name,
            set(node.kinds),
            {parent.to_user_string() for parent in node.parent_keys},
            next(iter(node.pools), None),
        )
        for name, node in nodes.items()
    }
    assert found == ASSETS


def test_every_asset_has_an_owner_a_description_and_a_partition_an_experiment(nodes: dict[str, Any]) -> None:
    experiments = sorted(path.stem for path in (ROOT / "experiments").glob("*.yaml"))
    assert EXPERIMENTS.get_partition_keys() == experiments
    for node in nodes.values():
        assert node.owners == ["team:gtl"]
        assert node.description
        assert node.partitions_def == EXPERIMENTS


def test_what_gtl_makes_has_a_code_version(nodes: dict[str, Any]) -> None:
    assert {name for name, node in nodes.items() if not node.code_version} == {"source_images", "target_images"}


def test_critical_checks_block_and_warnings_do_not(nodes: dict[str, Any]) -> None:
    specs = {spec.name: spec for spec in nodes["data_validation"].assets_def.check_specs}
    assert {name: spec.blocking for name, spec in specs.items()} == {
        check.name: check.severity == "critical" for check in CHECKS
    }


def test_one_job_runs_the_whole_chain(loaded: dg.Definitions) -> None:
    job = loaded.resolve_job_def("run_experiment")
    assert {node.name for node in job.nodes} == set(ASSETS)


def test_the_definitions_are_as_they_were_last_looked_at() -> None:
    """What has changed on purpose is written anew by `python tests/pipelines/snapshot/definitions.py`."""
    script = Path(__file__).parent / "snapshot" / "definitions.py"
    told = subprocess.run(
        [sys.executable, script, "--print"], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout) == json.loads(script.with_suffix(".json").read_text(encoding="utf-8"))


def test_bad_experiment_files_leave_everything_else_as_it_is(tmp_path: Path) -> None:
    """A file that cannot be read, a cron expression that is none and an unknown zone: a line each, and no schedule."""
    good = (Path(__file__).parent / "snapshot" / "experiments" / "clocked.yaml").read_text()
    files = {
        "clocked": good,
        "no_cron": good.replace("0 3 * * 1", "monday").replace("clocked", "no_cron"),
        "no_zone": good.replace("Europe/Berlin", "Mars/Olympus").replace("clocked", "no_zone"),
        "half": good[:40],
        "a...b": good,
    }
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    program = (
        "from pipelines.definitions import defs\n"
        "repository = defs().get_repository_def()\n"
        "print([schedule.name for schedule in repository.schedule_defs], len(repository.get_all_jobs()) > 3)\n"
        "print(repository.get_job('run_experiment').partitions_def.get_partition_keys())"
    )
    environment = {**os.environ, "GTL_EXPERIMENTS": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == ["['clocked_schedule'] True", "['clocked', 'half', 'no_cron', 'no_zone']"]
    lines = [line for line in told.stderr.splitlines() if "yaml" in line or "schedule" in line]
    assert len(lines) == 3
    assert "no_cron: schedule.cron: 'monday' is no cron expression" in lines[-1]


def test_string_selections_work_beside_dvc() -> None:
    """DVC's own pin of ANTLR breaks Dagster's selection parser without a word (dagster issue 27487)."""
    import dvc.utils.hydra  # noqa: F401

    selection = dg.AssetSelection.from_string('key:"source_gan"+')
    assert {key.to_user_string() for key in selection.resolve(defs().resolve_asset_graph())} == {
        "source_gan",
        "pilot",
        "transferred_gans",
        "synthetic_images",
        "synthetic_quality",
        "evaluation",
        "registered_models",
        "report",
    }


def test_the_instance_sends_no_telemetry() -> None:
    assert yaml.safe_load((ROOT / "dagster.yaml").read_text())["telemetry"] == {"enabled": False}


@pytest.fixture
def big_picture(tmp_path: Path) -> Iterator[Path]:
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    yield tmp_path / "noise.png"


def test_pictures_stay_small_enough_for_the_page(big_picture: Path) -> None:
    assert big_picture.stat().st_size > 1_000_000
    text = picture(big_picture, "noise").value
    assert text.startswith("![noise](data:image/png;base64,")
    assert len(text) < 210_000
