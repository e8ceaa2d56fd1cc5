"""Finding image sets by name, and whether a pair of them fits an experiment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtl_core.config import Experiment
from gtl_core.data.catalog import find, load_pair, names
from gtl_core.data.image_set import UNLABELLED, ImageSetWriter
from gtl_core.errors import InputError


@pytest.fixture
def home(tiny_digits: Path, tmp_path: Path) -> Path:
    for name in ("source-digits", "target-digits"):
        shutil.copytree(tiny_digits, tmp_path / name)
    return tmp_path


def experiment(**target: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "toy",
            "source": {"dataset": "source-digits"},
            "target": {"dataset": "target-digits", "labelled_per_class": 5, **target},
            "image": {"size": 16, "channels": 1},
            "transfer": {"strategies": ["finetune"]},
        }
    )


def test_sets_are_listed_by_name_and_other_folders_are_not(home: Path) -> None:
    (home / "notes").mkdir()
    (home / ".unfinished").mkdir()
    assert names(home) == ["source-digits", "target-digits"]
    assert names(home / "nowhere") == []


def test_a_name_that_does_not_exist_is_answered_with_near_ones(home: Path) -> None:
    with pytest.raises(
        InputError, match=r"no image set 'sorce-digits'.*did you mean source-digits\?|or target-digits\?"
    ):
        find(home, "sorce-digits")
    with pytest.raises(InputError, match="there are: source-digits, target-digits"):
        find(home, "zebra")


def test_a_pair_that_fits_is_opened(home: Path) -> None:
    source, target = load_pair(experiment(), home)
    assert (source.name, target.name) == ("source-digits", "target-digits")


def test_other_channels_than_the_experiments_are_refused(home: Path) -> None:
    with ImageSetWriter(home / "source-digits", ("a", "b")) as writer:
        writer.add(np.zeros((3, 16, 16), np.uint8), label=0)
    with pytest.raises(InputError, match=r"source-digits has 3 channels but image\.channels is 1"):
        load_pair(experiment(), home)


def test_a_source_without_labels_is_refused(home: Path) -> None:
    with ImageSetWriter(home / "source-digits", tuple("01")) as writer:
        writer.add(np.zeros((1, 16, 16), np.uint8), label=UNLABELLED, split="train")
        writer.add(np.ones((1, 16, 16), np.uint8), label=0, split="test")
    with pytest.raises(InputError, match="source-digits has no labelled image to learn from"):
        load_pair(experiment(), home)


def test_fewer_images_than_labelled_per_class_are_told_before_anything_runs(home: Path) -> None:
    with pytest.raises(InputError, match=r"target-digits: class '\d' has 40 images.*labelled_per_class 35"):
        load_pair(experiment(labelled_per_class=35), home)
