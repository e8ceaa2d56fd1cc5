"""The extractor: the pooled maps of a classifier, named by the hash of its weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.metrics import features
from gtl_core.metrics.features import Extractor, LabelledImages, train_extractor
from gtl_core.training.classifier import new_classifier

DIGITS = tuple("0123456789")


def classifier(seed: int = 0, size: int = 16, channels: int = 1):
    return new_classifier(size=size, channels=channels, width=8, classes=10, seed=seed)


@pytest.fixture(scope="module")
def digits(tiny_digits) -> LabelledImages:
    found = ImageSet.load(tiny_digits)
    rows = found.indices("train")
    return LabelledImages(np.array(found.images[rows]), found.labels[rows], DIGITS)


def test_features_are_the_means_of_the_last_maps_over_the_whole_image(digits) -> None:
    model = classifier().eval()
    extractor = Extractor(model, "nothing")
    images = digits.images[:700]
    with torch.inference_mode():
        maps = model.trunk[:-2](torch.from_numpy(images).float() / 127.5 - 1.0)
    found = extractor.features(images)
    assert (found.shape, found.dtype, extractor.width) == ((len(images), 32), np.float32, 32)
    np.testing.assert_allclose(found, maps.mean(dim=(2, 3)).numpy(), atol=1e-5)


def test_the_hash_names_the_weights_and_nothing_else() -> None:
    one, same, other = (Extractor(classifier(seed), "nothing") for seed in (0, 0, 1))
    assert one.sha256 == same.sha256 != other.sha256
    assert one.describe() == {
        "sha256": one.sha256,
        "features": 32,
        "size": 16,
        "channels": 1,
        "learned_from": "nothing",
    }


@pytest.mark.parametrize("shape", [(3, 1, 20, 20), (3, 3, 16, 16)])
def test_images_of_another_size_are_refused_in_one_line(shape) -> None:
    with pytest.raises(InputError, match="the extractor was trained for 1×16×16 images, and these are"):
        Extractor(classifier(), "nothing").features(np.zeros(shape, np.uint8))


def test_it_learns_from_source_and_held_out_target_and_is_the_source_classifier_where_there_is_none(
    digits, monkeypatch
) -> None:
    monkeypatch.setattr(features, "STEPS", 3)
    config, start = ClassifierConfig(width=8, batch=16), classifier()
    target = LabelledImages(255 - digits.images[:50], digits.labels[:50] % 2, ("odd", "7"))
    before = Extractor(start, "").sha256
    learned = train_extractor(start, digits, target, config, 0)
    assert learned.sha256 == train_extractor(start, digits, target, config, 0).sha256
    assert learned.sha256 != train_extractor(start, digits, target, config, 1).sha256
    assert learned.describe()["learned_from"] == "the source and 50 held-out images of the target"
    assert train_extractor(start, digits, None, config, 0).sha256 == before
    other_size = LabelledImages(np.zeros((4, 1, 20, 20), np.uint8), digits.labels[:4], DIGITS)
    with pytest.raises(InputError, match="the extractor was trained for"):
        train_extractor(start, other_size, target, config, 0)
