"""Holes are filled and noise is taken away; what was known stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gtl_core.networks.registry import GanSpec
from gtl_core.synthesis import restoration
from gtl_core.synthesis.restoration import estimate_noise, fill_holes, remove_noise
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.runtime import to_uint8
from tests.vivid_gan import vivid_gan

SPEC = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=3)
ALL = range(3)


@pytest.fixture(scope="module")
def gan() -> GanCheckpoint:
    return vivid_gan(SPEC, ("a", "b", "c"))


def pictures(gan: GanCheckpoint, count: int) -> np.ndarray:
    latents = torch.randn((count, SPEC.latent), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        drawn = gan.averaged_generator()(latents, torch.arange(count) % 3)
    return to_uint8(drawn).contiguous().numpy()


def rms(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sqrt(np.mean((first.astype(float) - second.astype(float)) ** 2)))


def test_a_hole_is_filled_with_what_belongs_there_and_all_else_stays_to_the_last_bit(gan: GanCheckpoint):
    images = pictures(gan, 3)
    missing = np.zeros((3, 16, 16), bool)
    missing[:, 5:11, 5:11] = True
    holed = np.where(missing[:, None], np.uint8(255), images)
    restored = fill_holes(gan, holed, missing, [ALL] * 3)
    assert np.array_equal(restored.images[~missing[:, None]], images[~missing[:, None]])
    mean = np.array([image[0][~hole].mean() for image, hole in zip(images, missing, strict=True)])
    by_mean = np.where(missing[:, None], mean[:, None, None, None], images)
    assert rms(restored.images, images) < 0.4 * rms(by_mean, images)
    assert restored.noise == 0.0


def test_noise_of_a_known_strength_is_taken_away(gan: GanCheckpoint):
    images = pictures(gan, 4)
    rng = np.random.default_rng(0)
    noisy = np.clip(images + rng.normal(0, 0.1 * 255, images.shape), 0, 255).round().astype(np.uint8)
    restored = remove_noise(gan, noisy, 0.1, [ALL] * 4)
    assert restored.noise == 0.1
    assert rms(restored.images, images) < 0.5 * rms(noisy, images)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_the_estimate_of_noise_is_that_of_the_noise_that_was_added(sigma: float):
    down, right = np.mgrid[:64, :64]
    plane = 60 + down + right
    noisy = plane + np.random.default_rng(0).normal(0, sigma * 255, (5, 1, 64, 64))
    assert estimate_noise(noisy.round().clip(0, 255).astype(np.uint8)) == pytest.approx(sigma, rel=0.06)


def test_more_pictures_than_one_optimisation_takes_go_through_one_after_the_other(
    gan: GanCheckpoint, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(restoration, "BATCH", 2)
    images = pictures(gan, 3)
    missing = np.zeros((3, 16, 16), bool)
    missing[:, 6:9, 6:9] = True
    told = []
    restored = fill_holes(gan, images, missing, [ALL] * 3, on_progress=told.append)
    assert restored.images.shape == images.shape
    assert told[-1].step == told[-1].total == 2 * restoration.TOTAL_STEPS
    alone = fill_holes(gan, images[2:], missing[2:], [ALL])
    assert np.array_equal(restored.images[2:], alone.images)
