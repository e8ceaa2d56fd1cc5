"""A project of some runs, each with its stages and a registered pair, to collect in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gtl_core.config import Experiment
from gtl_core.data.draws import make_draws
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.files import write_json, write_text
from gtl_core.homes import Homes
from gtl_core.registry.lineage import build_record
from gtl_core.registry.packaging import log_package, package_classifier, package_generator
from gtl_core.registry.seen import write_seen
from gtl_core.registry.tracking import open_store
from gtl_core.store import StageStore
from pipelines.recording import DAGSTER_RUN
from tests.registry.retention.kept_runs import (
    CLASSIFIER,
    GENERATOR,
    ROOT,
    RUNS,
    copied,
    key_of,
    stages_of,
)

YAML = """
name: digits
source: {dataset: turned}
target: {dataset: tiny-digits, labelled_per_class: 5}
image: {size: 16, channels: 1}
gan: {width: 8, latent: 16, steps: 4, batch: 16}
transfer: {strategies: [finetune]}
evaluation: {draws: 2}
promotion: {approval: manual}
"""


@pytest.fixture(scope="session")
def template(
    tmp_path_factory: pytest.TempPathFactory,
    new_project: Callable[[Path], Homes],
    experiment: Experiment,
    tiny_digits: Path,
    gan: Path,
    synthetic: Path,
    evaluation: Path,
) -> Homes:
    """A project of some runs, each with its stages and a registered pair; no alias is set."""
    homes = new_project(tmp_path_factory.mktemp("kept") / "project")
    shutil.copy(ROOT / "dagster.yaml", homes.root)
    shutil.copytree(tiny_digits, homes.data / "tiny-digits")
    target = ImageSet.load(homes.data / "tiny-digits")
    with ImageSetWriter(homes.data / "turned", classes=target.classes) as writer:
        for row in target.indices("train"):
            writer.add(255 - np.array(target.images[row]), label=int(target.labels[row]), source_file=str(row))
    write_text(homes.experiments / "digits.yaml", YAML)
    scratch = tmp_path_factory.mktemp("packages")
    example = np.zeros((1, 1, 16, 16), np.uint8)
    weights = evaluation / "best" / "classifier.safetensors"
    packages = package_classifier(weights, example, scratch / "classifier"), package_generator(gan, scratch / "gan")
    write_seen(
        scratch / "seen.parquet", target, target, make_draws(target, 5, 5, 0.3, 2, 0), 0, pool=False, transferred=True
    )

    def fill(run: int, name: str, mlflow_run: str, folder: Path) -> None:
        write_text(folder / "gan.safetensors", f"{name} {stages_of(run)[name]}")
        write_text(folder / "classifier.safetensors", f"{name} {stages_of(run)[name]}")
        if name.startswith("synthetic_images"):
            shutil.copytree(synthetic, folder, dirs_exist_ok=True)
        elif name == "registered_models":
            write_json(
                folder / "registration.json", {"mlflow_run_id": mlflow_run, "stages": list(stages_of(run).items())}
            )
        elif name == "report":
            facts = {"facts": {"MLflow run": mlflow_run}}
            write_json(folder / "report.json", {"sections": {"provenance": {"numbers": facts}}})

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = open_store(homes)
        stage_store = StageStore(homes.artifacts, "digits")
        for run in range(1, RUNS + 1):
            tags = {DAGSTER_RUN: f"dagster-{run}", "gtl.stage": "experiment"}
            mlflow_run = store.start_run("gtl-digits", "digits", tags=tags)
            made = {
                name: stage_store.build(name, key, partial(fill, run, name, mlflow_run)).path
                for name, key in stages_of(run).items()
            }
            child = store.start_run("gtl-digits", "evaluation", mlflow_run, {"gtl.stage": "evaluation"})
            store.log_params(child, {"stage_key": key_of(run)})
            for each in (child, mlflow_run):
                store.log_artifact(each, made["evaluation"] / "stage.json")
                store.finish(each)
            stages = ("source_gan", "source_classifier", "transferred_gan/finetune/draw-0", "evaluation")
            record = build_record(
                homes,
                experiment,
                mlflow_run_id=mlflow_run,
                dagster_run_id=f"dagster-{run}",
                data_version="0123456789abcdef0123456789abcdef.dir",
                datasets=[{"name": target.name, "role": "target", "version": target.version, "images": len(target)}],
                seen=scratch / "seen.parquet",
                documents={},
                checkpoints=[(name, made[name] / "gan.safetensors") for name in stages],
                synthetic=made["synthetic_images/finetune/draw-0"],
                verdict={"label": "inconclusive"},
                arms=[],
                best={"arm": "real"},
            )
            for package, name in zip(packages, (CLASSIFIER, GENERATOR), strict=True):
                log_package(
                    store,
                    mlflow_run,
                    package,
                    name=name,
                    lineage=record,
                    seen=scratch / "seen.parquet",
                    card="A card.",
                    tags={"gtl.experiment": "digits"},
                    description="",
                )
    return homes


@pytest.fixture
def homes(template: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """The same in the environment, so that commands find it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = copied(template, tmp_path / "copy")
    for variable, value in found.environment().items():
        monkeypatch.setenv(variable, value)
    return found
