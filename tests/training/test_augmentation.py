"""Classical augmentation: repeatable, within range, and mild enough to leave the label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.training.augment import augment
from gtl_core.training.batches import Pool
from gtl_core.training.classifier import new_classifier, predict, train_classifier


def batch(channels: int, count: int = 32) -> torch.Tensor:
    return torch.rand(count, channels, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_augmented_images_repeat_with_their_seed_keep_their_range_and_leave_the_originals(channels: int):
    images = batch(channels)
    before = images.clone()
    first, again, other = (augment(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert first.shape == images.shape
    assert first.min() >= -1
    assert first.max() <= 1


def test_every_image_of_a_batch_is_warped_in_its_own_way():
    images = batch(1, 1).expand(8, -1, -1, -1)
    warped = augment(images, torch.Generator().manual_seed(0))
    assert all(not torch.equal(warped[0], warped[index]) for index in range(1, 8))


def test_a_warped_digit_is_still_nearer_to_itself_than_to_most_other_digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images[:100] / 8 - 1).float()[:, None]
    images = torch.nn.functional.interpolate(images, size=16, mode="bilinear")
    warped = augment(images, torch.Generator().manual_seed(0))
    distance = torch.cdist(warped.flatten(1), images.flatten(1)).numpy()
    rank = (distance < np.diag(distance)[:, None]).sum(axis=1)
    assert np.median(rank) <= 2


def test_colours_change_only_where_there_is_colour():
    plain = torch.full((4, 1, 16, 16), 0.5)
    assert torch.allclose(augment(plain, torch.Generator().manual_seed(0)), plain)
    coloured = torch.full((4, 3, 16, 16), 0.5)
    assert not torch.allclose(augment(coloured, torch.Generator().manual_seed(0)), coloured)


@pytest.mark.parametrize("channels", [1, 3])
def test_photometric_augmentation_changes_light_and_shape_alone_does_not(channels: int):
    flat = torch.full((64, channels, 16, 16), 0.2)
    light = augment(flat, torch.Generator().manual_seed(0), photometric=True).mean(dim=(1, 2, 3))
    assert light.std() > 0.05
    if channels == 1:
        assert torch.allclose(augment(flat, torch.Generator().manual_seed(0)), flat)


def test_photometric_augmentation_softens_the_edges_of_about_half_of_the_images():
    edge = torch.full((400, 1, 32, 32), -0.5)
    edge[..., 16:] = 0.5
    generator = torch.Generator().manual_seed(0)
    plain, photometric = (augment(edge, generator, photometric=choice) for choice in (False, True))
    sharp, soft = (
        (images[..., 1:] - images[..., :-1]).abs().amax(dim=(1, 2, 3))
        / (images.amax((1, 2, 3)) - images.amin((1, 2, 3)))
        for images in (plain, photometric)
    )
    softened = float((soft < sharp.quantile(0.01)).double().mean())
    assert 0.25 < softened < 0.65


def test_a_classifier_that_learned_in_varying_light_knows_fainter_and_blurred_digits_better(tiny_digits: Path):
    digits = ImageSet.load(tiny_digits)
    train, test = digits.indices("train"), digits.indices("test")
    fainter = (ndimage.gaussian_filter(digits.images[test].astype(float), (0, 0, 1, 1)) * 0.5 + 80).astype(np.uint8)
    learned = {
        photometric: train_classifier(
            new_classifier(size=16, channels=1, width=8, classes=10, seed=0),
            [Pool(np.array(digits.images[train]), digits.labels[train], 1.0)],
            ClassifierConfig(width=8, batch=32, photometric=photometric),
            steps=200,
            learning_rate=1e-2,
            augmented=True,
            seed=0,
        )
        for photometric in (False, True)
    }
    shape_alone, with_light = (
        float((predict(learned[choice], fainter).argmax(axis=1) == digits.labels[test]).mean())
        for choice in (False, True)
    )
    assert with_light > shape_alone + 0.05
