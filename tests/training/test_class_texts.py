"""Descriptions as numbers, and the training of GANs that are told classes by them."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from gtl_core.config import GanConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.files import file_sha256
from gtl_core.progress import silent
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.class_texts import FEATURES, ClassTexts, class_texts, embedded
from gtl_core.transfer.pretrain import pretrain_source
from tests.described_digits import TEXTS
from tests.pipelines.small_chain import as_experiment

CLASSES = tuple("0123456789")
TOLD = ClassTexts(tuple(TEXTS.values()))


def test_embeddings_have_length_one_and_are_the_same_in_every_process():
    rows = embedded(["a red seven", "7"])
    assert rows.shape == (2, FEATURES)
    assert torch.allclose(rows.norm(dim=1), torch.ones(2))
    # Places of a word and its piece: were they others in another process, a trained GAN would not know its texts there.
    assert rows[1].nonzero().flatten().tolist() == [40, 228]


def test_the_order_of_words_and_capital_letters_do_not_count():
    assert torch.equal(*embedded(["a red seven", "Seven, A red"]))


def test_a_form_of_a_word_is_nearer_to_it_than_another_word_is():
    seven, sevens, three = embedded(["seven", "sevens", "three"])
    assert seven @ sevens > 0.5 > seven @ three + 0.3


def test_networks_are_told_what_tells_the_classes_apart_and_not_what_their_texts_share():
    told = ClassTexts(("a handwritten seven", "a handwritten four", "a handwritten zero"))
    assert torch.allclose(told.rows.mean(dim=0), torch.zeros(FEATURES), atol=1e-6)
    assert told.rows.square().sum(dim=1).mean().item() == pytest.approx(1.0)
    # Texts of other classes are measured by the same: neither their number nor their words move or stretch them.
    again = told.of("a handwritten four")
    assert torch.allclose(again.rows[0], told.rows[1], atol=1e-6)
    assert torch.equal(again.of("a handwritten zero").rows, told.of("a handwritten zero").rows)


def test_only_an_experiment_with_text_conditions_tells_its_gans_texts():
    assert class_texts(as_experiment(descriptions=TEXTS), CLASSES) is None
    told = class_texts(as_experiment(descriptions=TEXTS, gan={"condition": "text"}), ("7", "2"))
    assert told == ClassTexts(("a handwritten seven", "a handwritten two"))


@pytest.mark.parametrize("architecture", ["dcgan", "fully_connected"])
def test_an_interrupted_training_with_texts_ends_with_the_bytes_of_one_that_never_stopped(
    architecture, tmp_path, tiny_digits, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)
    digits = ImageSet.load(tiny_digits)
    config = GanConfig(architecture=architecture, width=4, latent=8, batch=16, steps=12, checkpoint_every=4)

    def start(folder, on_progress=silent):
        given = (np.array(digits.images), digits.labels, CLASSES, config, 0, tmp_path / folder, on_progress, TOLD)
        return pretrain_source(*given)

    def press(progress):
        if progress.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    whole = start("whole")
    with pytest.raises(KeyboardInterrupt):
        start("halting", press)
    assert file_sha256(start("halting")) == file_sha256(whole)
    trained = GanCheckpoint.load(whole)
    assert trained.texts == TOLD
    assert torch.equal(trained.ema["condition.rows"], TOLD.rows)
    assert torch.equal(trained.discriminator["head.condition.rows"], TOLD.rows)
