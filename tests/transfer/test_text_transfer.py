"""Transfer of GANs that are told classes by texts: new classes begin as what their descriptions say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gtl_core.config import (
    ClassMixingConfig,
    FinetuneConfig,
    FreezeGThenPartialConfig,
    ScaleShiftConfig,
    SingularValuesConfig,
    TransferConfig,
)
from gtl_core.errors import InputError
from gtl_core.progress import silent
from gtl_core.synthesis.sampling import synthesise
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.class_texts import ClassTexts
from gtl_core.transfer.carrying import carried_over
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.pretrain import pretrain_source
from gtl_core.transfer.strategies import transfer
from tests.described_digits import TEXTS
from tests.transfer.weight_transfers import CLASSES, CONFIG, moved

TOLD = ClassTexts(tuple(TEXTS.values()))
NEW = ("7", "a letter")
NEW_TEXTS = ClassTexts(("a handwritten seven", "a handwritten letter"))


@pytest.fixture(scope="module")
def told_source(tmp_path_factory, digits):
    return pretrain_source(*digits, CLASSES, CONFIG, 0, tmp_path_factory.mktemp("told"), silent, TOLD)


def moved_to(strategy, source, few, folder, texts=NEW_TEXTS):
    images, labels = few[0][:6], np.arange(6) % 2
    inputs = TransferInputs(
        images=images,
        labels=labels,
        classes=NEW,
        unlabelled=images[:0],
        source_images=images[:0],
        source_labels=labels[:0],
        source_classes=CLASSES,
        source_gan=source,
        source_classifier=None,
        seed=5,
        texts=texts,
    )
    settings = TransferConfig(strategies=(strategy,), steps=6, augmentation=())
    return transfer(strategy, inputs, CONFIG, settings, folder, silent)


def test_a_class_that_the_source_never_saw_begins_as_what_its_text_says_and_all_weights_are_the_sources(told_source):
    source = GanCheckpoint.load(told_source)
    carried = carried_over(source, NEW, 0, texts=NEW_TEXTS)
    rows = TOLD.of(*NEW_TEXTS.texts).rows
    assert torch.equal(carried.ema["condition.rows"], rows)
    assert torch.equal(carried.discriminator["head.condition.rows"], rows)
    assert torch.equal(carried.ema["condition.rows"][0], source.ema["condition.rows"][7])
    assert moved(carried.ema, source.ema) == {"condition.rows"}
    assert moved(carried.discriminator, source.discriminator) == {"head.condition.rows"}
    latent, generators = torch.randn((1, 8)), (source.averaged_generator(), carried.averaged_generator())
    drawn = [generator(latent, torch.tensor([label])) for generator, label in zip(generators, (7, 0), strict=True)]
    assert torch.equal(*drawn)


@pytest.mark.parametrize(
    "strategy",
    [FinetuneConfig(), FreezeGThenPartialConfig(frozen_share=0.5), ScaleShiftConfig(), SingularValuesConfig()],
    ids=lambda strategy: strategy.label,
)
def test_strategies_learn_what_words_mean_and_never_change_the_texts(strategy, told_source, few, tmp_path):
    start = carried_over(GanCheckpoint.load(told_source), NEW, 5, texts=NEW_TEXTS)
    path = moved_to(strategy, told_source, few, tmp_path)
    done = GanCheckpoint.load(path)
    assert done.texts == TOLD.of(*NEW_TEXTS.texts)
    learned = moved(start.ema, done.ema)
    assert "condition.rows" not in learned
    assert {"blocks.0.embedding.weight", "blocks.1.norm.gain.weight", "blocks.1.norm.offset.weight"} <= learned
    assert len(synthesise(path, 2, 0, tmp_path / "set")) == 4


def test_a_source_and_a_target_that_are_not_told_in_the_same_way_are_refused(told_source, source, few, tmp_path):
    with pytest.raises(InputError, match=r"told classes by texts and the target has no texts; .*gan\.condition"):
        moved_to(FinetuneConfig(), told_source, few, tmp_path, texts=None)
    with pytest.raises(InputError, match="told classes by free embeddings and the target has texts"):
        moved_to(FinetuneConfig(), source, few, tmp_path)


def test_mixtures_of_embeddings_are_refused_where_there_are_none(told_source, few, tmp_path):
    with pytest.raises(InputError, match=r"class_mixing .* with gan\.condition text there are none"):
        moved_to(ClassMixingConfig(), told_source, few, tmp_path)
