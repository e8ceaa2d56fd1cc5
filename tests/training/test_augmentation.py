"""Classical augmentation: repeatable, within range, and mild enough to leave the label."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gtl_core.training.augment import augment


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
