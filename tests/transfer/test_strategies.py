from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from gtl_core.config import FinetuneConfig, FreezeDConfig, FreezeGThenPartialConfig, GanConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.strategies import transfer

CLASSES = tuple("0123456789")
CONFIG = GanConfig(width=4, latent=8, batch=16, steps=15, checkpoint_every=4)
STRATEGIES = [FinetuneConfig(), FreezeDConfig(), FreezeGThenPartialConfig(frozen_share=0.5)]


@pytest.fixture(scope="module")
def digits(tiny_digits):
    images = ImageSet.load(tiny_digits)
    return np.array(images.images), images.labels


@pytest.fixture(scope="module")
def few(digits):
    images, labels = digits
    rows = np.concatenate([np.flatnonzero(labels == label)[:3] for label in range(10)])
    return 255 - images[rows], labels[rows]


@pytest.fixture(scope="module")
def source(tmp_path_factory, digits):
    return pretrain_source(*digits, CLASSES, CONFIG, 0, tmp_path_factory.mktemp("source"), silent)


def run(strategy, source, few, folder, steps=12, on_progress=silent):
    return transfer(strategy, source, *few, CLASSES, CONFIG, steps, 5, folder, on_progress)


def learned(state):
    """What training changes: all but the singular vector of a single row, which is always 1 or -1."""
    return {name for name, tensor in state.items() if tensor.shape != (1,) or "direction" not in name}


def moved(before, after, prefix=""):
    """Names of what is not bit-identical."""
    return {name for name in before if name.startswith(prefix) and not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_interrupted_transfer_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, source, few, strategy, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.gan._REPORT_SECONDS", 0.0)
    whole = run(strategy, source, few, tmp_path / "whole")
    for step in (3, 8):

        def press(progress, step=step):
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            run(strategy, source, few, tmp_path / "halting", on_progress=press)
    assert file_sha256(run(strategy, source, few, tmp_path / "halting")) == file_sha256(whole)


def test_finetune_moves_every_weight_of_both_networks(tmp_path, source, few):
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    done = GanCheckpoint.load(run(FinetuneConfig(), source, few, tmp_path))
    counters = {name for name in start.generator if name.endswith("num_batches_tracked")}
    assert moved(start.generator, done.generator) >= set(start.generator) - counters
    assert moved(start.discriminator, done.discriminator) == learned(start.discriminator)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_freeze_d_keeps_the_first_blocks_bit_for_bit_and_moves_the_rest(tmp_path, source, few, blocks):
    start = GanCheckpoint.load(source).discriminator
    done = GanCheckpoint.load(run(FreezeDConfig(blocks=blocks), source, few, tmp_path)).discriminator
    frozen = {name for name in start if any(name.startswith(f"blocks.{index}.") for index in range(blocks))}
    assert frozen
    assert moved(start, done) == learned(start) - frozen


def test_the_generator_waits_whole_while_the_discriminator_learns_alone(tmp_path, source, few):
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    strategy = FreezeGThenPartialConfig(frozen_share=1.0)
    done = GanCheckpoint.load(run(strategy, source, few, tmp_path))
    assert moved(start.generator, done.generator) == set()
    assert moved(start.ema, done.ema) == set()
    assert moved(start.discriminator, done.discriminator) == learned(start.discriminator)


def test_after_that_the_last_blocks_and_the_class_embeddings_move_and_nothing_else(tmp_path, source, few):
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    strategy = FreezeGThenPartialConfig(frozen_share=0.5, blocks=2)
    done = GanCheckpoint.load(run(strategy, source, few, tmp_path))
    for before, after in ((start.generator, done.generator), (start.ema, done.ema)):
        early = {name for name in before if name.startswith(("blocks.0.", "blocks.1."))}
        embeddings = {name for name in early if ".embedding." in name or ".gain." in name or ".offset." in name}
        assert embeddings
        assert moved(before, after) & early == embeddings
        assert moved(before, after, "blocks.2.")
        assert moved(before, after, "blocks.3.")


def test_embeddings_follow_the_names_of_classes_and_new_names_get_new_ones(source):
    before = GanCheckpoint.load(source)
    carried = carried_over(before, ("7", "letter a", "2"), 0)
    for old, new in ((before.ema, carried.generator), (before.discriminator, carried.discriminator)):
        embeddings = [name for name in old if name.endswith(("embedding.weight", "gain.weight", "offset.weight"))]
        assert embeddings
        for name in embeddings:
            assert torch.equal(new[name][0], old[name][7])
            assert torch.equal(new[name][2], old[name][2])
            assert new[name][1].isfinite().all()
            assert not any(torch.equal(new[name][1], row) for row in old[name])
        shared = set(old) - set(embeddings) - {"head.spectral_embedding.direction"}
        assert all(torch.equal(new[name], old[name]) for name in shared)


def test_transfer_goes_to_another_number_of_classes_and_the_generator_draws_them(tmp_path, source, few):
    images, labels = few
    chosen = labels < 3
    names = ("zero", "1", "two")
    path = transfer(FinetuneConfig(), source, images[chosen], labels[chosen], names, CONFIG, 3, 0, tmp_path, silent)
    done = GanCheckpoint.load(path)
    assert (done.classes, done.spec.classes) == (names, 3)
    with torch.inference_mode():
        assert done.averaged_generator()(torch.randn(3, 8), torch.arange(3)).shape == (3, 1, 16, 16)


def test_a_transferred_gan_draws_the_target_s_bright_ground_where_the_source_gan_draws_a_dark_one(
    tmp_path, digits, few
):
    config = CONFIG.model_copy(
        update={"width": 8, "batch": 32, "learning_rate_generator": 1e-3, "learning_rate_discriminator": 2e-3}
    )
    config = config.model_copy(update={"steps": 150, "checkpoint_every": 1000})
    source = pretrain_source(*digits, CLASSES, config, 0, tmp_path / "source", silent)
    target = transfer(FinetuneConfig(), source, *few, CLASSES, config, 150, 0, tmp_path / "target", silent)
    latents, asked = torch.randn((100, 8), generator=torch.Generator().manual_seed(0)), torch.arange(100) % 10
    with torch.inference_mode():
        before, after = (GanCheckpoint.load(file).averaged_generator()(latents, asked) for file in (source, target))
    assert before[:, :, :, 0].mean() < -0.5
    assert after[:, :, :, 0].mean() > 0.5


@pytest.mark.parametrize("strategy", [FreezeDConfig(blocks=9), FreezeGThenPartialConfig(blocks=9)])
def test_more_blocks_than_there_are_is_refused_before_training(tmp_path, source, few, strategy):
    with pytest.raises(InputError, match=rf"{strategy.name}\.blocks: this \w+ has \d blocks, got 9"):
        run(strategy, source, few, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_target_images_of_another_size_are_refused(tmp_path, source, few):
    images, labels = few
    with pytest.raises(InputError, match="16×16 images and was given 1×8×8"):
        run(FinetuneConfig(), source, (images[:, :, ::2, ::2], labels), tmp_path)
