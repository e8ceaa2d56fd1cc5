"""The job `refresh_data`: what is pinned is fetched, validated and observed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import yaml
from small_chain import project_of_digits, small_experiment

from gtl_core.data import versions
from gtl_core.data.image_set import ImageSetWriter
from gtl_core.homes import Homes
from pipelines.defs.jobs import refresh_data


@pytest.fixture
def homes(tiny_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    """A project whose data.dvc pins two sets, with one experiment that can be read and one that cannot."""
    found = project_of_digits(tmp_path, tiny_digits)
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=found.root, check=True)
    (found.root / ".dvcignore").write_text("/data/.*\n")
    versions.commit(found)
    found.experiments.mkdir()
    (found.experiments / "small.yaml").write_text(yaml.safe_dump(small_experiment()))
    (found.experiments / "broken.yaml").write_text("name: [")
    for variable, value in found.environment().items():
        monkeypatch.setenv(variable, value)
    return found


def test_what_is_pinned_is_fetched_validated_and_observed(homes: Homes) -> None:
    pinned = {name: versions.directory_md5(homes.data / name) for name in ("turned", "tiny-digits")}
    shutil.rmtree(homes.data / "turned")
    with dg.DagsterInstance.ephemeral() as instance:
        result = refresh_data.execute_in_process(instance=instance)
    assert versions.directory_md5(homes.data / "turned") == pinned["turned"]
    (observed,) = result.get_asset_observation_events()
    assert observed.partition == "small"
    metadata = observed.asset_observation_data.asset_observation.metadata
    assert {name: value.value for name, value in metadata.items()} == pinned
    assert (homes.artifacts / "validation" / "turned" / "validation.json").is_file()


def test_bad_data_fail_the_job_after_every_set_has_been_looked_at(homes: Homes) -> None:
    for name in ("blank", "dark"):
        with ImageSetWriter(homes.data / name, classes=("one", "two")) as writer:
            for index in range(4):
                writer.add(np.full((1, 8, 8), index, np.uint8), label=index % 2, source_file=f"{index}.png")
    with dg.DagsterInstance.ephemeral() as instance:
        result = refresh_data.execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = result.get_step_failure_events()
    told = str(failure.event_specific_data)
    assert "blank: blank_images" in told
    assert "dark: blank_images" in told
