from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import gtl_core.networks
from gtl_core.networks.dcgan import SpectralNorm
from gtl_core.networks.registry import (
    GanSpec,
    blocks,
    build_discriminator,
    build_generator,
    class_embedding_parameters,
    class_embeddings,
    features_of,
    logits_of,
)

SMALL = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=3)


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
@pytest.mark.parametrize(("size", "channels"), [(16, 1), (20, 3), (28, 1), (32, 3), (36, 1), (64, 3)])
def test_generator_and_discriminator_fit_every_size_and_each_other(architecture, size, channels):
    spec = replace(SMALL, architecture=architecture, size=size, channels=channels)
    labels = torch.tensor([0, 1, 2, 2])
    images = build_generator(spec, 0)(torch.randn(4, spec.latent), labels)
    assert images.shape == (4, channels, size, size)
    assert images.abs().max() <= 1
    assert images.std() > 0.01
    assert build_discriminator(spec, 0)(images, labels).shape == (4,)


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_the_class_changes_what_is_drawn_and_how_it_is_judged(architecture):
    spec = replace(SMALL, architecture=architecture)
    generator, discriminator = build_generator(spec, 0).eval(), build_discriminator(spec, 0).eval()
    latent = torch.randn(1, spec.latent)
    first, second = (generator(latent, torch.tensor([label])) for label in (0, 1))
    assert not torch.equal(first, second)
    assert discriminator(first, torch.tensor([0])) != discriminator(first, torch.tensor([1]))


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_the_same_seed_builds_the_same_weights_and_leaves_global_randomness_alone(architecture):
    spec = replace(SMALL, architecture=architecture)
    before = torch.get_rng_state()
    for build in (build_generator, build_discriminator):
        first, again, other = build(spec, 1).state_dict(), build(spec, 1).state_dict(), build(spec, 2).state_dict()
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_every_class_embedding_has_a_row_a_class_and_nothing_else_grows_with_classes(architecture):
    few, many = replace(SMALL, architecture=architecture), replace(SMALL, architecture=architecture, classes=7)
    for build in (build_generator, build_discriminator):
        smaller, bigger = dict(build(few, 0).named_parameters()), dict(build(many, 0).named_parameters())
        grown = {name for name in smaller if smaller[name].shape != bigger[name].shape}
        assert grown == set(class_embedding_parameters(build(few, 0)))
        assert all(smaller[name].shape[0] == 3 and bigger[name].shape[0] == 7 for name in grown)
        assert len(class_embeddings(build(few, 0))) == len(grown)


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_blocks_hold_the_whole_generator(architecture):
    generator = build_generator(replace(SMALL, architecture=architecture), 0)
    inside = {id(parameter) for block in blocks(generator) for parameter in block.parameters()}
    assert inside == {id(parameter) for parameter in generator.parameters()}


def test_spectral_norm_divides_by_the_largest_singular_value():
    torch.manual_seed(3)
    weight = torch.randn(12, 5, 4, 4)
    norm = SpectralNorm(weight)
    for _ in range(200):
        norm(weight)
    assert torch.linalg.matrix_norm(norm(weight).flatten(1), ord=2).item() == pytest.approx(1.0, abs=1e-4)


def test_spectral_norm_has_the_gradient_of_the_normalised_weight():
    torch.manual_seed(4)
    weight = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    norm = SpectralNorm(weight.float()).double()
    for _ in range(2000):
        norm(weight.detach())

    def exact(given):
        return given / torch.linalg.matrix_norm(given, ord=2)

    probe = torch.randn(4, 6, dtype=torch.float64)
    (ours,) = torch.autograd.grad((norm(weight) * probe).sum(), weight)
    (true,) = torch.autograd.grad((exact(weight) * probe).sum(), weight)
    assert torch.allclose(ours, true, atol=1e-6)


def test_spectral_norm_rests_in_evaluation_mode():
    norm = SpectralNorm(torch.randn(6, 6)).eval()
    before = norm.direction.clone()
    norm(torch.randn(6, 6))
    assert torch.equal(norm.direction, before)
    norm.train()(torch.randn(6, 6))
    assert not torch.equal(norm.direction, before)


@pytest.mark.parametrize("name", ["conditions", "mapping", "dcgan", "fully_connected"])
def test_network_files_import_nothing_but_torch_the_standard_library_and_each_other(name):
    source = (Path(gtl_core.networks.__file__).parent / f"{name}.py").read_text()
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            imported |= set() if module.startswith("gtl_core.networks.") else {module.split(".")[0]}
    assert imported - set(sys.stdlib_module_names) == {"torch"}


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_without_labels_the_discriminator_judges_by_the_linear_part_of_its_head_alone(architecture):
    discriminator = build_discriminator(replace(SMALL, architecture=architecture), 0).eval()
    images = torch.randn((5, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    features = features_of(discriminator, images)
    assert torch.equal(
        logits_of(discriminator, features, torch.arange(5) % 3), discriminator(images, torch.arange(5) % 3)
    )
    unconditional = logits_of(discriminator, features, None)
    with torch.no_grad():
        discriminator.head.embedding.weight.zero_()
        if architecture == "dcgan":  # whose embedding is normalised as well
            discriminator.head.spectral_embedding = torch.nn.Identity()
    assert torch.allclose(discriminator(images, torch.zeros(5, dtype=torch.int64)), unconditional, atol=1e-6)


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_a_mapping_begins_as_the_identity_and_then_moves_the_latents(architecture):
    generator = build_generator(replace(SMALL, architecture=architecture, mapping=True), 0).eval()
    latents, labels = torch.randn((4, 8), generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 2])
    assert torch.equal(generator.mapping(latents), latents)
    before = generator(latents, labels)
    with torch.no_grad():
        generator.mapping.outer.weight.normal_(generator=torch.Generator().manual_seed(1))
    assert not torch.allclose(generator(latents, labels), before, atol=1e-3)


def test_a_generator_without_a_mapping_has_the_weights_that_it_had_before_there_were_mappings():
    assert not GanSpec("dcgan", 16, 1, 4, 8, 3).mapping
    assert not [name for name in build_generator(SMALL, 0).state_dict() if name.startswith("mapping")]
