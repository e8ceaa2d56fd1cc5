"""Transfer of a classifier: frozen parts stay as they are to the last bit, and stages learn at their rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.networks.classifier import Classifier
from gtl_core.training.batches import Pool
from gtl_core.training.cached_features import VIEWS, cached_features, train_head
from gtl_core.training.classifier import carry_over, new_classifier, predict, train_classifier
from gtl_core.training.parts import learning_parts

CONFIG = ClassifierConfig(width=8, batch=32)
BACKBONES = ("cnn", "resnet")


@pytest.fixture(scope="module")
def digits(tiny_digits: Path) -> ImageSet:
    return ImageSet.load(tiny_digits)


def pool(digits: ImageSet, split: str) -> Pool:
    rows = digits.indices(split)
    return Pool(np.array(digits.images[rows]), digits.labels[rows], 1.0)


@pytest.fixture(scope="module", params=BACKBONES)
def source(request: pytest.FixtureRequest, digits: ImageSet) -> Classifier:
    """A classifier that has learned something, so that its statistics and weights are no initial ones."""
    start = new_classifier(size=16, channels=1, width=8, classes=10, seed=0, backbone=request.param)
    settings = {"steps": 60, "learning_rate": 1e-2, "augmented": True, "seed": 0}
    return train_classifier(start, [pool(digits, "train")], CONFIG, **settings).cpu()


def changed(before: torch.nn.Module, after: torch.nn.Module) -> list[str]:
    """Names of the tensors that differ, statistics of BatchNorm included."""
    old, new = before.state_dict(), after.state_dict()
    return [name for name in old if not torch.equal(old[name].cpu(), new[name].cpu())]


def test_only_the_last_stage_and_the_head_change_where_only_these_learn(source, digits):
    settings = {"steps": 5, "learning_rate": 1e-2, "augmented": True, "seed": 0, "learns": "last_stage"}
    model = train_classifier(source, [pool(digits, "train")], CONFIG, **settings)
    for before, after in zip(source.stages[:-1], model.stages[:-1], strict=True):
        assert not changed(before, after)
    last = changed(source.stages[-1], model.stages[-1])
    assert {name.rpartition(".")[2] for name in last} >= {"weight", "bias", "running_mean", "running_var"}
    assert changed(source.head, model.head)
    assert all(parameter.requires_grad for parameter in model.parameters())  # it can go on with all of them


def test_a_frozen_backbone_keeps_every_bit_and_its_new_head_reads_digits(source, digits):
    start = carry_over(source, (), digits.classes, seed=1)
    features = cached_features(start, [pool(digits, "train")], CONFIG, steps=100, augmented=True, seed=0)
    first, again = (train_head(start, features, CONFIG, steps=100, learning_rate=1e-2, seed=0) for _ in range(2))
    assert not changed(start.trunk, first.trunk)
    assert changed(start.head, first.head)
    assert not changed(first, again)
    test = pool(digits, "test")
    assert (predict(first, test.images).argmax(axis=1) == test.labels).mean() > 0.6


def test_cached_features_are_the_trunk_s_own_and_their_labels_go_with_them(source, digits):
    few = Pool(pool(digits, "test").images[:40], pool(digits, "test").labels[:40], 2.0, columns=(0, 1))
    (plain,) = cached_features(source, [few], CONFIG, steps=100, augmented=False, seed=0)
    with torch.no_grad():
        expected = source.trunk(torch.from_numpy(few.images).float() / 127.5 - 1.0)
    np.testing.assert_allclose(plain.images, expected, atol=1e-4)
    (views,) = cached_features(source, [few], CONFIG, steps=100, augmented=True, seed=0)
    assert views.images.shape == (VIEWS * 40, source.head.in_features)
    np.testing.assert_array_equal(views.labels.reshape(VIEWS, 40), np.tile(few.labels, (VIEWS, 1)))
    assert (views.weight, views.columns) == (2.0, (0, 1))
    assert len(np.unique(views.images[::40], axis=0)) == VIEWS


def test_no_more_views_are_computed_than_the_training_would_see(source, digits):
    train = pool(digits, "train")
    (few_steps,) = cached_features(source, [train], CONFIG, steps=25, augmented=True, seed=0)
    assert len(few_steps.images) == 25 * CONFIG.batch == 2 * len(train.images)


def test_each_stage_learns_slower_than_the_next_one_towards_the_head_by_one_factor(source):
    groups = learning_parts(source, "all", rate_decay=2.6, learning_rate=1.0)
    assert [group["lr"] for group in groups] == pytest.approx([2.6**-depth for depth in range(len(source.stages) + 1)])
    assert [set(map(id, group["params"])) for group in groups] == [
        set(map(id, part.parameters())) for part in (source.head, *reversed(source.stages))
    ]


def test_a_rate_that_is_almost_nothing_for_the_stages_leaves_the_learning_to_the_head(source, digits):
    moved = []
    for decay in (1.0, 1e4):
        settings = {"steps": 5, "learning_rate": 1e-2, "augmented": False, "seed": 0, "rate_decay": decay}
        model = train_classifier(source, [pool(digits, "train")], CONFIG, **settings).cpu()
        pairs = zip(model.parameters(), source.parameters(), strict=True)
        distances = [(new - old).abs().max().item() for new, old in pairs]
        moved.append((max(distances[:-2]), max(distances[-2:])))
    (stages, head), (slow_stages, slow_head) = moved
    assert slow_stages < stages / 1e3
    assert slow_head > head / 3
