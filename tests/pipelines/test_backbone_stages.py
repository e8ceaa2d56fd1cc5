"""A checkpoint as the classifier's backbone, in all stages: told by its content, refused before anything starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gtl_core.errors import InputError
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.training.classifier import UNTRAINED, load_classifier
from gtl_core.training.pretrained import checkpoint_sha256
from pipelines.preflight import check_ready
from pipelines.stages import Chain
from tests.pipelines.small_chain import SMALL, as_experiment, project_of_digits
from tests.tiny_checkpoints import save_checkpoint


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, tiny_digits: Path) -> Homes:
    homes = project_of_digits(tmp_path_factory.mktemp("project"), tiny_digits)
    save_checkpoint(homes.root / "checkpoints" / "convnext", "convnext")
    return homes


@pytest.fixture
def one_core() -> Iterator[None]:
    """One core for this process, so that cells are trained in it and no other process has to start."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def chain_of(homes: Homes, backbone: str) -> Chain:
    arms = ["real", "source_finetuned", "feature_extraction", "best_plus_gan"]
    experiment = as_experiment(
        classifier={**SMALL["classifier"], "backbone": backbone}, evaluation={**SMALL["evaluation"], "arms": arms}
    )
    return Chain(experiment, homes)


@pytest.mark.usefixtures("one_core")
def test_an_experiment_with_a_checkpoint_runs_to_its_verdict_and_each_arm_starts_from_it(homes):
    chain = chain_of(homes, "checkpoints/convnext")
    for stage in ("draws", "source_gan", "source_classifier", "domain_gap", "transferred_gans"):
        getattr(chain, stage)()
    chain.synthetic_images()
    evaluation = chain.evaluation().path
    sha256 = checkpoint_sha256(homes.root / "checkpoints" / "convnext")
    for arm in ("real", "source_finetuned", "feature_extraction"):
        model, _ = load_classifier(evaluation / "cells" / arm / "0" / "classifier-0.safetensors")
        assert (model.backbone, model.options["sha256"]) == ("pretrained", sha256)
    assert {row["arm"] for row in read_json(evaluation / "arms.json")} >= {"real", "feature_extraction"}
    assert (chain.require("source_classifier").path / UNTRAINED).is_file()


def test_stages_are_found_again_where_the_checkpoint_has_moved_and_made_anew_where_it_has_changed(homes):
    key = chain_of(homes, "checkpoints/convnext").evaluation_key
    moved = shutil.copytree(homes.root / "checkpoints" / "convnext", homes.root / "elsewhere")
    assert chain_of(homes, str(moved)).evaluation_key == key
    save_checkpoint(homes.root / "elsewhere", "convnext", seed=1)
    changed = chain_of(homes, "elsewhere")
    assert changed.evaluation_key != key
    assert changed.source_gan_key == chain_of(homes, "cnn").source_gan_key


def test_a_checkpoint_that_cannot_be_read_stops_a_run_before_it_starts(homes):
    with pytest.raises(InputError, match=r"there is no folder .*nowhere; name cnn, resnet"):
        check_ready(chain_of(homes, "nowhere").experiment, homes)
    with pytest.raises(InputError, match="there is no folder"):
        _ = chain_of(homes, "nowhere").source_classifier_key
    (homes.root / "pickled").mkdir()
    (homes.root / "pickled" / "config.json").write_text('{"model_type": "vit"}')
    (homes.root / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="is a pickle, which can run code"):
        check_ready(chain_of(homes, "pickled").experiment, homes)
