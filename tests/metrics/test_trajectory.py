"""A generator on its way: its milestones, what its images are worth, and the walk between classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gtl_core.config import ClassifierConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.metrics.trajectory import COLUMNS, class_walk, milestones, sample, usefulness
from gtl_core.networks.registry import GanSpec
from gtl_core.training.gan import untrained
from gtl_core.training.runtime import to_uint8

CLASSES = ("a", "b", "c")
SPECS = {
    "dcgan": GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=3),
    "fully_connected": GanSpec("fully_connected", size=16, channels=1, width=4, latent=8, classes=3),
    "translator": GanSpec("translator", size=16, channels=1, width=4, latent=8, classes=3, bank=6),
}


def checkpoint(architecture: str, seed: int = 0):
    found = untrained(SPECS[architecture], CLASSES, seed)
    if architecture == "translator":
        random = torch.Generator().manual_seed(seed)
        ema = dict(found.ema)
        ema["bank"] = torch.randint(0, 256, ema["bank"].shape, generator=random, dtype=torch.uint8)
        ema["counts"] = torch.full_like(ema["counts"], 6)
        found = replace(found, ema=ema)
    return found


@pytest.mark.parametrize("architecture", list(SPECS))
def test_a_walk_begins_and_ends_with_the_image_of_its_class_and_has_a_row_for_each_checkpoint(architecture) -> None:
    checkpoints = [checkpoint(architecture, seed) for seed in (0, 1)]
    walk = class_walk(checkpoints, (2, 0), seed=5)
    assert (walk.shape, walk.dtype) == ((2, COLUMNS, 1, 16, 16), np.uint8)
    latent = torch.randn((1, 8), generator=torch.Generator().manual_seed(5))
    for row, each in zip(walk, checkpoints, strict=True):
        generator = each.averaged_generator()
        with torch.inference_mode():
            first, last = (to_uint8(generator(latent, torch.tensor([label])))[0].numpy() for label in (2, 0))
        assert np.abs(row[0].astype(int) - first).max() <= 1
        assert np.abs(row[-1].astype(int) - last).max() <= 1
        middle, ends = row[COLUMNS // 2].astype(float), np.abs(first.astype(float) - last).mean()
        assert max(np.abs(middle - end).mean() for end in (first, last)) < ends


def test_samples_are_so_many_of_each_class_and_the_same_again() -> None:
    images, labels = sample(checkpoint("dcgan"), 4, seed=3)
    assert images.shape == (12, 1, 16, 16)
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    np.testing.assert_array_equal(images, sample(checkpoint("dcgan"), 4, seed=3)[0])


def test_milestones_come_in_order_with_the_source_images_of_the_finished_translator(tmp_path) -> None:
    last = replace(checkpoint("translator"), step=20)
    last.save(tmp_path / "gan.safetensors")
    weights = {name: tensor for name, tensor in checkpoint("translator", 1).ema.items() if tensor.is_floating_point()}
    for step in (0, 5, 10):
        replace(last, ema=weights, step=step).save(tmp_path / "milestones" / f"{step:06d}.safetensors")
    found = milestones(tmp_path / "gan.safetensors")
    assert [each.step for each in found] == [0, 5, 10, 20]
    assert torch.equal(found[0].ema["bank"], last.ema["bank"])
    assert not torch.equal(found[0].ema["translator.last.weight"], last.ema["translator.last.weight"])


def test_images_of_their_classes_are_worth_more_than_images_with_wrong_labels(tiny_digits) -> None:
    digits = ImageSet.load(tiny_digits)
    train, test = digits.indices("train"), digits.indices("test")
    config = ClassifierConfig()
    images, labels = np.array(digits.images[train]), digits.labels[train]
    real = usefulness(images, labels, np.array(digits.images[test]), digits.labels[test], config, 0)
    wrong = usefulness(images, (labels + 1) % 10, np.array(digits.images[test]), digits.labels[test], config, 0)
    assert real > 0.7
    assert wrong < 0.1
