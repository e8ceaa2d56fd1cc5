"""Strategies over the weights of autoencoders: what learns, what stays, and that interruptions change nothing."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from gtl_core.config import (
    CorrespondenceConfig,
    FinetuneConfig,
    FreezeDConfig,
    FreezeGThenPartialConfig,
    L2SpConfig,
    MineConfig,
    ScaleShiftConfig,
    SingularValuesConfig,
)
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.pretrain import pretrain_source
from tests.transfer.weight_transfers import CLASSES, CONFIG, moved, run

KINDS = ("vae", "vae_gan")
TRANSFERS = [
    ("vae", FinetuneConfig()),
    ("vae", FreezeGThenPartialConfig(frozen_share=0.5)),
    ("vae", ScaleShiftConfig()),
    ("vae", SingularValuesConfig()),
    ("vae", L2SpConfig()),
    ("vae", MineConfig(mining_share=0.5)),
    ("vae", CorrespondenceConfig()),
    ("vae_gan", FreezeGThenPartialConfig(frozen_share=0.5)),
    ("vae_gan", SingularValuesConfig()),
    ("vae_gan", CorrespondenceConfig()),
]


@pytest.fixture(scope="module")
def autoencoders(tmp_path_factory, digits):
    """Settings and source checkpoint of both kinds."""
    configs = {kind: CONFIG.model_copy(update={"architecture": kind}) for kind in KINDS}
    return {
        kind: (config, pretrain_source(*digits, CLASSES, config, 0, tmp_path_factory.mktemp(kind), silent))
        for kind, config in configs.items()
    }


@pytest.mark.parametrize(("kind", "strategy"), TRANSFERS, ids=lambda value: getattr(value, "label", value))
def test_interrupted_transfer_of_an_autoencoder_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, autoencoders, few, kind, strategy, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)
    config, source = autoencoders[kind]

    def start(folder, on_progress=silent):
        return run(strategy, source, few, tmp_path / folder, on_progress=on_progress, config=config)

    def press(progress):
        if progress.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        start("halting", press)
    assert file_sha256(start("halting")) == file_sha256(start("whole"))


@pytest.mark.parametrize("kind", KINDS)
def test_finetune_moves_decoder_and_encoder_and_a_new_class_gets_an_embedding_in_both(
    tmp_path, autoencoders, few, kind
):
    config, source = autoencoders[kind]
    names = (*CLASSES[:9], "letter a")
    start = carried_over(GanCheckpoint.load(source), names, 5)
    done = GanCheckpoint.load(run(FinetuneConfig(), source, few, tmp_path, config=config, classes=names))

    def encoder(gan):
        return gan.discriminator if kind == "vae" else gan.companion("encoder")

    old = GanCheckpoint.load(source)
    before, rows = encoder(old)["head.embedding.weight"], encoder(start)["head.embedding.weight"]
    assert torch.equal(rows[:9], before[:9])
    assert not any(torch.equal(rows[9], row) for row in before)
    counters = {name for name in encoder(start) if name.endswith("num_batches_tracked")}
    assert moved(encoder(start), encoder(done)) >= encoder(start).keys() - counters
    assert moved(start.generator, done.generator)


def test_the_encoder_of_a_vae_learns_alone_while_the_decoder_waits(tmp_path, autoencoders, few):
    config, source = autoencoders["vae"]
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    strategy = FreezeGThenPartialConfig(frozen_share=1.0)
    done = GanCheckpoint.load(run(strategy, source, few, tmp_path, config=config))
    assert moved(start.generator, done.generator) == set()
    assert moved(start.ema, done.ema) == set()
    assert moved(start.discriminator, done.discriminator)


def test_scale_shift_keeps_every_convolution_of_a_decoder_and_the_first_blocks_of_its_encoder(
    tmp_path, autoencoders, few
):
    config, source = autoencoders["vae"]
    start = carried_over(GanCheckpoint.load(source), CLASSES, 5)
    done = GanCheckpoint.load(run(ScaleShiftConfig(), source, few, tmp_path, config=config))
    assert not [name for name in moved(start.generator, done.generator) if ".convolution." in name]
    assert {name.split(".")[0:2][-1] for name in moved(start.discriminator, done.discriminator, "blocks.")} == {"2"}


def test_freeze_d_is_refused_for_a_vae_before_training_and_freezes_the_discriminator_of_a_vae_gan(
    tmp_path, autoencoders, few
):
    config, source = autoencoders["vae"]
    with pytest.raises(InputError, match=r"freeze_d is about a discriminator, and a vae has none; take another"):
        run(FreezeDConfig(), source, few, tmp_path / "vae", config=config)
    assert not (tmp_path / "vae").exists()
    config, source = autoencoders["vae_gan"]
    before = GanCheckpoint.load(source).discriminator
    done = GanCheckpoint.load(run(FreezeDConfig(blocks=2), source, few, tmp_path / "vae_gan", config=config))
    assert not [name for name in moved(before, done.discriminator) if name.startswith(("blocks.0.", "blocks.1."))]
