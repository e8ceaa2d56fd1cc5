"""The Dagster definitions as they are meant to be: a change of them is a change of the product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from PIL import Image

from gtl_core.validation.report import CHECKS
from pipelines.definitions import defs
from pipelines.reporting import picture

ROOT = Path(__file__).resolve().parents[2]

ASSETS = {
    # name: group, kinds, what it is made from, pool
    "source_images": ("data", {"dvc"}, set(), None),
    "target_images": ("data", {"dvc"}, set(), None),
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
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


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
    for node in nodes.values():
        assert node.owners == ["team:gtl"]
        assert node.description
        assert node.partitions_def.get_partition_keys() == experiments


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
