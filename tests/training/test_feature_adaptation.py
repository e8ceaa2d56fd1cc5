"""Adversarial feature adaptation: reversed gradients, one classifier for two domains, and an encoder of the target."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.training.batches import Pool
from gtl_core.training.classifier import (
    load_classifier,
    new_classifier,
    predict,
    save_classifier,
    train_classifier,
)
from gtl_core.training.feature_adaptation import DomainDiscriminator, Reversing, adapt_encoder, reverse_gradient
from gtl_core.training.runtime import to_unit_range

CONFIG = ClassifierConfig(width=8, batch=32)


@pytest.fixture(scope="module")
def digits(tiny_digits):
    images = ImageSet.load(tiny_digits)
    rows = images.indices("train")
    return np.array(images.images[rows]), images.labels[rows]


@pytest.fixture(scope="module")
def target(tiny_digits):
    """Other digits of the same writers, greyer: images to adapt to, and their labels to look what became of it."""
    images = ImageSet.load(tiny_digits)
    rows = images.indices("test")
    return (images.images[rows].astype(int) * 3 // 4 + 40).astype(np.uint8), images.labels[rows]


@pytest.fixture(scope="module")
def source(digits):
    start = new_classifier(size=16, channels=1, width=8, classes=10, seed=0)
    return train_classifier(start, [pool(digits)], CONFIG, steps=120, learning_rate=1e-2, augmented=True, seed=0)


def pool(images_and_labels, weight=1.0, from_source=True):
    return Pool(*images_and_labels, weight, from_source=from_source)


def with_reversal(source, digits, target, weight, steps=80, pools=None):
    return train_classifier(
        source,
        pools or [pool(digits)],
        CONFIG,
        steps=steps,
        learning_rate=2e-3,
        augmented=True,
        seed=1,
        reversing=Reversing(target[0], weight),
    )


def with_own_encoder(source, digits, target, pools=(), steps=60):
    return adapt_encoder(
        source, pools, digits[0], target[0], CONFIG, steps=steps, learning_rate=2e-3, augmented=True, seed=1
    )


def features(model, images):
    with torch.no_grad():
        return model.eval().trunk(to_unit_range(torch.from_numpy(images))).numpy()


def told_apart(of_source, of_target):
    """How well a fresh discriminator tells two domains apart by the five directions in which features vary most."""
    both = np.concatenate([of_source, of_target])
    domains = np.repeat([1, 0], [len(of_source), len(of_target)])
    reader = make_pipeline(PCA(5), LogisticRegression(class_weight="balanced"))
    return cross_val_score(reader, both / both.std(), domains, cv=3, scoring="balanced_accuracy").mean()


def accuracy(model, images_and_labels):
    images, labels = images_and_labels
    return float((predict(model, images).argmax(axis=1) == labels).mean())


def same(first, second):
    return all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_a_reversed_gradient_is_exactly_minus_lambda_times_the_gradient_and_nothing_changes_forwards(strength):
    features = torch.randn((6, 5), generator=torch.Generator().manual_seed(0), requires_grad=True)
    discriminator = DomainDiscriminator(5, seed=0)
    plain, reversed_ = discriminator(features), discriminator(reverse_gradient(features, strength))
    assert torch.equal(plain, reversed_)
    (gradient,) = torch.autograd.grad(plain.square().sum(), features, retain_graph=True)
    (turned,) = torch.autograd.grad(reversed_.square().sum(), features)
    assert torch.equal(turned, -strength * gradient)


def test_the_discriminator_itself_learns_by_the_gradient_as_it_is():
    features = torch.randn((6, 5), generator=torch.Generator().manual_seed(0))
    discriminator = DomainDiscriminator(5, seed=0)
    parameters = list(discriminator.parameters())
    plain = torch.autograd.grad(discriminator(features).sum(), parameters)
    behind = torch.autograd.grad(discriminator(reverse_gradient(features, 0.7)).sum(), parameters)
    assert all(torch.equal(one, other) for one, other in zip(plain, behind, strict=True))


def test_with_a_lambda_of_nothing_dann_is_the_plain_training_bit_for_bit(source, digits, target):
    plain = train_classifier(
        source, [pool(digits)], CONFIG, steps=10, learning_rate=2e-3, augmented=True, seed=1, reversing=None
    )
    assert same(plain, with_reversal(source, digits, target, 0.0, steps=10))
    assert not same(plain, with_reversal(source, digits, target, 1.0, steps=10))


def test_a_discriminator_tells_source_and_target_apart_less_well_by_features_that_are_adapted(source, digits, target):
    plain, shared = (with_reversal(source, digits, target, weight) for weight in (0.0, 0.3))
    own = with_own_encoder(source, digits, target)
    before = told_apart(features(plain, digits[0]), features(plain, target[0]))
    assert told_apart(features(shared, digits[0]), features(shared, target[0])) < before - 0.05
    assert told_apart(features(source, digits[0]), features(own, target[0])) < before - 0.1
    assert accuracy(shared, target) > accuracy(plain, target) + 0.1
    assert accuracy(own, target) > accuracy(source, target) + 0.1


def test_the_target_s_encoder_goes_under_the_source_s_head_and_leaves_the_source_as_it_was(source, digits, target):
    before = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    adapted = with_own_encoder(source, digits, target, steps=5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in source.state_dict().items())
    assert torch.equal(adapted.head.weight, source.head.weight)
    assert torch.equal(adapted.head.bias, source.head.bias)
    assert not torch.equal(next(adapted.trunk.parameters()), next(source.trunk.parameters()))


def test_labelled_target_images_teach_the_target_s_encoder_and_the_head_too(source, digits, target):
    few = np.concatenate([np.flatnonzero(target[1] == label)[:3] for label in range(10)])
    labelled = (target[0][few], target[1][few])
    taught = with_own_encoder(source, digits, target, [pool(labelled, from_source=False)])
    assert not torch.equal(taught.head.weight, source.head.weight)
    assert accuracy(taught, target) > accuracy(source, target)


def test_target_images_with_labels_stand_on_neither_side_of_dann_and_teach_their_classes(source, digits, target):
    few = np.concatenate([np.flatnonzero(target[1] == label)[:3] for label in range(10)])
    pools = [pool((target[0][few], target[1][few]), from_source=False), pool(digits)]
    assert accuracy(with_reversal(source, digits, target, 0.3, pools=pools), target) > accuracy(source, target)


@pytest.mark.parametrize("adapt", [with_own_encoder, lambda *given, **more: with_reversal(*given, 1.0, **more)])
def test_the_same_seed_gives_the_same_weights_and_global_randomness_is_left_alone(source, digits, target, adapt):
    state = torch.get_rng_state()
    assert same(adapt(source, digits, target, steps=4), adapt(source, digits, target, steps=4))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_classifier_with_an_adapted_encoder_is_saved_and_read_like_any_other(source, digits, target, tmp_path):
    adapted = with_own_encoder(source, digits, target, steps=3)
    save_classifier(tmp_path / "classifier.safetensors", adapted, tuple("0123456789"))
    read, classes = load_classifier(tmp_path / "classifier.safetensors")
    assert classes == tuple("0123456789")
    np.testing.assert_array_equal(predict(read, target[0]), predict(adapted, target[0]))
