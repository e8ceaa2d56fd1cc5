from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from gtl_core.config import FinetuneConfig, GanConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.networks.registry import GanSpec
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.gan import train_gan, untrained
from gtl_core.training.health import trouble
from gtl_core.training.losses import LOSSES, AdversarialLoss, hinge_discriminator
from gtl_core.training.phases import Phase
from gtl_core.training.plan import Plan
from gtl_core.training.runtime import to_uint8
from gtl_core.training.vae_gan_trainer import VaeGanTrainer
from tests.transfer.weight_transfers import run

CLASSES = tuple("0123456789")
SPEC = GanSpec("vae", size=16, channels=1, width=16, latent=8, classes=10)
KINDS = ("vae", "vae_gan")


def settings(architecture):
    return GanConfig(
        architecture=architecture,
        width=16,
        latent=8,
        batch=64,
        learning_rate_generator=1e-3,
        learning_rate_discriminator=2e-3,
        checkpoint_every=1000,
    )


@pytest.fixture(scope="module")
def digits(tiny_digits):
    images = ImageSet.load(tiny_digits)
    return np.array(images.images), images.labels


@pytest.fixture(scope="module", params=KINDS)
def trained(request, digits, tmp_path_factory):
    return train_gan(
        untrained(replace(SPEC, architecture=request.param), CLASSES, 0),
        *digits,
        settings(request.param),
        steps=200,
        seed=1,
        folder=tmp_path_factory.mktemp(request.param),
        on_progress=silent,
        task="test",
        plan=Plan(),
    )


def read(path, images, labels):
    """Share of drawn images that a reader of real ones takes for the class asked for, and how far these spread."""
    asked = torch.arange(10).repeat_interleave(20)
    latents = torch.randn((200, 8), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        drawn = to_uint8(GanCheckpoint.load(path).averaged_generator()(latents, asked)).numpy()
    reader = KNeighborsClassifier(3).fit(images.reshape(len(images), -1), labels)
    spread = drawn.reshape(10, 20, -1).std(axis=1).mean() / np.mean(
        [images[labels == label].std(axis=0).mean() for label in range(10)]
    )
    return reader.score(drawn.reshape(200, -1), asked.numpy()), spread


def test_latents_of_the_prior_become_digits_that_a_reader_of_real_ones_takes_for_the_class_asked_for(trained, digits):
    right, spread = read(trained, *digits)
    assert right > 0.8
    assert spread > 0.35


def test_curves_name_the_parts_of_the_bound_and_reconstruction_gets_better(trained):
    rows = np.genfromtxt(trained.parent / "curves.csv", delimiter=",", names=True)
    game = ("loss_d", "loss_g") if trained.parent.name.startswith("vae_gan") else ()
    assert rows.dtype.names == ("step", *game, "loss_reconstruction", "loss_kl", "spread")
    assert rows["loss_reconstruction"][-1] < rows["loss_reconstruction"][0]
    assert (rows["loss_kl"] > 0.0).all()


def test_a_transfer_with_three_labelled_images_a_class_draws_the_target_s_look_and_still_the_class_asked_for(
    trained, digits, tmp_path
):
    images, labels = digits
    rows = np.concatenate([np.flatnonzero(labels == label)[:3] for label in range(10)])
    target = 255 - images
    architecture = GanCheckpoint.load(trained).spec.architecture
    done = run(
        FinetuneConfig(), trained, (target[rows], labels[rows]), tmp_path, steps=100, config=settings(architecture)
    )
    right, _ = read(done, target, labels)
    assert right > 0.4  # a tenth by chance


def test_a_negative_reconstruction_loss_is_no_sure_discriminator():
    rows = [(50 * place, -900.0, 20.0, 0.9) for place in range(1, 9)]
    assert trouble(rows, has_spread=True, is_game=False) is None
    assert trouble(rows, has_spread=True) is not None


class StillStatistics(Plan):
    """All learns, and batch norm uses stored statistics, so that no image changes what is drawn beside it."""

    def phases(self, generator, discriminator, steps):
        leaves = [module for module in generator.modules() if not list(module.children())]
        learning = tuple(module for module in leaves if not isinstance(module, torch.nn.BatchNorm2d))
        return (Phase(0, learning, (discriminator,)),)


def test_the_encoder_of_a_vae_gan_learns_from_the_bound_alone_and_the_generator_from_the_game_too(digits, monkeypatch):
    start = untrained(replace(SPEC, architecture="vae_gan"), CLASSES, 0)
    after = []
    for weight in (1.0, 1000.0):
        loss = AdversarialLoss(hinge_discriminator, lambda logits, weight=weight: -weight * logits.square().sum())
        monkeypatch.setitem(LOSSES, "hinge", loss)
        config, plan = settings("vae_gan"), StillStatistics()
        trainer = VaeGanTrainer(start, *digits, config, steps=5, seed=0, plan=plan, origin=start)
        trainer.advance()
        after.append(trainer.snapshot(()))
    light, heavy = after
    assert all(torch.equal(light.companions[name], heavy.companions[name]) for name in light.companions)
    assert not all(torch.equal(light.generator[name], heavy.generator[name]) for name in light.generator)
