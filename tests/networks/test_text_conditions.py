"""Networks that are told a class by the embedding of its description."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from gtl_core.networks.conditions import TextRows
from gtl_core.networks.registry import (
    GanSpec,
    build_discriminator,
    build_generator,
    class_embedding_parameters,
    class_embeddings,
)

SPEC = GanSpec("dcgan", size=16, channels=1, width=4, latent=8, classes=3, text=12)
BUILDERS = (build_generator, build_discriminator)


def told(network: nn.Module, rows: torch.Tensor) -> nn.Module:
    network.load_state_dict(network.state_dict() | dict.fromkeys(class_embedding_parameters(network), rows))
    return network.eval()


def with_rows_that_differ(network: nn.Module) -> nn.Module:
    """New gains and offsets are the same for all texts; a training makes them differ."""
    with torch.no_grad():
        for table in class_embeddings(network):
            table.weight.normal_(std=0.5, generator=torch.Generator().manual_seed(1))
    return network


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
@pytest.mark.parametrize("build", BUILDERS)
def test_only_the_fixed_texts_grow_with_the_classes_and_no_parameter_does(architecture, build):
    few, many = (build(replace(SPEC, architecture=architecture, classes=count), 0) for count in (3, 7))
    assert [parameter.shape for parameter in few.parameters()] == [parameter.shape for parameter in many.parameters()]
    grown = {name for name, value in few.state_dict().items() if value.shape != many.state_dict()[name].shape}
    assert grown == set(class_embedding_parameters(few))
    assert not grown & {name for name, _ in few.named_parameters()}
    assert not [module for module in few.modules() if isinstance(module, nn.Embedding)]


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_a_class_is_what_its_text_is_whatever_its_label(architecture):
    rows = nn.functional.normalize(torch.randn((3, 12), generator=torch.Generator().manual_seed(0)), dim=1)
    latent = torch.randn((1, 8), generator=torch.Generator().manual_seed(2))
    for order in ([2, 0, 1], [0, 0, 2]):
        spec = replace(SPEC, architecture=architecture)
        generator, other = (told(with_rows_that_differ(build_generator(spec, 0)), each) for each in (rows, rows[order]))
        drawn = [generator(latent, torch.tensor([label])) for label in range(3)]
        assert not torch.allclose(drawn[0], drawn[1], atol=1e-3)
        for label, same in enumerate(order):
            assert torch.equal(other(latent, torch.tensor([label])), drawn[same])


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_the_discriminator_judges_the_same_image_differently_for_another_text(architecture):
    rows = nn.functional.normalize(torch.randn((3, 12), generator=torch.Generator().manual_seed(0)), dim=1)
    judge = told(build_discriminator(replace(SPEC, architecture=architecture), 0), rows)
    image = torch.randn((1, 1, 16, 16), generator=torch.Generator().manual_seed(2))
    assert judge(image, torch.tensor([0])) != judge(image, torch.tensor([1]))


def test_what_words_do_adds_up_so_that_a_new_text_is_put_together_from_known_ones():
    table = TextRows(text=4, features=6, mean=1.0)
    nn.init.normal_(table.weight)
    red_four, red_seven, green_four, green_seven = torch.tensor(
        [[1.0, 0, 1, 0], [1.0, 0, 0, 1], [0.0, 1, 1, 0], [0.0, 1, 0, 1]]
    )
    put_together = table(red_seven) + table(green_four) - table(red_four)
    assert torch.allclose(table(green_seven), put_together, atol=1e-6)


def test_without_texts_a_network_has_the_weights_that_it_had_before_there_were_texts():
    assert not GanSpec("dcgan", 16, 1, 4, 8, 3).text
    for build in BUILDERS:
        names = build(replace(SPEC, text=0), 0).state_dict()
        assert not [name for name in names if "condition" in name]
