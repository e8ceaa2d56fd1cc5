"""An experiment whose GANs are told classes by texts, stage by stage: labels go on working everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pytest
from small_chain import add_negatives, as_experiment, project_of_digits

from gtl_core.synthesis.synthetic_set import SyntheticSet
from gtl_core.training.checkpoint import GanCheckpoint
from pipelines.stages import Chain
from tests.described_digits import TEXTS

LETTERS = {letter: f"the letter {letter * 3}" for letter in "abcdefghij"}
"""The source has other classes than the target: what both texts have in common is one word."""
TOLD = {**LETTERS, **TEXTS}


def chain(like: Chain, **sections: Any) -> Chain:
    """The same experiment with other settings."""
    given = {"source": {"dataset": "letters"}, "gan": {"condition": "text"}, "descriptions": TOLD, **sections}
    given["evaluation"] = {"arms": ["real", "scratch_gan", "best_plus_gan"]}
    return Chain(as_experiment(**given), like.homes)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_digits: Path) -> Chain:
    homes = project_of_digits(tmp_path_factory.mktemp("project"), tiny_digits)
    add_negatives(homes, "letters", tuple(LETTERS))
    ready = chain(Chain(as_experiment(), homes))
    with joblib.parallel_config(backend="sequential"):
        ready.draws()
        ready.source_gan()
        ready.source_classifier()
        ready.transferred_gans()
        ready.synthetic_images()
    return ready


def test_target_classes_are_told_by_their_texts_as_the_source_learned_words(made: Chain) -> None:
    source = GanCheckpoint.load(made.require("source_gan").path / "gan.safetensors")
    transferred = GanCheckpoint.load(made.transferred("finetune", 0).path / "gan.safetensors")
    alone = GanCheckpoint.load(made.transferred("scratch_gan", 0).path / "gan.safetensors")
    assert source.texts is not None
    assert source.texts.texts == tuple(LETTERS.values())
    assert transferred.texts == source.texts.of(*TEXTS.values())
    assert alone.texts is not None
    assert alone.texts.texts == tuple(TEXTS.values())


def test_images_are_drawn_by_the_labels_of_the_classes(made: Chain) -> None:
    for maker in ("finetune", "scratch_gan"):
        drawn = SyntheticSet.load(made.synthetic(maker, 0).path)
        assert drawn.classes == tuple(TEXTS)
        assert set(drawn.labels.tolist()) == set(range(10))


def test_another_text_makes_anew_what_hangs_on_it_and_nothing_else(made: Chain) -> None:
    of_source = chain(made, descriptions={**TOLD, "a": "an ox upside down"})
    of_target = chain(made, descriptions={**TOLD, "7": "a slanted seven"})
    (strategy,) = made.experiment.transfer.strategies
    assert of_source.source_gan_key != made.source_gan_key
    assert of_target.source_gan_key == made.source_gan_key
    assert of_target.transferred_key(strategy, 0) != made.transferred_key(strategy, 0)
    assert of_target.source_classifier_key == of_source.source_classifier_key == made.source_classifier_key
    assert of_target.draws_key == made.draws_key
