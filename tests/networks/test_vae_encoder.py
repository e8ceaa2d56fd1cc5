from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gtl_core.networks.registry import (
    GanSpec,
    blocks,
    build_companions,
    build_discriminator,
    build_generator,
    class_embedding_parameters,
    generator_module,
    judges,
)

SMALL = GanSpec("vae", size=16, channels=1, width=4, latent=8, classes=3)


@pytest.mark.parametrize(("size", "channels"), [(16, 1), (20, 3), (28, 1), (64, 3)])
def test_the_encoder_gives_latents_of_which_the_decoder_makes_images_of_every_size(size, channels):
    spec = replace(SMALL, size=size, channels=channels)
    labels = torch.tensor([0, 1, 2, 2])
    means, log_variances = build_discriminator(spec, 0)(torch.rand(4, channels, size, size) * 2 - 1, labels)
    assert means.shape == log_variances.shape == (4, spec.latent)
    assert build_generator(spec, 0)(means, labels).shape == (4, channels, size, size)


def test_the_class_has_a_say_in_what_an_image_is_encoded_as():
    encoder, images = build_discriminator(SMALL, 0).eval(), torch.zeros(1, 1, 16, 16)
    first, second = (encoder(images, torch.tensor([label]))[0] for label in (0, 1))
    assert not torch.equal(first, second)


def test_nothing_of_an_encoder_but_its_embedding_grows_with_the_classes_and_texts_can_tell_them_too():
    few, many = (dict(build_discriminator(replace(SMALL, classes=count), 0).named_parameters()) for count in (3, 7))
    grown = {name for name in few if few[name].shape != many[name].shape}
    assert grown == set(class_embedding_parameters(build_discriminator(SMALL, 0)))
    told = build_discriminator(replace(SMALL, text=5), 0)
    assert told(torch.zeros(2, 1, 16, 16), torch.tensor([0, 2]))[0].shape == (2, 8)


def test_a_vae_has_an_encoder_in_place_of_the_discriminator_and_a_vae_gan_has_both():
    game = replace(SMALL, architecture="vae_gan")
    assert (judges(SMALL), judges(game)) == (False, True)
    assert build_companions(SMALL, 0) == {}
    encoder = build_companions(game, 0)["encoder"]
    assert encoder.state_dict().keys() == build_discriminator(SMALL, 0).state_dict().keys()
    assert build_discriminator(game, 0)(torch.zeros(2, 1, 16, 16), torch.tensor([0, 1])).shape == (2,)
    assert len(blocks(encoder)) == len(blocks(build_discriminator(game, 0)))


@pytest.mark.parametrize("architecture", ["vae", "vae_gan"])
def test_the_decoder_is_the_generator_of_a_dcgan(architecture):
    spec = replace(SMALL, architecture=architecture)
    plain = build_generator(replace(SMALL, architecture="dcgan"), 1).state_dict()
    decoder = build_generator(spec, 1).state_dict()
    assert generator_module(spec) == "dcgan"
    assert all(torch.equal(decoder[name], plain[name]) for name in plain)
