from __future__ import annotations

import pytest
import torch

from gtl_core.training.diff_augment import diff_augment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_translation_shifts_by_at_most_an_eighth_and_moves_whole_pixels():
    images = torch.zeros(400, 1, 16, 16)
    images[:, :, 8, 8] = 1.0
    shifted = diff_augment(images, ["translation"], seeded())
    _, _, rows, columns = torch.nonzero(shifted, as_tuple=True)
    assert len(rows) == 400
    assert set((rows - 8).tolist()) == set((columns - 8).tolist()) == {-2, -1, 0, 1, 2}
    assert shifted.max() == 1.0


def test_translation_of_an_image_is_that_image_moved():
    image = torch.rand(1, 3, 16, 16, generator=seeded(1))
    moved = diff_augment(image, ["translation"], seeded(2))
    candidates = [
        torch.nn.functional.pad(image, (2, 2, 2, 2))[:, :, row : row + 16, column : column + 16]
        for row in range(5)
        for column in range(5)
    ]
    assert any(torch.equal(moved, candidate) for candidate in candidates)


def test_cutout_blanks_at_most_a_square_of_half_the_side_and_leaves_the_rest():
    images = torch.ones(300, 3, 16, 16)
    cut = diff_augment(images, ["cutout"], seeded())
    assert set(cut.unique().tolist()) == {0.0, 1.0}
    blank = (cut[:, 0] == 0).sum(dim=(1, 2))
    assert blank.max() == 64
    assert blank.min() >= 16
    assert torch.equal(cut[:, 0], cut[:, 2])


def test_colour_keeps_what_is_not_about_colour():
    images = torch.rand(8, 3, 16, 16, generator=seeded(1))
    changed = diff_augment(images, ["colour"], seeded())
    grey, grey_changed = images.mean(1).flatten(1), changed.mean(1).flatten(1)
    for before, after in zip(grey, grey_changed, strict=True):
        assert torch.corrcoef(torch.stack([before, after]))[0, 1] == pytest.approx(1.0, abs=1e-4)
    assert not torch.allclose(changed, images)


@pytest.mark.parametrize("policy", ["colour", "translation", "cutout"])
def test_gradients_pass_through_and_the_same_seed_gives_the_same_change(policy):
    images = torch.rand(4, 3, 16, 16, generator=seeded(1), requires_grad=True)
    first, again = (diff_augment(images, [policy], seeded(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, diff_augment(images, [policy], seeded(6)))
    first.sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_no_policy_changes_nothing():
    images = torch.rand(2, 1, 16, 16)
    assert diff_augment(images, [], seeded()) is images
