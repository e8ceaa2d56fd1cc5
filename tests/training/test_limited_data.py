from __future__ import annotations

import numpy as np
import pytest
import torch

from gtl_core.config import GanConfig
from gtl_core.training.augmentation import IMAGES_TO_FULL, Augmentation
from gtl_core.training.losses import neighbours, sameness
from gtl_core.training.penalties import Diversity, Drawn, GradientPenalty, Judged, LeCam, penalties_of
from gtl_core.training.runtime import to_unit_range
from tests.torch_memory import most_memory


def random():
    return torch.Generator().manual_seed(0)


def judged(real, generated, images=None):
    empty = torch.empty(0)
    return Judged(empty if images is None else images, empty, real, generated, lambda images: images, random())


def test_adaptive_augmentation_rises_where_the_discriminator_is_sure_of_the_few_and_falls_back_where_it_is_not():
    augmentation = Augmentation(("translation",), adaptive=True, random=random())
    sure, unsure = torch.ones(64), torch.cat([torch.ones(40), -torch.ones(24)])
    for _ in range(100):
        augmentation.watch(sure)
    risen = augmentation.state()["augmentation/probability"].item()
    assert risen == pytest.approx(100 * 64 / IMAGES_TO_FULL, rel=1e-4)
    for _ in range(40):
        augmentation.watch(unsure)
    assert augmentation.state()["augmentation/probability"].item() == pytest.approx(60 * 64 / IMAGES_TO_FULL, rel=1e-4)


def test_the_probability_stays_between_never_and_always():
    augmentation = Augmentation(("cutout",), adaptive=True, random=random())
    augmentation.watch(-torch.ones(64))
    assert augmentation.state()["augmentation/probability"] == 0.0
    for _ in range(2 * IMAGES_TO_FULL // 64):
        augmentation.watch(torch.ones(64))
    assert augmentation.state()["augmentation/probability"] == 1.0


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_as_many_images_are_changed_as_the_probability_says(probability):
    augmentation = Augmentation(("cutout",), adaptive=True, random=random())
    augmentation.restore({"augmentation/probability": torch.tensor(probability)})
    images = torch.ones((2000, 1, 16, 16))
    changed = (augmentation(images) != images).flatten(1).any(dim=1).double().mean().item()
    assert changed == pytest.approx(probability, abs=0.04)


def test_without_adapting_every_image_is_changed_and_nothing_is_remembered():
    augmentation = Augmentation(("cutout",), adaptive=False, random=random())
    images = torch.ones((50, 1, 16, 16))
    assert (augmentation(images) != images).flatten(1).any(dim=1).all()
    assert augmentation.state() == {}


def test_lecam_follows_both_averages_with_decay_099_and_takes_them_up_again():
    penalty = LeCam(0.3, torch.device("cpu"))
    real, generated = torch.tensor([2.0, 4.0]), torch.tensor([-1.0])
    first = penalty.of_discriminator(judged(real, generated))
    # After one step the averages are 0.03 and −0.01.
    assert first == pytest.approx(0.3 * ((2.01**2 + 4.01**2) / 2 + 1.03**2), rel=1e-5)
    again = LeCam(0.3, torch.device("cpu"))
    again.restore({name: value.clone() for name, value in penalty.state().items()})
    second = penalty.of_discriminator(judged(real, generated))
    assert again.of_discriminator(judged(real, generated)) == second


def test_gradient_penalty_is_half_gamma_times_r1_plus_r2():
    images = torch.randn((4, 1, 2, 2), generator=random()).requires_grad_()
    slopes = torch.tensor([1.0, 1.0, 3.0, 3.0])  # |∇D|² is 4 for the real half and 36 for the generated one
    logits = (images.sum(dim=(1, 2, 3))) * slopes
    found = GradientPenalty(0.1).of_discriminator(judged(logits[:2], logits[2:], images))
    assert found.item() == pytest.approx(0.1 / 2 * (4.0 + 36.0))


def test_diversity_asks_for_the_distance_of_real_images_of_a_class():
    images = np.zeros((4, 1, 2, 2), dtype=np.uint8)
    images[[1, 3]] = 51  # 0.4 in [-1, 1]
    penalty = Diversity(2.0, images, np.array([0, 0, 1, 1]))

    def cost(apart):
        drawn = torch.zeros((2, 1, 2, 2))
        drawn[1] = apart
        return penalty.of_generator(Drawn(drawn, torch.tensor([1, 1]), drawn, drawn)).item()

    assert cost(0.0) == pytest.approx(2.0)
    assert cost(0.1) == pytest.approx(2.0 * 0.75)
    assert cost(0.4) == pytest.approx(0.0, abs=1e-6)
    assert cost(0.8) == 0.0


def test_diversity_with_one_image_a_class_takes_the_distance_of_any_two():
    images = np.array([0, 51], dtype=np.uint8).repeat(4).reshape(2, 1, 2, 2)
    drawn = torch.zeros((2, 1, 2, 2))
    drawn[1] = 0.2
    penalty = Diversity(1.0, images, np.array([0, 1]))
    assert penalty.of_generator(Drawn(drawn, torch.tensor([1, 1]), drawn, drawn)).item() == pytest.approx(0.5)


def test_the_distance_of_a_big_set_takes_memory_for_one_floating_point_copy_and_is_that_of_all_at_once():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6000, 1, 8, 8), dtype=np.uint8), rng.integers(0, 10, 6000)
    pixels = to_unit_range(torch.from_numpy(images))
    first, second = neighbours(torch.from_numpy(labels))
    with most_memory() as taken:
        penalty = Diversity(1.0, images, labels)
    drawn = torch.zeros((2, 1, 8, 8))
    drawn[1] = 0.1
    asked = torch.tensor([0, 0])
    expected = sameness(drawn, asked, float((pixels[first] - pixels[second]).abs().mean()))
    assert penalty.of_generator(Drawn(drawn, asked, drawn, drawn)) == expected
    assert taken() < 2 * pixels.nbytes


def test_settings_of_nothing_ask_for_nothing():
    images, labels = np.zeros((2, 1, 16, 16), dtype=np.uint8), np.array([0, 1])
    where = torch.device("cpu")
    assert penalties_of(GanConfig(), images, labels, where) == []
    everything = GanConfig(lecam=0.3, gradient_penalty=0.05, diversity=1.0)
    kinds = [type(penalty) for penalty in penalties_of(everything, images, labels, where)]
    assert kinds == [LeCam, GradientPenalty, Diversity]
