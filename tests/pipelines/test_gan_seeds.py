"""GANs repeated with other seeds, and GANs without a source: stages of their own, found again by their keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pytest
from small_chain import add_negatives, as_experiment, project_of_digits

from gtl_core.evaluation.held_out import Predictions
from gtl_core.files import read_json
from gtl_core.homes import Homes
from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.checkpoint import GanCheckpoint
from pipelines.stages import Chain


@pytest.fixture(scope="module")
def homes(tiny_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Homes:
    found = project_of_digits(tmp_path_factory.mktemp("project"), tiny_digits)
    add_negatives(found, "shapes", tuple("abcdefghij"))
    return found


def chain(homes: Homes, source: str = "turned", transfer: dict[str, Any] | None = None, **evaluation: Any) -> Chain:
    experiment = as_experiment(
        name="seeds",
        source={"dataset": source},
        gan={"steps": 8},
        transfer={"steps": 4, **(transfer or {})},
        evaluation={"arms": ["real", "scratch_gan", "best_plus_gan"], **evaluation},
    )
    return Chain(experiment, homes)


@pytest.fixture(scope="module")
def made(homes: Homes) -> Chain:
    """A chain with one GAN seed, up to its images."""
    ready = chain(homes)
    with joblib.parallel_config(backend="sequential"):
        ready.draws()
        ready.source_gan()
        ready.source_classifier()
        ready.transferred_gans()
        ready.synthetic_images()
    return ready


def test_more_gan_seeds_leave_the_gans_that_are_there_and_make_others_beside_them(homes: Homes, made: Chain) -> None:
    more = chain(homes, gan_seeds=2, classifier_seeds=2)
    with joblib.parallel_config(backend="sequential"):
        gans, images = more.transferred_gans(), more.synthetic_images()
        evaluation = more.evaluation().path
    first, second = ["draw-0", "draw-1"], ["draw-0-seed-1", "draw-1-seed-1"]
    for stages, makers in (
        (gans, ("transferred_gan/finetune", "scratch_gan/without_source")),
        (images, ("synthetic_images/finetune", "synthetic_images/scratch_gan")),
    ):
        reused = {stage.name for stage in stages if stage.reused}
        assert reused == {f"{maker}/{cell}" for maker in makers for cell in first}
        assert {stage.name for stage in stages} - reused == {f"{maker}/{cell}" for maker in makers for cell in second}
        assert len({stage.version for stage in stages}) == 8
    predictions = Predictions.load(evaluation)
    seeds = {arm: predictions.of(arm).shape[1] for arm in predictions.arms}
    assert seeds == {"real": 2, "scratch_gan": 4, "best_plus_gan/finetune": 4}


def test_every_gan_seed_draws_its_images_from_its_own_generator_and_its_own_latents(homes: Homes, made: Chain) -> None:
    more = chain(homes, gan_seeds=2)
    with joblib.parallel_config(backend="sequential"):
        more.transferred_gans()
        more.synthetic_images()
    sets = [SyntheticSet.load(more.synthetic("finetune", draw, seed).path) for draw in (0, 1) for seed in (0, 1)]
    assert len({made_set.card["generator_sha256"] for made_set in sets}) == 4
    assert len({made_set.card["seed"] for made_set in sets}) == 4
    assert more.synthetic_folders() == made.synthetic_folders()
    assert more.synthetic_folders(1)["finetune"][0] == more.synthetic("finetune", 0, 1).path


def test_a_gan_of_the_target_alone_knows_nothing_of_the_source(homes: Homes, made: Chain) -> None:
    other = chain(homes, source="shapes")
    (strategy,) = made.experiment.transfer.strategies
    assert other.transferred_key(None, 0) == made.transferred_key(None, 0)
    assert other.transferred_key(strategy, 0) != made.transferred_key(strategy, 0)
    gan = GanCheckpoint.load(made.transferred("scratch_gan", 0).path / "gan.safetensors")
    assert gan.classes == made.sets[1].classes
    assert gan.step == made.experiment.gan.steps


def test_a_gan_of_another_size_is_another_gan(made: Chain) -> None:
    image = made.experiment.image.model_copy(update={"size": 32})
    larger = replace(made, experiment=made.experiment.model_copy(update={"image": image}))
    for strategy in (None, *made.experiment.transfer.strategies):
        assert larger.transferred_key(strategy, 0) != made.transferred_key(strategy, 0)


def test_no_gan_is_trained_on_the_target_alone_unless_an_arm_asks_for_it(homes: Homes, made: Chain) -> None:
    quiet = chain(homes, arms=["real", "best_plus_gan"])
    with joblib.parallel_config(backend="sequential"):
        stages = quiet.transferred_gans()
    assert {stage.name for stage in stages} == {"transferred_gan/finetune/draw-0", "transferred_gan/finetune/draw-1"}
    assert all(stage.reused for stage in stages)


def test_where_it_diverges_its_arm_is_left_out_and_the_verdict_is_given(homes: Homes, made: Chain) -> None:
    wild = {"strategies": [{"name": "finetune", "lecam": 0.0}], "lecam": 1e38}
    failing = chain(homes, transfer=wild)
    with joblib.parallel_config(backend="sequential"):
        failing.transferred_gans()
        failing.synthetic_images()
        evaluation = failing.evaluation().path
    assert failing.failures().keys() == {"scratch_gan"}
    assert [arm["arm"] for arm in read_json(evaluation / "arms.json")] == ["real", "best_plus_gan/finetune"]
    assert "draw 0" in read_json(evaluation / "verdict.json")["left_out"]["scratch_gan"]
