from __future__ import annotations

import math
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from gtl_core.config import ClassifierConfig, ContrastConfig, CycleConfig, GanConfig, TransferConfig, TranslateConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.networks.registry import GanSpec, build_generator
from gtl_core.networks.translator import Translator
from gtl_core.progress import silent
from gtl_core.synthesis.sampling import synthesise
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import load_classifier, train_source_classifier
from gtl_core.transfer.contrast import patch_contrast
from gtl_core.transfer.cycle import Cycle
from gtl_core.transfer.inputs import TransferInputs
from gtl_core.transfer.strategies import transfer

CLASSES = tuple("0123456789")
SMALL = {"width": 8, "batch": 8, "steps": 8, "bank_per_class": 6}
STRATEGIES = [TranslateConfig(**SMALL), CycleConfig(**SMALL), ContrastConfig(**SMALL)]


@pytest.fixture(scope="module")
def digits(tiny_digits):
    images = ImageSet.load(tiny_digits)
    return np.array(images.images), images.labels


@pytest.fixture(scope="module")
def source_classifier(tmp_path_factory, digits):
    config = ClassifierConfig(width=8, source_steps=150)
    return train_source_classifier(*digits, CLASSES, config, 0, tmp_path_factory.mktemp("classifier"))


def in_target_style(images):
    """The same digits on a grey ground."""
    return images // 2 + 127


@pytest.fixture(scope="module")
def inputs(digits, source_classifier):
    images, labels = digits

    def make(labelled=0, classes=CLASSES, pool=None):
        rows = np.concatenate([np.flatnonzero(labels == label)[:labelled] for label in range(10)]).astype(int)
        return TransferInputs(
            images=in_target_style(images[rows]),
            labels=labels[rows],
            classes=classes,
            unlabelled=in_target_style(images) if pool is None else pool,
            source_images=images,
            source_labels=labels,
            source_classes=CLASSES,
            source_gan=None,
            source_classifier=source_classifier,
            seed=3,
        )

    return make


def run(strategy, inputs, folder, on_progress=silent):
    settings = TransferConfig(strategies=(strategy,), augmentation=("translation",))
    return transfer(strategy, inputs, GanConfig(), settings, folder, on_progress)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
@pytest.mark.parametrize("labelled", [0, 2])
def test_interrupted_translation_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, inputs, strategy, labelled, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)
    whole = run(strategy, inputs(labelled), tmp_path / "whole")
    for step in (3, 6):

        def press(progress, step=step):
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            run(strategy, inputs(labelled), tmp_path / "halting", press)
    assert file_sha256(run(strategy, inputs(labelled), tmp_path / "halting")) == file_sha256(whole)


def test_translated_digits_take_on_the_target_s_grey_ground_and_keep_their_labels(tmp_path, digits, inputs):
    from sklearn.neighbors import KNeighborsClassifier

    strategy = TranslateConfig(
        **SMALL | {"width": 16, "batch": 32, "steps": 150},
        learning_rate_translator=2e-3,
        learning_rate_discriminator=2e-3,
    )
    made = synthesise(run(strategy, inputs(), tmp_path), 20, 0, tmp_path / "set")
    images, labels = digits
    assert 100 < made.images[:, 0, :, 0].mean() < 160
    reader = KNeighborsClassifier(3).fit(in_target_style(images).reshape(len(images), -1), labels)
    assert reader.score(made.images.reshape(len(made), -1), made.labels) > 0.8


def test_a_generator_that_translates_carries_source_images_of_each_class_and_draws_from_them(tmp_path, digits, inputs):
    images, labels = digits
    names = tuple(reversed(CLASSES))
    gan = GanCheckpoint.load(run(STRATEGIES[0], inputs(classes=names), tmp_path))
    bank = gan.ema["bank"].numpy().reshape(10, 6, 1, 16, 16)
    for label, name in enumerate(names):
        known = {image.tobytes() for image in images[labels == int(name)]}
        assert all(image.tobytes() in known for image in bank[label][: gan.ema["counts"][label]])
    generator = gan.averaged_generator()
    latents = torch.randn((600, 9), generator=torch.Generator().manual_seed(0))
    asked = torch.arange(600) % 10
    drawn = ((generator.picked(latents, asked) + 1) * 127.5).round().to(torch.uint8).numpy()
    for label in range(10):
        own = {image.tobytes() for image in bank[label]}
        assert {image.tobytes() for image in drawn[asked.numpy() == label]} == own


def test_latents_pick_every_source_image_of_a_class_equally_often_and_no_empty_place():
    spec = GanSpec("translator", size=16, channels=1, width=8, latent=3, classes=2, bank=8)
    generator = build_generator(spec, 0)
    generator.bank.copy_(torch.arange(16, dtype=torch.uint8)[:, None, None, None].expand_as(generator.bank))
    generator.counts.copy_(torch.tensor([8, 3]))
    latents = torch.randn((8000, 3), generator=torch.Generator().manual_seed(0))
    picked = ((generator.picked(latents, torch.arange(8000) % 2)[:, 0, 0, 0] + 1) * 127.5).round().long()
    counts = torch.bincount(picked, minlength=16)
    assert counts[:8].min() > 400
    assert counts[8:11].min() > 1200
    assert counts[11:].sum() == 0


