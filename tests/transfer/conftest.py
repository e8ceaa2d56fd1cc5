"""A source GAN, its classifier and a few target images that the tests of this room start from."""

from __future__ import annotations

import numpy as np
import pytest

from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.progress import silent
from gtl_core.training.classifier import train_source_classifier
from gtl_core.transfer.pretrain import pretrain_source
from tests.transfer.weight_transfers import CLASSES, CONFIG


@pytest.fixture(scope="session")
def digits(tiny_digits):
    images = ImageSet.load(tiny_digits)
    return np.array(images.images), images.labels


@pytest.fixture(scope="session")
def few(digits):
    images, labels = digits
    rows = np.concatenate([np.flatnonzero(labels == label)[:3] for label in range(10)])
    return 255 - images[rows], labels[rows]


@pytest.fixture(scope="session")
def source(tmp_path_factory, digits):
    return pretrain_source(*digits, CLASSES, CONFIG, 0, tmp_path_factory.mktemp("source"), silent)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory, digits):
    config = ClassifierConfig(width=8, batch=32, source_steps=60)
    return train_source_classifier(*digits, CLASSES, config, 0, tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="session")
def pool(digits):
    return 255 - digits[0][:120]
