"""Images of a text: that a combination never seen is drawn as asked, and what cannot be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gtl_core.config import GanConfig
from gtl_core.errors import InputError
from gtl_core.metrics.trajectory import class_walk
from gtl_core.progress import silent
from gtl_core.synthesis.imagining import imagine, unknown_words
from gtl_core.synthesis.sampling import synthesise
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.class_texts import ClassTexts
from gtl_core.transfer.pretrain import pretrain_source

COLOURS = {"red": (255, 30, 30), "green": (30, 255, 30), "blue": (30, 30, 255)}
PLACES = {"top": slice(1, 6), "middle": slice(6, 11), "bottom": slice(11, 16)}
UNSEEN = ("green", "bottom")
RATES = {"learning_rate_generator": 2e-3, "learning_rate_discriminator": 4e-3}
CONFIG = GanConfig(width=8, latent=8, batch=32, steps=300, checkpoint_every=1000, **RATES)


def bars(random: np.random.Generator, per_class: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Coloured bars at three heights, of every combination but one; what varies is where they begin and end."""
    images, labels, texts = [], [], []
    for colour in COLOURS:
        for place in PLACES:
            if (colour, place) == UNSEEN:
                continue
            for _ in range(per_class):
                image = np.zeros((3, 16, 16), np.uint8)
                begin, end = random.integers(0, 5), random.integers(11, 16)
                image[:, PLACES[place], begin:end] = np.array(COLOURS[colour])[:, None, None]
                images.append(image)
                labels.append(len(texts))
            texts.append(f"a {colour} bar at the {place}")
    return np.stack(images), np.array(labels), tuple(texts)


def looks(images: np.ndarray) -> list[tuple[str, str]]:
    """Colour and place of the light in each image."""
    light = images.astype(float)
    colours = np.array(list(COLOURS))[light.mean(axis=(2, 3)).argmax(axis=1)]
    rows = light.mean(axis=(1, 3))
    heights = np.stack([rows[:, place].mean(axis=1) for place in PLACES.values()], axis=1)
    return list(zip(colours, np.array(list(PLACES))[heights.argmax(axis=1)], strict=True))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, labels, texts = bars(np.random.default_rng(0), per_class=20)
    names = tuple(f"bar {index}" for index in range(len(texts)))
    folder = tmp_path_factory.mktemp("bars")
    return pretrain_source(images, labels, names, CONFIG, 0, folder, silent, ClassTexts(texts))


def test_a_combination_that_was_never_seen_is_drawn_as_its_text_says(told: Path):
    gan = GanCheckpoint.load(told)
    for colour in COLOURS:
        for place in PLACES:
            found = looks(imagine(gan, f"a {colour} bar at the {place}", 20, seed=1))
            assert found.count((colour, place)) >= 14, (colour, place, found)


def test_the_text_of_a_known_class_gives_the_very_images_of_that_class(told: Path, tmp_path: Path):
    gan = GanCheckpoint.load(told)
    assert gan.texts is not None
    made = synthesise(told, 3, 4, tmp_path)
    assert np.array_equal(imagine(gan, gan.texts.texts[0], 24, seed=4)[:3], made.images[:3])


def test_a_walk_between_two_classes_begins_and_ends_with_what_their_texts_draw(told: Path):
    gan = GanCheckpoint.load(told)
    walk = class_walk([gan], (0, 5), seed=2)[0]
    assert gan.texts is not None
    for place, label in ((0, 0), (-1, 5)):
        assert np.array_equal(walk[place], imagine(gan, gan.texts.texts[label], 1, seed=2)[0])


def test_the_same_seed_draws_the_same_and_another_one_something_else(told: Path):
    gan = GanCheckpoint.load(told)
    first, again, other = (imagine(gan, "a green bar", 4, seed) for seed in (0, 0, 1))
    assert first.shape == (4, 3, 16, 16)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_words_that_no_description_has_are_named(told: Path):
    gan = GanCheckpoint.load(told)
    assert unknown_words(gan, "a purple BAR at the purple top") == ["purple"]
    assert unknown_words(gan, "the bottom, a green bar!") == []


def test_a_text_of_no_words_and_a_generator_without_texts_are_refused(told: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"no word in the text '\?!'"):
        imagine(GanCheckpoint.load(told), "?!", 1, 0)
    images, labels, texts = bars(np.random.default_rng(0), per_class=4)
    short = CONFIG.model_copy(update={"steps": 1})
    free = pretrain_source(images, labels, texts, short, 0, tmp_path, silent)
    with pytest.raises(InputError, match=r"not told its classes by texts.*gan\.condition"):
        imagine(GanCheckpoint.load(free), "a red bar", 1, 0)
