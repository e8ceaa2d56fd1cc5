"""SGAN: a classifier with one class more for generated images, and a generator whose images have labels."""

from __future__ import annotations

import math
import os
import signal

import numpy as np
import pytest
import torch

from gtl_core.config import ClassifierConfig, Experiment, GanConfig, SganConfig
from gtl_core.data.image_set import ImageSet
from gtl_core.errors import InputError
from gtl_core.files import file_sha256
from gtl_core.networks.registry import GanSpec
from gtl_core.training.checkpoint import GanCheckpoint
from gtl_core.training.classifier import load_classifier, new_classifier, predict, save_classifier
from gtl_core.training.gan import untrained
from gtl_core.training.runtime import to_unit_range
from gtl_core.training.sampler import BalancedSampler
from gtl_core.training.sgan import SganImages, SganTrainer, consistency, feature_matching, real_logits
from gtl_core.transfer.sgan import check_sgan
from tests.transfer.weight_transfers import CLASSES, CONFIG, run

SMALL = SganConfig(steps=8, batch=8)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The weight file of a source classifier that has learned nothing."""
    path = tmp_path_factory.mktemp("network") / "classifier.safetensors"
    save_classifier(path, new_classifier(size=16, channels=1, width=8, classes=10, seed=0), CLASSES)
    return path


def unit(images):
    return to_unit_range(torch.from_numpy(np.array(images)))


def adapted(folder):
    return load_classifier(folder / "classifier.safetensors")


@pytest.mark.parametrize("start", ["scratch", "source"])
def test_interrupted_training_ends_with_the_bytes_of_one_that_never_stopped(
    tmp_path, few, pool, classifier, start, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.loop._REPORT_SECONDS", 0.0)
    strategy, given = SMALL.model_copy(update={"start": start}), {"pool": pool, "classifier": classifier}
    whole = run(strategy, None, few, tmp_path / "whole", **given)
    for step in (3, 6):

        def press(progress, step=step):
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            run(strategy, None, few, tmp_path / "halting", on_progress=press, **given)
    halting = run(strategy, None, few, tmp_path / "halting", **given)
    assert file_sha256(halting) == file_sha256(whole)
    files = [file_sha256(path.parent / "classifier.safetensors") for path in (halting, whole)]
    assert files[0] == files[1]


def test_the_probability_of_being_real_is_z_over_z_plus_one():
    logits = torch.tensor([[0.3, -1.2, 2.0], [-5.0, -6.0, -7.0]])
    z = logits.exp().sum(dim=1)
    torch.testing.assert_close(real_logits(logits).sigmoid(), z / (z + 1))
    beside_a_zero = torch.cat([logits, torch.zeros(2, 1)], dim=1).softmax(dim=1)
    torch.testing.assert_close(real_logits(logits).sigmoid(), 1 - beside_a_zero[:, -1])


def test_features_match_where_their_means_do_whatever_single_images_are_like():
    real = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert feature_matching(real, torch.tensor([[0.0, 6.0], [4.0, 0.0]])).item() == 0.0
    assert feature_matching(real, torch.tensor([[0.0, 0.0]])).item() == pytest.approx((2.0**2 + 3.0**2) / 2)


def test_consistency_is_the_divergence_from_the_teacher_on_the_images_that_it_is_sure_of():
    teacher = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]).log()
    logits = torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.2, 0.8]]).log()
    first = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    second = 0.6 * math.log(0.6 / 0.1) + 0.4 * math.log(0.4 / 0.9)
    assert consistency(logits, teacher, 0.7).item() == pytest.approx(first / 3, rel=1e-5)
    assert consistency(logits, teacher, 0.0).item() == pytest.approx((first + second) / 3, rel=1e-5)
    assert consistency(teacher + 3.0, teacher, 0.0).item() == pytest.approx(0.0, abs=1e-6)


def test_the_classifier_knows_the_k_classes_alone_and_is_the_average_of_what_learned(tmp_path, few, pool, network):
    names = tuple(reversed(CLASSES))
    path = run(SMALL, None, few, tmp_path, pool=pool, classifier=network, classes=names)
    model, classes = adapted(tmp_path)
    averaged = GanCheckpoint.load(path).companion("averaged_classifier")
    assert classes == names
    assert model.head.out_features == 10
    assert all(torch.equal(averaged[name], tensor) for name, tensor in model.state_dict().items())


def test_from_scratch_the_source_classifier_s_weights_do_not_count_and_from_the_source_they_do(
    tmp_path, few, pool, classifier, network
):
    def weights(start, source, folder):
        strategy = SMALL.model_copy(update={"start": start})
        return file_sha256(run(strategy, None, few, tmp_path / folder, pool=pool, classifier=source))

    assert weights("scratch", classifier, "a") == weights("scratch", network, "b")
    assert weights("source", classifier, "c") != weights("source", network, "d")


def test_it_tells_real_from_generated_reads_unseen_digits_and_draws_the_classes_that_are_asked_for(
    tmp_path, tiny_digits, network
):
    digits = ImageSet.load(tiny_digits)
    train, test = digits.indices("train"), digits.indices("test")
    rows = np.concatenate([train[digits.labels[train] == label][:3] for label in range(10)])
    few, pool = (np.array(digits.images[rows]), digits.labels[rows]), np.array(digits.images[train])
    gan = GanConfig(width=16, latent=16, learning_rate_generator=2e-3)
    strategy = SganConfig(steps=120, batch=32, adversarial=1.0, class_loss=1.0, consistency=0.0)
    path = run(strategy, None, few, tmp_path, pool=pool, classifier=network, config=gan)
    model = adapted(tmp_path)[0]
    assert (predict(model, digits.images[test]).argmax(axis=1) == digits.labels[test]).mean() > 0.6
    asked = torch.arange(10).repeat_interleave(20)
    latents = torch.randn((200, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        drawn = GanCheckpoint.load(path).averaged_generator()(latents, asked)
        assert (model(drawn).argmax(dim=1) == asked).float().mean() > 0.7
        unseen, made = (real_logits(model(images)) for images in (unit(digits.images[test]), drawn))
    assert (unseen[:, None] > made[None]).float().mean() > 0.6


def trainer_of(few, pool, network, generator_seed=0):
    where = torch.device("cpu")
    images = SganImages(BalancedSampler(*few, where), BalancedSampler(pool, np.zeros(len(pool), np.int64), where))
    start = untrained(GanSpec("dcgan", 16, 1, 4, 8, 10), CLASSES, generator_seed)
    model = load_classifier(network)[0]
    return SganTrainer(start, images, SMALL, CONFIG, model, photometric=False, steps=4, seed=0)


def test_the_statistics_that_the_classifier_keeps_are_of_real_images_whatever_is_generated(few, pool, network):
    one, other = (trainer_of(few, pool, network, generator_seed) for generator_seed in (0, 1))
    for trainer in (one, other):
        trainer.advance()
    assert not torch.equal(one._classifier.head.weight, other._classifier.head.weight)
    kept = [list(trainer._averaged_classifier.buffers()) for trainer in (one, other)]
    assert kept[0]
    assert all(torch.equal(*pair) for pair in zip(*kept, strict=True))


def test_the_generator_s_step_leaves_the_classifier_and_its_statistics_alone(few, pool, network):
    trainer = trainer_of(few, pool, network)
    seen = []
    learn = trainer._learn_generator

    def watched(*given):
        before = {name: tensor.clone() for name, tensor in trainer._companions.state_dict().items()}
        loss = learn(*given)
        seen.append(all(torch.equal(tensor, before[name]) for name, tensor in trainer._companions.state_dict().items()))
        return loss

    trainer._learn_generator = watched
    trainer.advance()
    assert seen == [True]
    assert math.isfinite(trainer.take_losses()[1])


def test_a_second_try_begins_with_the_source_classifier_and_not_with_what_the_first_one_made_of_it(
    tmp_path, few, pool, classifier, monkeypatch
):
    monkeypatch.setattr("gtl_core.training.loop._SLOWER", 1e-30)
    strategy = SMALL.model_copy(update={"start": "source", "learning_rate_classifier": 1e25})
    run(strategy, None, few, tmp_path, pool=pool, classifier=classifier)
    (event,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert "taken up again at step 0" in event
    source, _ = load_classifier(classifier)
    for weight, before in zip(adapted(tmp_path)[0].parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(weight, before, atol=1e-3, rtol=0.0)


def test_without_a_pool_or_without_labels_it_is_refused_in_one_line(tmp_path, few, pool, network):
    with pytest.raises(InputError, match="sgan learns from labelled and from unlabelled target images"):
        run(SMALL, None, few, tmp_path, classifier=network)
    with pytest.raises(InputError, match="sgan learns from labelled and from unlabelled target images"):
        run(SMALL, None, (few[0][:0], few[1][:0]), tmp_path, pool=pool, classifier=network)
    assert list(tmp_path.iterdir()) == []


def test_networks_that_it_cannot_do_with_are_refused_before_any_training():
    with pytest.raises(InputError, match=r"gan\.architecture vae has an encoder; take dcgan or fully_connected"):
        check_sgan(SMALL, GanConfig(architecture="vae"), ClassifierConfig())
    with pytest.raises(InputError, match="take start source, or the backbone cnn or resnet"):
        check_sgan(SMALL, GanConfig(), ClassifierConfig(backbone="checkpoints/vit"))
    check_sgan(SMALL.model_copy(update={"start": "source"}), GanConfig(), ClassifierConfig(backbone="checkpoints/vit"))


def content(**target):
    return {
        "name": "small",
        "source": {"dataset": "many"},
        "target": {"dataset": "few", "labelled_per_class": 10, **target},
        "image": {"size": 16, "channels": 1},
        "transfer": {"strategies": [{"name": "sgan", "steps": 700}]},
        "classifier": {"steps": 700},
        "evaluation": {"arms": ["real_augmented", "adapted"]},
    }


def test_an_experiment_with_it_needs_a_pool_labels_and_as_many_steps_for_the_other_arms():
    assert Experiment.model_validate(content(use_unlabelled=True)).transfer.strategies[0].label == "sgan"
    with pytest.raises(ValueError, match=r"sgan needs target\.use_unlabelled: true"):
        Experiment.model_validate(content())
    with pytest.raises(ValueError, match="sgan learns from labelled target images"):
        Experiment.model_validate(content(use_unlabelled=True, labelled_per_class=0))
    with pytest.raises(ValueError, match=r"raise classifier\.steps from 600 to 700"):
        Experiment.model_validate(content(use_unlabelled=True) | {"classifier": {"steps": 600}})
