from __future__ import annotations

import os
import signal

import pytest
import torch

from gtl_core.config import (
    ClassMixingConfig,
    CorrespondenceConfig,
    EwcConfig,
    FinetuneConfig,
    FreezeDConfig,
    FreezeGThenPartialConfig,
    L2SpConfig,
    MineConfig,
    ScaleShiftConfig,
    SemiSupervisedConfig,
    SingularValuesConfig,
    TransferConfig,
)
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.networks.registry import GanSpec
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.weights import check_weight_strategy
from tests.transfer.weight_transfers import CLASSES, CONFIG, learned, moved, run

STRATEGIES = [
    FinetuneConfig(),
    FreezeDConfig(),
    FreezeGThenPartialConfig(frozen_share=0.5),
    ScaleShiftConfig(),
    SingularValuesConfig(),
    EwcConfig(),
    L2SpConfig(),
    MineConfig(mining_share=0.5),
    CorrespondenceConfig(),
    ClassMixingConfig(mixing_share=0.5),
    SemiSupervisedConfig(threshold=0.5),
    SemiSupervisedConfig(alias="semi_relativistic", loss="relativistic"),
    FinetuneConfig(alias="adaptive", augmentation=("translation", "cutout"), adaptive_augmentation=True),
    FinetuneConfig(alias="regularised", lecam=0.3, diversity=1.0),
    FinetuneConfig(alias="r3gan", loss="relativistic", gradient_penalty=0.05),
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.label)
def test_interrupted_transfer_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, source, few, strategy, pool, classifier, monkeypatch
):
    monkeypatch.setattr("gtl_core.transfer.ewc.FISHER_SAMPLES", 3)
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)

    def start(folder, on_progress=silent):
        return run(strategy, source, few, tmp_path / folder, on_progress=on_progress, pool=pool, classifier=classifier)

    whole = start("whole")
    for step in (3, 8):

        def press(progress, step=step):
            if progress.total == 12 and progress.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            start("halting", press)
    assert file_sha256(start("halting")) == file_sha256(whole)


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
    path = run(FinetuneConfig(), source, (images[chosen], labels[chosen]), tmp_path, steps=3, classes=names)
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
    target = run(FinetuneConfig(), source, few, tmp_path / "target", steps=150, config=config)
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


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.label)
def test_every_strategy_fits_networks_of_every_architecture_and_what_does_not_is_told_beforehand(
    strategy, architecture
):
    spec = GanSpec(architecture, size=16, channels=1, width=4, latent=8, classes=10)
    check_weight_strategy(strategy, spec, 100)
    with pytest.raises(
        InputError, match=r"^transfer\.strategies\.deep\.blocks: this discriminator has 3 blocks, got 4; freeze "
    ):
        check_weight_strategy(FreezeDConfig(alias="deep", blocks=4), spec, 100)


def test_target_images_of_another_size_are_refused(tmp_path, source, few):
    images, labels = few
    with pytest.raises(InputError, match="draws 1×16×16 images and the target's are 1×8×8"):
        run(FinetuneConfig(), source, (images[:, :, ::2, ::2], labels), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_target_images_in_colour_are_refused_where_the_source_gan_draws_grey(tmp_path, source, few):
    images, labels = few
    with pytest.raises(InputError, match="draws 1×16×16 images and the target's are 3×16×16"):
        run(FinetuneConfig(), source, (images.repeat(3, axis=1), labels), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_strategy_s_own_settings_come_before_those_of_transfer_and_these_before_the_source_gan_s():
    own = FinetuneConfig(lecam=0.0, loss="relativistic", augmentation=())
    plain = FinetuneConfig(alias="plain")
    settings = TransferConfig(strategies=(own, plain), lecam=0.3, diversity=2.0, augmentation=("cutout",))
    common = {"adaptive_augmentation": False, "gradient_penalty": 0.0, "diversity": 2.0}
    assert settings.helps(own) == {"loss": "relativistic", "augmentation": (), "lecam": 0.0, **common}
    assert settings.helps(plain) == {"augmentation": ("cutout",), "lecam": 0.3, **common}


def test_freeze_d_can_stand_with_several_numbers_of_blocks_to_choose_from():
    entries = tuple(FreezeDConfig(blocks=blocks, alias=f"freeze_d_{blocks}") for blocks in (1, 2))
    settings = TransferConfig(strategies=entries, steps=2)
    assert [strategy.label for strategy in settings.strategies] == ["freeze_d_1", "freeze_d_2"]
