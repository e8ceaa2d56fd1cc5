"""Data that are changed while a run is under way: the run stops, and nothing of two versions is mixed or kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import yaml
from small_chain import SMALL, add_negatives

from gtl_core.config import load_experiment
from gtl_core.data.image_set import ImageSet, ImageSetWriter
from gtl_core.errors import InputError
from gtl_core.homes import Homes
from gtl_core.progress import Progress
from pipelines.launch import launch
from pipelines.partitions import EXPERIMENTS
from pipelines.stages import Chain

ROOT = Path(__file__).resolve().parents[2]
NAME = EXPERIMENTS.get_partition_keys()[0]
"""A name that Dagster has loaded a partition for, from the shipped files."""
EXPERIMENT = {
    **SMALL,
    "name": NAME,
    "gan": {**SMALL["gan"], "steps": 100},
    "transfer": {"strategies": ["finetune"], "steps": 300},
}
"""Its trainings take long enough for something to happen in the midst of them."""


def write_digits(homes: Homes, digits: ImageSet, rows: range) -> None:
    with ImageSetWriter(homes.data / "tiny-digits", classes=digits.classes) as writer:
        for row in rows:
            facts = digits.manifest.iloc[row]
            label, split = int(facts["label"]), str(facts["split"])
            writer.add(np.array(digits.images[row]), label=label, split=split, source_file=str(row))


@pytest.fixture
def digits(tiny_digits: Path) -> ImageSet:
    return ImageSet.load(tiny_digits)


@pytest.fixture
def homes(
    new_project: Callable[[Path], Homes], digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Homes:
    """A project with the small experiment under a name that Dagster has loaded."""
    found = new_project(tmp_path / "project")
    (found.root / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    write_digits(found, digits, range(len(digits)))
    add_negatives(found, "turned")
    found.experiments.mkdir()
    (found.experiments / f"{NAME}.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for variable, value in found.environment().items():
        monkeypatch.setenv(variable, value)
    return found


def run_while(homes: Homes, task: str, change: Callable[[], Any]) -> None:
    """Runs the experiment, and makes the change once, in the midst of a training."""
    left = [change]

    def on_progress(progress: Progress) -> None:
        if task in progress.task and 0 < progress.step < progress.total and left:
            left.pop()()

    with joblib.parallel_config(backend="sequential"):
        launch(load_experiment(homes.experiments / f"{NAME}.yaml"), homes, force=False, on_progress=on_progress)


def test_a_target_that_changes_during_a_transfer_stops_the_run_and_its_half_of_the_work_is_lost(
    homes: Homes, digits: ImageSet
) -> None:
    with pytest.raises(InputError, match=r"tiny-digits was changed during the run; run the experiment again"):
        run_while(homes, "transferred_gans", lambda: write_digits(homes, digits, range(10, len(digits))))
    made = homes.artifacts / NAME
    assert not [path for path in (made / "transferred_gan").rglob("*") if path.is_file()]
    assert list((made / "source_gan").glob("*/gan.safetensors"))


def test_a_target_that_changes_while_the_source_is_learned_keeps_what_was_learned(
    homes: Homes, digits: ImageSet
) -> None:
    with pytest.raises(InputError, match=r"tiny-digits in .* was changed during the run; run the experiment again"):
        run_while(homes, "source", lambda: write_digits(homes, digits, range(10, len(digits))))
    chain = Chain(load_experiment(homes.experiments / f"{NAME}.yaml"), homes)
    assert chain.found("source_gan") or chain.found("source_classifier")
    assert not (homes.artifacts / NAME / "transferred_gan").exists()
