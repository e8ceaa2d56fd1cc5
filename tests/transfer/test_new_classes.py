"""Classes that the source does not have: they begin at the nearest class that it has, or as mixtures of its classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gtl_core.config import ClassMixingConfig, FinetuneConfig, TransferConfig
from gtl_core.errors import InputError
from gtl_core.networks.registry import GanSpec, class_embedding_parameters
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.class_mixing import Mixture
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.nearest_classes import check_start, nearest_source_classes
from gtl_core.transfer.strategies import transfer
from gtl_core.transfer.weights import check_weight_strategy
from tests.transfer.weight_transfers import CLASSES, CONFIG, moved, run

NEW = tuple("abcdefghij")
"""Names that the source does not know."""


@pytest.fixture
def renamed(digits, source):
    """Twenty images of every class of the source, under other names and in another order of classes."""
    images, labels = digits
    rows = np.concatenate([np.flatnonzero(labels == label)[-20:] for label in range(10)])
    return TransferInputs(
        images=images[rows],
        labels=9 - labels[rows],
        classes=NEW,
        unlabelled=images[:0],
        source_images=images,
        source_labels=labels,
        source_classes=CLASSES,
        source_gan=source,
        source_classifier=None,
        seed=5,
    )


def test_the_nearest_source_class_of_a_class_under_another_name_is_that_class(source, renamed):
    nearest = nearest_source_classes(GanCheckpoint.load(source), renamed)
    assert np.mean(np.array(nearest) == np.arange(10)[::-1]) >= 0.8


def test_two_classes_that_look_alike_begin_at_two_source_classes_while_there_are_enough(source, renamed):
    alike = replace(renamed, labels=renamed.labels % 2, classes=("even", "odd"))
    alike = replace(alike, images=np.repeat(renamed.images[:1], len(renamed.images), axis=0))
    assert len(set(nearest_source_classes(GanCheckpoint.load(source), alike))) == 2


def test_more_classes_than_the_source_has_share_its_classes_evenly(source, renamed):
    names = tuple(f"class {index}" for index in range(20))
    finer = replace(renamed, labels=renamed.labels + 10 * (np.arange(len(renamed.labels)) % 2), classes=names)
    shared = nearest_source_classes(GanCheckpoint.load(source), finer)
    assert sorted(shared) == sorted([*range(10), *range(10)])


def test_a_class_begins_with_the_embeddings_of_its_nearest_class_unless_the_source_knows_its_name(source):
    before = GanCheckpoint.load(source)
    carried = carried_over(before, ("a", "7", "b"), 0, nearest=(4, 1, 4))
    for old, new, network in (
        (before.ema, carried.generator, before.averaged_generator()),
        (before.discriminator, carried.discriminator, None),
    ):
        names = class_embedding_parameters(network) if network else ["head.embedding.weight"]
        assert names
        assert all(torch.equal(new[name], old[name][[4, 7, 4]]) for name in names)


def test_a_strategy_begins_at_the_nearest_class_where_the_experiment_says_so(tmp_path, source, renamed):
    nearest = nearest_source_classes(GanCheckpoint.load(source), renamed)

    def first_rows(strategy, folder, **settings):
        config = TransferConfig(strategies=(strategy,), steps=1, augmentation=(), **settings)
        transfer(strategy, renamed, CONFIG, config, tmp_path / folder, silent)
        (milestone,) = (tmp_path / folder / "milestones").glob("000000.safetensors")
        return GanCheckpoint.load(milestone).ema["blocks.0.embedding.weight"]

    copied = GanCheckpoint.load(source).ema["blocks.0.embedding.weight"][list(nearest)]
    assert torch.equal(first_rows(FinetuneConfig(start="nearest"), "own"), copied)
    assert torch.equal(first_rows(FinetuneConfig(), "all", start="nearest"), copied)
    assert not torch.equal(first_rows(FinetuneConfig(start="random"), "otherwise", start="nearest"), copied)


@pytest.mark.parametrize(
    ("difference", "message"), [({"architecture": "vae"}, "a vae has none"), ({"text": 8}, "text")]
)
def test_a_nearest_class_that_nothing_can_tell_is_refused_before_any_training(difference, message):
    spec = replace(GanSpec("dcgan", 16, 1, 4, 8, 10), **difference)
    check_start("finetune", "random", spec)
    with pytest.raises(InputError, match=message):
        check_start("finetune", "nearest", spec)


def test_a_mixture_begins_near_the_class_that_it_was_given_and_else_even():
    source = torch.randn((5, 6), generator=torch.Generator().manual_seed(0))
    given = torch.stack([source[3], source[3] + 1.0])
    mixture = Mixture(given, source)
    near, even = mixture(mixture.right_inverse(given)).detach()
    e = np.exp(3.0)
    assert torch.allclose(near, (source.sum(dim=0) + (e - 1.0) * source[3]) / (e + 4.0), atol=1e-6)
    assert torch.allclose(even, source.mean(dim=0), atol=1e-6)


def test_while_mixtures_learn_alone_every_layer_of_the_generator_stays_bit_for_bit(tmp_path, source, few):
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    done = GanCheckpoint.load(run(ClassMixingConfig(mixing_share=1.0), source, few, tmp_path))
    layers = {name for name in start.generator if ".convolution." in name or ".linear." in name}
    for before, after in ((start.generator, done.generator), (start.ema, done.ema)):
        assert before.keys() == after.keys()
        assert not moved(before, after) & layers
        assert moved(before, after) >= set(class_embedding_parameters(done.averaged_generator()))
    together = GanCheckpoint.load(run(ClassMixingConfig(mixing_share=0.5), source, few, tmp_path / "together"))
    assert moved(start.generator, together.generator) >= layers


def outside(rows, source):
    """How far rows (K, F) lie from whatever sums up from source rows (K', F) with shares that sum to 1."""
    middle = source.mean(dim=0)
    basis = torch.linalg.svd(source - middle, full_matrices=False)[2][: len(source) - 1]
    rest = rows - middle
    return (rest - rest @ basis.T @ basis).norm().item()


def test_the_heavier_the_residual_weighs_the_nearer_the_classes_stay_to_mixtures_of_the_source_s(tmp_path, source, few):
    chosen, name = few[1] < 3, "blocks.1.norm.gain.weight"
    three = few[0][chosen], few[1][chosen]
    before = GanCheckpoint.load(source).ema[name]
    free, kept = (
        GanCheckpoint.load(
            run(
                ClassMixingConfig(mixing_share=1.0, residual=weight),
                source,
                three,
                tmp_path / str(weight),
                steps=40,
                classes=("x", "y", "z"),
            )
        ).ema[name]
        for weight in (1e-6, 10.0)
    )
    assert outside(before, before) == pytest.approx(0.0, abs=1e-5)
    assert outside(kept, before) < 0.5 * outside(free, before)


def test_class_mixing_refuses_classes_that_are_told_by_texts():
    spec = GanSpec("dcgan", 16, 1, 4, 8, 10, text=8)
    with pytest.raises(InputError, match="class_mixing mixes the embeddings of classes"):
        check_weight_strategy(ClassMixingConfig(), spec, 10)
