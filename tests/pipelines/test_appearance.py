"""What a user sees in Dagster after a run: links, pictures, curves, tables, checks with their rule and failing rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import joblib
import numpy as np
import pytest
import yaml
from small_chain import add_negatives, small_experiment

from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.homes import Homes
from pipelines.definitions import defs
from pipelines.instance import open_instance
from pipelines.partitions import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[2]
NAME = EXPERIMENTS.get_partition_keys()[0]
"""A name that Dagster has loaded a partition for, from the shipped files."""


@pytest.fixture(scope="module")
def homes(new_project: Callable[[Path], Homes], tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project with a small experiment by a shipped name, whose target has an image twice; its environment is set."""
    found = new_project(tmp_path_factory.mktemp("seen") / "project")
    (found.root / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    digits = ImageSet.load(tiny_digits)
    with ImageSetWriter(found.data / "tiny-digits", classes=digits.classes) as writer:
        for row in [*range(len(digits)), 0]:
            facts = digits.manifest.iloc[row]
            writer.add(
                np.array(digits.images[row]), label=int(facts["label"]), split=facts["split"], source_file=str(row)
            )
    add_negatives(found, "turned")
    found.experiments.mkdir()
    (found.experiments / f"{NAME}.yaml").write_text(yaml.safe_dump(small_experiment(name=NAME)))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for variable, value in found.environment().items():
            patch.setenv(variable, value)
        yield found


@pytest.fixture(scope="module")
def seen(homes: Homes) -> Any:
    """A run of the whole chain."""
    job = defs().resolve_job_def("run_experiment")
    with open_instance(homes) as instance, joblib.parallel_config(backend="sequential"):
        yield job.execute_in_process(instance=instance, partition_key=NAME)


def shown(seen: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """The metadata of an asset."""
    (found,) = [each for each in seen.get_asset_materialization_events() if each.asset_key == dg.AssetKey(asset)]
    return dict(found.materialization.metadata)


def test_every_asset_says_whether_it_was_reused_how_long_it_took_and_where_it_lies(seen: Any) -> None:
    made = [event.asset_key.to_user_string() for event in seen.get_asset_materialization_events()]
    assert len(made) == 14
    for name in made:
        metadata = shown(seen, name)
        assert isinstance(metadata["seconds"], dg.FloatMetadataValue)
        assert isinstance(metadata["reused"], dg.BoolMetadataValue)


def test_report_and_models_link_to_the_page_of_mlflow(seen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for asset in ("registered_models", "report"):
        link = shown(seen, asset)["MLflow run"]
        assert isinstance(link, dg.UrlMetadataValue)
        assert link.value.startswith("http://127.0.0.1:5000/#/experiments/1/runs/")
    report = shown(seen, "report")
    assert report["report"].value == f"{report['MLflow run'].value}/artifacts/report.html"
    assert Path(report["page"].value).is_file()


def test_a_link_to_a_server_shows_no_password(seen: Any, homes: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    from gtl_core.registry.tracking import open_store
    from pipelines.reporting import run_link

    store = open_store(homes)
    run_id = shown(seen, "report")["MLflow run"].value.rpartition("/")[2]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example.org/base/")
    assert run_link(store, run_id).value == f"https://mlflow.example.org/base/#/experiments/1/runs/{run_id}"


def test_training_shows_curves_and_pictures(seen: Any) -> None:
    for asset in ("source_gan", "transferred_gans"):
        texts = [value.value for value in shown(seen, asset).values() if isinstance(value, dg.MarkdownMetadataValue)]
        assert len(texts) >= 2
        assert all(text.startswith("![") and "data:image/png;base64," in text for text in texts)


def test_a_failed_check_shows_its_rule_and_its_rows_and_a_passed_one_its_rule(seen: Any) -> None:
    checks = {check.check_name: check for check in seen.get_asset_check_evaluations()}
    twice = checks["exact_duplicates"]
    assert not twice.passed
    assert twice.metadata["rule"].value == "No image comes twice within a split."
    rows = [record.data for record in twice.metadata["first failing"].records]
    assert twice.metadata["failing rows"].value == len(rows)
    assert ("tiny-digits", "600") in [(row["set"], row["row"]) for row in rows]
    assert Path(twice.metadata["quarantine"].value).is_file()
    blank = checks["blank_images"]
    assert blank.passed
    assert blank.metadata["rule"].value == "No image is blank or of one colour."
    assert blank.metadata["failing rows"].value == 0