def test_a_cycle_leads_an_image_back_to_where_it_came_from(tmp_path, digits, inputs):
    strategy = CycleConfig(**SMALL | {"width": 16, "batch": 32, "steps": 120}, learning_rate_translator=2e-3, cycle=5.0)
    gan = GanCheckpoint.load(run(strategy, inputs(), tmp_path))
    forth = gan.averaged_generator().translator
    back = Translator(size=16, channels=1, width=16, style=8)
    prefix = "backward."
    back.load_state_dict({k.removeprefix(prefix): v for k, v in gan.companions.items() if k.startswith(prefix)})
    source = torch.from_numpy(digits[0][:100]) / 127.5 - 1
    styles = torch.randn((100, 8), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        there = forth(source, styles)
        again = back.eval()(there, styles)
    assert (there - source).abs().mean() > 0.5
    assert (again - source).abs().mean() < 0.5 * (there - source).abs().mean()


def test_contrast_is_ln_of_the_places_where_all_are_alike_and_nothing_where_each_is_itself():
    alike = torch.ones(3, 5, 4)
    assert patch_contrast(alike, alike, 0.07) == pytest.approx(math.log(5), rel=1e-5)
    own = torch.eye(4).expand(2, 4, 4)
    expected = -math.log(math.exp(1 / 0.5) / (math.exp(1 / 0.5) + 3))
    assert patch_contrast(own, own, 0.5) == pytest.approx(expected, rel=1e-5)
    assert patch_contrast(own, own.flip(1), 0.5) > patch_contrast(own, own, 0.5)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_a_target_with_classes_that_the_source_lacks_is_refused_before_training(tmp_path, inputs, strategy):
    with pytest.raises(InputError, match=rf"{strategy.name}: the source has no class A, B"):
        run(strategy, inputs(classes=("A", "B", *CLASSES[2:])), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_a_class_of_which_the_source_has_no_image_is_refused_before_training(tmp_path, inputs, strategy):
    given = inputs()
    kept = given.source_labels != 3
    without = replace(given, source_images=given.source_images[kept], source_labels=given.source_labels[kept])
    with pytest.raises(InputError, match=rf"{strategy.name}: there is no source image of class 3 to translate"):
        run(strategy, without, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_second_try_begins_with_the_source_classifier_and_not_with_what_the_first_one_made_of_it(
    tmp_path, inputs, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.loop._SLOWER", 1e-30)
    strategy = TranslateConfig(**SMALL, learning_rate_classifier=1e25)
    run(strategy, inputs(), tmp_path)
    (event,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert "taken up again at step 0" in event
    adapted, _ = load_classifier(tmp_path / "classifier.safetensors")
    source, _ = load_classifier(inputs().source_classifier)
    for weight, before in zip(adapted.parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(weight, before, atol=1e-3, rtol=0.0)


def test_translation_without_any_target_image_is_refused(tmp_path, inputs, digits):
    with pytest.raises(InputError, match="no target image to learn the look from"):
        run(STRATEGIES[0], inputs(pool=digits[0][:0]), tmp_path)


def test_pseudo_labels_come_late_and_only_where_there_is_a_pool(tmp_path, inputs, digits):
    def shares(folder, **options):
        strategy = TranslateConfig(**SMALL | {"steps": 100}, confidence=0.3)
        path = run(strategy, inputs(**options), folder)
        rows = np.genfromtxt(path.parent / "curves.csv", delimiter=",", names=True)
        return rows["pseudo_labelled"]

    early, late = shares(tmp_path / "pool")
    assert (early, late > 0.1) == (0.0, True)
    assert shares(tmp_path / "none", labelled=2, pool=digits[0][:0]).max() == 0.0


def test_the_averaged_classifier_that_learned_beside_the_translator_lies_beside_it(tmp_path, inputs):
    names = tuple(reversed(CLASSES))
    path = run(STRATEGIES[0], inputs(classes=names), tmp_path)
    model, classes = load_classifier(tmp_path / "classifier.safetensors")
    averaged = GanCheckpoint.load(path).companion("averaged_classifier")
    assert classes == names
    assert all(torch.equal(averaged[name], tensor) for name, tensor in model.state_dict().items())


def test_cycle_holds_images_against_the_source_classifier_which_does_not_learn_beside_the_translator(
    tmp_path, inputs, monkeypatch
):
    held = []

    class Seen(Cycle):
        def loss(self, batch, translator, networks):
            held.append(self.classifier)
            return super().loss(batch, translator, networks)

    monkeypatch.setattr("gtl_core.transfer.translation.Cycle", Seen)
    run(CycleConfig(**SMALL), inputs(), tmp_path)
    source, _ = load_classifier(inputs().source_classifier)
    adapted, _ = load_classifier(tmp_path / "classifier.safetensors")
    same, other = (
        [torch.equal(weight, before) for weight, before in zip(each.parameters(), source.parameters(), strict=True)]
        for each in (held[-1], adapted)
    )
    assert all(same)
    assert not held[-1].training
    assert not any(other)
