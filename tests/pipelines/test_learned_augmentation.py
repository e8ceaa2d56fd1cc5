"""Learned augmentation learns on the source once, and each draw's generator carries that draw's images alone."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pytest
from small_chain import add_negatives, as_experiment, project_of_digits

from gtl_core.data.image_set import ImageSet
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.training.checkpoint import GanCheckpoint
from pipelines.stages import Chain

SMALL = {"name": "dagan", "width": 4, "latent": 4, "batch": 8, "steps": 2}
WILD = {**SMALL, "alias": "wild", "steps": 60, "learning_rate_generator": 1e30, "learning_rate_discriminator": 1e30}


@pytest.fixture
def homes(tiny_digits: Path, tmp_path: Path) -> Homes:
    homes = project_of_digits(tmp_path, tiny_digits)
    add_negatives(homes, "letters", classes=tuple("abcdefghij"))
    return homes


def chain_of(homes: Homes, *strategies: object) -> Chain:
    transfer = {"strategies": list(strategies), "steps": 2}
    return Chain(as_experiment(name="learned", source={"dataset": "letters"}, transfer=transfer), homes)


def transferred(homes: Homes, *strategies: object) -> Chain:
    chain = chain_of(homes, *strategies)
    chain.draws()
    chain.source_classifier()
    if chain.needs_source_gan:
        chain.source_gan()
    with joblib.parallel_config(backend="sequential"):
        chain.transferred_gans()
    return chain


def test_all_draws_share_what_was_learned_on_the_source_and_each_carries_its_own_images(homes: Homes) -> None:
    chain = transferred(homes, SMALL)
    assert [path.name for path in (homes.artifacts / "learned" / "source_dagan").iterdir()] == ["dagan"]
    assert not (homes.artifacts / "learned" / "source_gan").exists()
    learned = GanCheckpoint.load(chain.source_dagans["dagan"].path / "gan.safetensors")
    digits = ImageSet.load(homes.data / "tiny-digits")
    for place, draw in enumerate(chain.load_draws()):
        gan = GanCheckpoint.load(chain.transferred("dagan", place).path / "gan.safetensors")
        assert gan.weights_sha256() != learned.weights_sha256()
        bank = {image.tobytes() for image in gan.ema["bank"].numpy()}
        assert bank == {np.array(digits.images[row]).tobytes() for row in draw.labelled}


def test_another_number_of_steps_on_the_target_learns_nothing_anew_on_the_source(homes: Homes) -> None:
    before = transferred(homes, SMALL)
    after = transferred(homes, {**SMALL, "target_steps": 2})
    assert after.source_dagans["dagan"].reused
    kept, made = (chain.transferred("dagan", 0).path / "gan.safetensors" for chain in (before, after))
    assert kept != made
    assert GanCheckpoint.load(made).step == 2
    names = {name for name, _ in after.stage_keys()}
    assert {"source_dagan/dagan", "transferred_gan/dagan/draw-0"} <= names
    assert transferred(homes, {**SMALL, "steps": 3}).source_dagans["dagan"].path != before.source_dagans["dagan"].path


def test_where_it_goes_wrong_on_the_source_the_strategy_is_left_out_and_the_others_go_on(homes: Homes) -> None:
    chain = transferred(homes, WILD, SMALL)
    assert chain.failures().keys() == {"wild"}
    assert "wild on the source: " in chain.failures()["wild"]
    with joblib.parallel_config(backend="sequential"):
        chain.synthetic_images()
        evaluation = chain.evaluation().path
        quality = read_json(chain.synthetic_quality().path / "quality.json")
    assert read_json(evaluation / "verdict.json")["left_out"].keys() == {"best_plus_gan/wild"}
    assert quality["strategies"].keys() == {"dagan"}
