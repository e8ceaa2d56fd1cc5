"""What a generator is asked to give again, it finds the latent and the class of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gtl_core.networks.bank import BankGenerator
from gtl_core.networks.registry import Architecture, GanSpec, build_generator
from gtl_core.synthesis import inversion
from gtl_core.synthesis.inversion import TOTAL_STEPS, invert

LATENT, SIDE = 3, 8


class Linear(nn.Module):
    """A generator whose inverse is known: images are a fixed matrix times the latent, beside a picture of the class."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(classes, SIDE * SIDE)
        nn.init.normal_(self.table.weight, std=0.4)
        self.linear = nn.Linear(LATENT, SIDE * SIDE, bias=False)
        nn.init.normal_(self.linear.weight, std=0.3)

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (self.linear(latents) + self.table(labels)).view(-1, 1, SIDE, SIDE)


def drawn(generator: nn.Module, count: int, classes: int, latent: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(count) % classes
    latents = torch.randn((count, latent), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return generator(latents, labels), labels


def test_pixels_that_are_hidden_are_found_from_the_others_of_all_images_at_once_with_the_right_class():
    generator = Linear().eval()
    images, labels = drawn(generator, 12, 4, LATENT)
    known = torch.ones((12, 1, SIDE, SIDE))
    known[:, :, 2:6, 2:6] = 0.0
    hidden = known.expand_as(images) == 0.0
    found = invert(generator, LATENT, torch.where(hidden, 9.0, images), known, [range(4)] * 12)
    assert found.labels.tolist() == labels.tolist()
    spread = images[hidden].std()
    assert (found.images - images)[hidden].square().mean().sqrt() < 0.15 * spread
    assert found.after.mean() < 0.3 * found.before.mean()


def test_where_the_class_is_told_no_other_is_tried():
    generator = Linear().eval()
    images, labels = drawn(generator, 4, 4, LATENT)
    others = ((labels + 1) % 4).tolist()
    found = invert(generator, LATENT, images, torch.ones((4, 1, SIDE, SIDE)), [[label] for label in others])
    assert found.labels.tolist() == others


def test_the_same_seed_finds_the_same_and_leaves_the_generator_as_it_was():
    spec = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=3)
    generator = build_generator(spec, seed=0).eval()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    images, _ = drawn(generator, 2, 3, 8)
    steps: list[int] = []
    known = torch.ones((2, 1, 16, 16))
    first = invert(generator, 8, images, known, [range(3)] * 2, seed=7, on_step=steps.append)
    second = invert(generator, 8, images, known, [range(3)] * 2, seed=7)
    assert torch.equal(first.images, second.images)
    assert steps == sorted(steps)
    assert steps[-1] == TOTAL_STEPS
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("architecture", ["translator", "dagan"])
def test_a_generator_with_a_bank_goes_on_with_the_picture_that_it_began_with(
    architecture: Architecture, monkeypatch: pytest.MonkeyPatch
):
    for name, steps in (("DRAWN", 200), ("STARTS", 2), ("FIRST_STEPS", 20), ("STEPS", 20), ("TUNE_STEPS", 0)):
        monkeypatch.setattr(inversion, name, steps)
    generator = build_generator(GanSpec(architecture, 16, 1, 8, 3, classes=2, bank=10), 0).eval()
    assert isinstance(generator, BankGenerator)
    generator.bank.copy_(torch.randint(256, generator.bank.shape, generator=torch.Generator().manual_seed(0)))
    generator.counts.fill_(10)
    images, labels = drawn(generator, 4, 2, 3)
    found = invert(generator, 3, images, torch.ones((4, 1, 16, 16)), [range(2)] * 4)
    assert found.labels.tolist() == labels.tolist()
    assert found.after.max() < 0.01 * (images[0] - images[2]).square().mean()


def test_noise_is_not_learned_by_heart():
    generator = Linear().eval()
    images, _ = drawn(generator, 8, 4, LATENT)
    noise = 0.4
    noisy = images + noise * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    found = invert(generator, LATENT, noisy, torch.ones((8, 1, SIDE, SIDE)), [range(4)] * 8, noise=noise)
    left = (found.images - images).square().mean().sqrt()
    assert left < 0.5 * noise
    assert found.after.mean().sqrt() > 0.6 * noise


@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("dcgan", {"mapping": True}),
        ("dcgan", {"text": 12}),
        ("fully_connected", {}),
        ("vae", {}),
        ("translator", {"bank": 5}),
        ("dagan", {"bank": 5}),
    ],
)
def test_every_kind_of_generator_comes_nearer_to_an_image_than_by_chance(
    architecture: Architecture, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    for name, steps in (("DRAWN", 60), ("FIRST_STEPS", 5), ("STEPS", 5), ("TUNE_STEPS", 10)):
        monkeypatch.setattr(inversion, name, steps)
    spec = GanSpec(architecture, size=16, channels=1, width=8, latent=6, classes=3, **more)
    generator = build_generator(spec, 0).eval()
    images = torch.rand((2, 1, 16, 16), generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = invert(generator, 6, images, torch.ones((2, 1, 16, 16)), [range(3)] * 2)
    assert (found.after < found.before).all()
    assert found.images.shape == images.shape
